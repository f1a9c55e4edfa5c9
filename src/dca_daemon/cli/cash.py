"""`dca-daemon cash`: the notes in the machines."""

from __future__ import annotations

from typing import Annotated

import typer

from dca_daemon.cli.context import actor, load, with_books
from dca_daemon.cli.output import AsJson, Yes, print_json, say

app = typer.Typer(
    name="cash", no_args_is_help=True, help="Cash in the machines: what should be there, and whose it is."
)

Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 1000 or 1000.50.")]
Machine = Annotated[
    str | None, typer.Option("--machine", metavar="MACHINE", help="At which machine, by name or device id.")
]
PoolOption = Annotated[
    str | None,
    typer.Option(
        "--pool", metavar="POOL", help="In which pool, by id or name. Default: the machine's, or the default pool."
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the books.")]


@app.command()
def refill(
    amount: Amount,
    reason: Reason,
    machine: Machine = None,
    pool: PoolOption = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Book notes of the house's that were put into a machine. Clients' notes are deposits. Asks."""
    from dca_daemon.cli.cash_views import carry_out
    from dca_daemon.services import cash

    carry_out(
        lambda db, rehearse: cash.refill(
            db, amount, machine=machine, pool=pool, reason=reason, actor=actor(), rehearse=rehearse
        ),
        yes=yes,
        as_json=as_json,
    )


@app.command()
def remove(
    amount: Amount,
    reason: Reason,
    machine: Machine = None,
    pool: PoolOption = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Book notes that were taken out of a machine. What a client gets back is `deposit give-back`. Asks."""
    from dca_daemon.cli.cash_views import carry_out
    from dca_daemon.services import cash

    carry_out(
        lambda db, rehearse: cash.remove(
            db, amount, machine=machine, pool=pool, reason=reason, actor=actor(), rehearse=rehearse
        ),
        yes=yes,
        as_json=as_json,
    )


@app.command()
def report(pool: PoolOption = None, as_json: AsJson = False) -> None:
    """Show the cash that should be in each machine, and whose it is. It must agree with the books."""
    from dca_daemon.cli.cash_views import pool_dict, show_pool
    from dca_daemon.services import cash_report

    found = with_books(load(), lambda db: cash_report.report(db, pool))
    if as_json:
        print_json({"pools": [pool_dict(one) for one in found]})
        return
    for number, one in enumerate(found):
        if number:
            say()
        show_pool(one)
