"""`dca-daemon commission`: who gets how much of the machines' commission, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dca_daemon.cli.client_views import answered, info_dict
from dca_daemon.cli.client_views import as_dict as client_dict
from dca_daemon.cli.commission_views import (
    amount_dict,
    gathered_dict,
    overview_dict,
    show_amounts,
    show_change,
    show_gathered,
    show_overview,
    show_versions,
    version_dict,
)
from dca_daemon.cli.context import actor, confirm, load, usage_error, with_books, with_wallet
from dca_daemon.cli.destination import Address, KeyFile, KeyStdin, Lnurl, read_destination
from dca_daemon.cli.output import AsJson, Limit, Yes, note, print_json, say
from dca_daemon.domain.commission import percent_text
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.moments import parse_time
from dca_daemon.domain.money import sats_text

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.payouts.wallet import DestinationInfo
    from dca_daemon.services.clients import ClientView
    from dca_daemon.services.commission import Wish

app = typer.Typer(
    name="commission", no_args_is_help=True, help="Commission: who gets how much of it, and when it is paid."
)

Receivers = Annotated[
    list[str] | None, typer.Argument(metavar="[RECEIVER]…", help="Only these, by id or name; all without any.")
]


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show the shares in force, and what each receiver is owed and has received of commission."""
    from dca_daemon.services import commission_overview

    overview = with_books(load(), commission_overview.show)
    if as_json:
        print_json(overview_dict(overview))
    else:
        show_overview(overview)


@app.command("set")
def set_shares(
    shares: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=PERCENT]…",
            help="All shares, such as 'ana=20' 'Office wallet=12.5': who is not named has none any more.",
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="No shares: all commission stays with the house.")] = False,
    inactive: Annotated[
        list[str] | None,
        typer.Option("--inactive", metavar="NAME", help="Its share gets nothing for now; may be repeated."),
    ] = None,
    active: Annotated[
        list[str] | None,
        typer.Option("--active", metavar="NAME", help="Its share takes part again; may be repeated."),
    ] = None,
    at_once: Annotated[bool, typer.Option("--pay-at-once", help="Pay commission with each cash-out.")] = False,
    times: Annotated[
        list[str] | None,
        typer.Option("--pay-at", metavar="HH:MM", help="Gather it, and pay at this time; may be repeated."),
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", metavar="ZONE", help="Where --pay-at is meant: America/Guatemala.")
    ] = None,
    from_sats: Annotated[
        int | None,
        typer.Option(
            "--pay-from-sats", metavar="N", help="Gather it, and pay each receiver once it comes to N sats."
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept with the version and in the audit.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Change the shares, or when they are paid: a new version, in force from the next cash-out on.

    Without NAME=PERCENT the shares stay as they are; without a --pay option, so does when they are paid. Shows
    what changes, and asks. What was shared before keeps the version that it was shared by.
    """
    from dca_daemon.services import commission

    wish = commission.Wish(
        shares=_parse_shares(shares or [], none),
        active=tuple(active or ()),
        inactive=tuple(inactive or ()),
        rule=commission.pay_rule(at_once=at_once, times=times or (), zone=zone, from_sats=from_sats),
    )
    if wish == commission.Wish():
        raise usage_error("what is to change? give shares, --none, --active, --inactive, or when it is paid")
    _set(wish, reason, yes=yes, as_json=as_json)


def _set(wish: Wish, reason: str | None, *, yes: bool, as_json: bool) -> None:
    from dca_daemon.services import commission

    settings = load()
    change = with_books(settings, lambda db: commission.preview(db, wish))
    if not as_json:
        show_change(change)
    confirm("Make this the version in force?", yes=yes)
    done = with_books(
        settings, lambda db: commission.apply(db, wish, seen=change.before, reason=reason, actor=actor())
    )
    if as_json:
        print_json({"version": version_dict(done.after), "released_sats": done.freed_sats})
        return
    house = percent_text(done.after.house_basis_points)
    say(f"Version {done.after.version_id} is in force: {house} of each commission stays with the house.")
    if done.freed_sats:
        say(f"What was gathered is payable now: {sats_text(done.freed_sats)}.")


def _parse_shares(shares: list[str], none: bool) -> tuple[tuple[str, str], ...] | None:
    if none:
        if shares:
            raise usage_error("give shares or --none, not both")
        return ()
    parsed: list[tuple[str, str]] = []
    for share in shares:
        name, equals, percent = share.rpartition("=")
        if not equals or not name.strip():
            raise InputError(f"{share!r} is no share", remedy="write it like 'ana=20'")
        parsed.append((name.strip(), percent))
    return tuple(parsed) or None


@app.command("add-receiver")
def add_receiver(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of its own among clients and receivers.")],
    key_file: KeyFile = None,
    key_stdin: KeyStdin = False,
    lightning_address: Address = None,
    lnurl: Lnurl = None,
    as_json: AsJson = False,
) -> None:
    """Add a wallet that only receives commission, after it has answered. It has no share until it is given one.

    Without an option for the destination, the invoice key of its LNbits wallet is asked for. Later, `client set`
    changes its name and destination, `client deactivate` leaves it out of new commission.
    """
    from dca_daemon.runtime.wiring import key_ring
    from dca_daemon.services import clients

    settings = load()
    keys = key_ring(settings)
    destination = read_destination(key_file, key_stdin, lightning_address, lnurl)

    async def work(db: Database) -> tuple[ClientView, DestinationInfo]:
        return await with_wallet(
            settings,
            lambda wallet: clients.add(
                db,
                wallet,
                keys,
                name=name,
                mode=clients.Mode.COMMISSION,
                destination=destination,
                actor=actor(),
            ),
        )

    view, info = with_books(settings, work)
    if as_json:
        print_json({"receiver": client_dict(view), "destination_info": info_dict(info)})
        return
    say(f"Receiver {view.client_id} {view.name!r} is added, paid to {view.destination}.")
    say(answered(info))
    say(f"Next: dca-daemon commission set '{view.name}=PERCENT' …, with the other shares")


@app.command()
def history(
    by: Annotated[Literal["day", "month"], typer.Option("--by", help="What amounts are summed up by.")] = "month",
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Cash-outs from this day, or time, on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Cash-outs before this day, or time.")
    ] = None,
    receiver: Annotated[
        str | None, typer.Option("--receiver", metavar="RECEIVER", help="Only this one's, by id or name.")
    ] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Show the versions of the shares, and what each receiver got, by day or month of the cash-outs.

    Days are those of this computer's zone. What was reversed does not count.
    """
    from dca_daemon.services import commission_history

    from_time, to_time = _time(since), _time(until)
    found = with_books(
        load(),
        lambda db: commission_history.history(
            db,
            by=commission_history.Period(by),
            since=from_time,
            until=to_time,
            receiver=receiver,
            limit=limit,
        ),
    )
    if as_json:
        print_json(
            {
                "versions": [version_dict(v) for v in found.versions],
                "amounts": [amount_dict(a) for a in found.amounts],
            }
        )
        return
    show_versions(found.versions)
    say()
    show_amounts(found.amounts, by)


def _time(text: str | None) -> datetime | None:
    """A day begins at this computer's midnight."""
    if text is None:
        return None
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d").astimezone()
    except ValueError:
        return parse_time(text)


@app.command()
def release(receivers: Receivers = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Have gathered commission paid now, whatever its time or amount. Asks for a confirmation."""
    from dca_daemon.services import commission_release

    wanted = tuple(receivers or ())
    settings = load()
    gathered = with_books(settings, lambda db: commission_release.gathered(db, wanted))
    if not as_json:
        show_gathered(gathered)
    confirm("Pay it now?", yes=yes)
    done = with_books(settings, lambda db: commission_release.release(db, wanted, actor=actor()))
    total = sum(g.sats for g in done)
    if as_json:
        print_json({"released": [gathered_dict(g) for g in done], "released_sats": total})
    else:
        say(f"{sats_text(total)} are payable now.")
        note("The daemon pays them, if it runs and payouts.enabled is true.")
