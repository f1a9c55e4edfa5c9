"""`dca-daemon client`: who has cash in the machines, and where their sats go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dca_daemon.cli import adjust, client_access, client_privacy
from dca_daemon.cli.audit import show_entries
from dca_daemon.cli.client_views import answered, as_dict, history_dict, info_dict, show_history, show_whole
from dca_daemon.cli.context import actor, confirm, load, usage_error, with_books, with_wallet
from dca_daemon.cli.destination import Address, KeyFile, KeyStdin, Lnurl, read_destination
from dca_daemon.cli.output import AsJson, Limit, Yes, print_json, print_table, say
from dca_daemon.domain.money import fiat_text, sats_text

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.payouts.wallet import Destination, DestinationInfo
    from dca_daemon.runtime.settings import Settings
    from dca_daemon.services.clients import ClientView, Status

app = typer.Typer(name="client", no_args_is_help=True, help="Clients: who they are, and where they are paid.")

ClientRef = Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id or name.")]
ModeName = Literal["flow", "fixed"]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of its own among the clients.")],
    mode: Annotated[
        ModeName, typer.Option("--mode", help="flow: buys with each cash-out. fixed: a set amount a day.")
    ] = "flow",
    per_day: Annotated[
        str | None, typer.Option("--per-day", metavar="AMOUNT", help="In fixed mode: what it buys for a day.")
    ] = None,
    key_file: KeyFile = None,
    key_stdin: KeyStdin = False,
    lightning_address: Address = None,
    lnurl: Lnurl = None,
    as_json: AsJson = False,
) -> None:
    """Add a client, after its destination has answered.

    Without an option for the destination, the invoice key of its LNbits wallet is asked for. A key is never
    taken from the command line, where others on this computer could read it.
    """
    from dca_daemon.runtime.wiring import key_ring
    from dca_daemon.services import clients, fixed_amounts

    if per_day is not None and mode != "fixed":
        raise usage_error("--per-day is for clients in fixed mode: add --mode fixed")
    settings = load()
    keys = key_ring(settings)
    destination = read_destination(key_file, key_stdin, lightning_address, lnurl)

    async def work(db: Database) -> tuple[ClientView, DestinationInfo]:
        if per_day is not None:
            await fixed_amounts.check(db, per_day)
        added = await with_wallet(
            settings,
            lambda wallet: clients.add(
                db, wallet, keys, name=name, mode=clients.Mode(mode), destination=destination, actor=actor()
            ),
        )
        if per_day is not None:
            await fixed_amounts.change(db, str(added[0].client_id), per_day=per_day, actor=actor())
        return added

    view, info = with_books(settings, work)
    if as_json:
        print_json({"client": as_dict(view), "destination_info": info_dict(info)})
        return
    say(f"Client {view.client_id} {view.name!r} is added, in {view.mode} mode, paid to {view.destination}.")
    say(answered(info))
    if view.mode is clients.Mode.FIXED and per_day is None:
        say(f"It buys nothing yet: dca-daemon fixed client {view.client_id} --per-day AMOUNT")
    say(f"Next: dca-daemon deposit record {view.client_id} AMOUNT")


@app.command("list")
def list_clients(as_json: AsJson = False) -> None:
    """List the clients with what they have in, are owed, and have received."""
    from dca_daemon.services import clients

    found = with_books(load(), clients.list_all)
    if as_json:
        print_json({"clients": [as_dict(view) for view in found]})
        return
    print_table(
        ("id", "name", "mode", "status", ">balance", ">owed", ">on its way", ">received", "~paid to"),
        (
            (
                c.client_id,
                c.name,
                c.mode,
                c.status,
                ", ".join(fiat_text(b.balance_minor, b.currency) for b in c.balances) or None,
                sats_text(c.owed_sats),
                sats_text(c.in_payout_sats),
                sats_text(c.settled_sats),
                c.destination,
            )
            for c in found
        ),
        empty="There are no clients yet: dca-daemon client add --help",
    )


@app.command()
def show(client: ClientRef, limit: Limit = 20, as_json: AsJson = False) -> None:
    """Show one client, with its newest distribution records."""
    from dca_daemon.services import clients

    async def work(db: Database) -> tuple[ClientView, list[Any]]:
        return await clients.show(db, client), list(await clients.history(db, client, limit=limit))

    view, records = with_books(load(), work)
    if as_json:
        print_json({"client": as_dict(view), "records": [history_dict(record) for record in records]})
        return
    show_whole(view)
    say()
    show_history(records)


@app.command("set")
def set_client(
    client: ClientRef,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name.")] = None,
    mode: Annotated[ModeName | None, typer.Option("--mode", help="How it buys from now on.")] = None,
    key_file: KeyFile = None,
    key_stdin: KeyStdin = False,
    lightning_address: Address = None,
    lnurl: Lnurl = None,
    reason: Reason = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Change a client's name, its mode, or where it is paid: one of them at a time.

    Another destination must answer first, and asks for a confirmation. A payout that is under way still goes
    to the old one.
    """
    from dca_daemon.services import clients

    elsewhere = key_file is not None or key_stdin or lightning_address is not None or lnurl is not None
    if [name is not None, mode is not None, elsewhere].count(True) != 1:
        raise usage_error("change one thing at a time: --name, --mode, or the destination")
    settings = load()
    if name is not None:
        view = with_books(settings, lambda db: clients.rename(db, client, name, actor=actor(), reason=reason))
    elif mode is not None:
        chosen = clients.Mode(mode)
        view = with_books(settings, lambda db: clients.set_mode(db, client, chosen, actor=actor(), reason=reason))
    else:
        destination = read_destination(key_file, key_stdin, lightning_address, lnurl)
        view = _set_destination(settings, client, destination, reason=reason, yes=yes)
    _changed(view, as_json=as_json)


def _set_destination(
    settings: Settings, client: str, destination: Destination, *, reason: str | None, yes: bool
) -> ClientView:
    """Asks only after the destination has said who it is, so that a person can see a mistake."""
    from dca_daemon.runtime.wiring import key_ring
    from dca_daemon.services import clients

    keys = key_ring(settings)

    async def look(db: Database) -> tuple[ClientView, int, DestinationInfo]:
        before = await clients.show(db, client)
        info = await with_wallet(settings, lambda wallet: wallet.check_destination(destination))
        return before, await clients.under_way_sats(db, before.client_id), info

    async def work(db: Database) -> ClientView:
        return await with_wallet(
            settings,
            lambda wallet: clients.set_destination(
                db, wallet, keys, str(before.client_id), destination, actor=actor(), reason=reason
            ),
        )

    before, under_way_sats, info = with_books(settings, look)
    owed = f" It is owed {sats_text(before.owed_sats)}, which will go there." if before.owed_sats else ""
    if under_way_sats:
        owed += f" {sats_text(under_way_sats)} in payouts under way, or held, still go to the old one."
    question = f"Pay {before.name!r} to {destination.address or 'the LNbits wallet'} ({info.name!r}) from now on?"
    confirm(f"{answered(info)} So far: {before.destination}.{owed} {question}", yes=yes)
    return with_books(settings, work)


@app.command()
def activate(client: ClientRef, reason: Reason = None, as_json: AsJson = False) -> None:
    """Let a client take part in new cash-outs."""
    from dca_daemon.services.clients import Status

    _set_status(client, Status.ACTIVE, reason=reason, as_json=as_json)


@app.command()
def deactivate(client: ClientRef, reason: Reason = None, as_json: AsJson = False) -> None:
    """Leave a client out of new cash-outs. What it is owed is still paid; its balance stays."""
    from dca_daemon.services.clients import Status

    _set_status(client, Status.INACTIVE, reason=reason, as_json=as_json)


def _set_status(client: str, status: Status, *, reason: str | None, as_json: bool) -> None:
    from dca_daemon.services import clients

    view = with_books(load(), lambda db: clients.set_status(db, client, status, actor=actor(), reason=reason))
    _changed(view, as_json=as_json)


@app.command()
def changes(client: ClientRef, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List what was changed of a client: mode, status, name, destination; by whom, when and why."""
    from dca_daemon.services import clients

    show_entries(with_books(load(), lambda db: clients.changes(db, client, limit=limit)), as_json=as_json)


def _changed(view: ClientView, *, as_json: bool) -> None:
    if as_json:
        print_json({"client": as_dict(view)})
    else:
        say(f"Client {view.client_id} {view.name!r}: {view.mode} mode, {view.status}, paid to {view.destination}.")


adjust.register(app)
client_access.register(app)
client_privacy.register(app)
