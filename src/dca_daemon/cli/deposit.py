"""`dca-daemon deposit`: notes that clients handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dca_daemon.cli.context import actor, load, usage_error, with_books
from dca_daemon.cli.output import AsJson, Limit, Yes, iso, print_json, print_table, say, when
from dca_daemon.domain.money import fiat_text
from dca_daemon.domain.wording import fiat_json

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.deposits import BalanceChange, DepositView

app = typer.Typer(
    name="deposit", no_args_is_help=True, help="Clients' deposits: recorded, then confirmed once in the machine."
)

DepositId = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="The deposit's number.")]

Machine = Annotated[
    str | None,
    typer.Option("--machine", metavar="MACHINE", help="Which machine the notes are in, by name or device id."),
]


def as_dict(deposit: DepositView) -> dict[str, Any]:
    """A deposit for scripts."""
    return {
        "id": deposit.deposit_id,
        "client_id": deposit.client_id,
        "client": deposit.client,
        "pool_id": deposit.pool_id,
        "pool": deposit.pool,
        "device_id": deposit.device_id,
        "amount": fiat_json(deposit.amount_minor, deposit.currency),
        "currency": deposit.currency,
        "state": deposit.state,
        "note": deposit.note,
        "recorded_at": iso(deposit.recorded_at),
        "confirmed_at": iso(deposit.confirmed_at),
        "voided_at": iso(deposit.voided_at),
        "void_reason": deposit.void_reason,
    }


def _show_change(change: BalanceChange, *, as_json: bool) -> None:
    deposit = change.deposit
    if as_json:
        print_json(
            {
                "deposit": as_dict(deposit),
                "balance_before": fiat_json(change.before_minor, deposit.currency),
                "balance_after": fiat_json(change.after_minor, deposit.currency),
                "currency": deposit.currency,
            }
        )
        return
    amount = fiat_text(deposit.amount_minor, deposit.currency)
    before, after = (fiat_text(minor, deposit.currency) for minor in (change.before_minor, change.after_minor))
    say(f"Deposit {deposit.deposit_id} of {amount} is {deposit.state}.")
    if before == after:
        say(f"The balance of {deposit.client} stays {after}.")
    else:
        say(f"The balance of {deposit.client} goes from {before} to {after}.")


@app.command()
def record(
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id or name.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 1000 or 1000.50.")],
    currency: Annotated[
        str | None, typer.Option("--currency", metavar="CODE", help="A check: refused unless it is the pool's.")
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            "--pool", metavar="POOL", help="Whose machines it is for, by id or name. Default: the default pool."
        ),
    ] = None,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Kept with the deposit.")] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="The notes are in the machine: confirm at once.")
    ] = False,
    machine: Machine = None,
    as_json: AsJson = False,
) -> None:
    """Write down that a client handed over notes. They count only once confirmed."""
    from dca_daemon.services import deposits

    if machine is not None and not confirm:
        raise usage_error("--machine goes with --confirm: which machine the notes are in")

    async def work(db: Database) -> DepositView | BalanceChange:
        recorded = await deposits.record(
            db, client=client, amount=amount, currency=currency, note=note, actor=actor(), pool=pool
        )
        if not confirm:
            return recorded
        return await deposits.confirm(db, recorded.deposit_id, actor=actor(), machine=machine)

    done = with_books(load(), work)
    if isinstance(done, deposits.BalanceChange):
        _show_change(done, as_json=as_json)
    elif as_json:
        print_json({"deposit": as_dict(done)})
    else:
        amount_text = fiat_text(done.amount_minor, done.currency)
        say(f"Deposit {done.deposit_id} of {amount_text} by {done.client} is pending.")
        say(f"Once the notes are in the machine: dca-daemon deposit confirm {done.deposit_id}")


@app.command()
def confirm(deposit_id: DepositId, machine: Machine = None, as_json: AsJson = False) -> None:
    """Say that a deposit's notes are in the machine: the client's balance grows by them, once."""
    from dca_daemon.services import deposits

    change = with_books(load(), lambda db: deposits.confirm(db, deposit_id, actor=actor(), machine=machine))
    _show_change(change, as_json=as_json)


@app.command("give-back")
def give_back(
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id or name.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 1000 or 1000.50.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the books.")],
    pool: Annotated[
        str | None,
        typer.Option(
            "--pool", metavar="POOL", help="Out of which pool, by id or name. Default: the default pool."
        ),
    ] = None,
    machine: Machine = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give notes back to a client: never more than it has left in that pool. Asks for a confirmation."""
    from dca_daemon.cli.cash_views import carry_out
    from dca_daemon.services import cash

    carry_out(
        lambda db, rehearse: cash.give_back(
            db, client, amount, machine=machine, pool=pool, reason=reason, actor=actor(), rehearse=rehearse
        ),
        yes=yes,
        as_json=as_json,
    )


@app.command()
def void(
    deposit_id: DepositId,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the deposit.")],
    as_json: AsJson = False,
) -> None:
    """Take back a deposit that was entered by mistake.

    A confirmed one is reversed in the books; that is refused when part of it has bought bitcoin already.
    """
    from dca_daemon.services import deposits

    change = with_books(load(), lambda db: deposits.void(db, deposit_id, reason=reason, actor=actor()))
    _show_change(change, as_json=as_json)


@app.command("list")
def list_deposits(
    client: Annotated[
        str | None, typer.Option("--client", metavar="CLIENT", help="Only this client's, by id or name.")
    ] = None,
    state: Annotated[
        Literal["pending", "confirmed", "void"] | None, typer.Option("--state", help="Only those in this state.")
    ] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List deposits, the newest first."""
    from dca_daemon.services import deposits

    found = with_books(load(), lambda db: deposits.list_all(db, client=client, state=state, limit=limit))
    if as_json:
        print_json({"deposits": [as_dict(deposit) for deposit in found]})
        return
    print_table(
        ("id", "client", "pool", ">amount", "state", "recorded", "confirmed", "~note"),
        (
            (
                d.deposit_id,
                d.client,
                d.pool,
                fiat_text(d.amount_minor, d.currency),
                d.state,
                when(d.recorded_at),
                when(d.confirmed_at),
                d.void_reason or d.note,
            )
            for d in found
        ),
        empty="There are no such deposits.",
    )
