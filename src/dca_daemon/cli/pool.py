"""`dca-daemon pool`: machines whose cash is shared."""

from __future__ import annotations

from typing import Annotated

import typer

from dca_daemon.cli.context import actor, load, with_books
from dca_daemon.cli.output import AsJson, print_json, print_table, say
from dca_daemon.domain.money import fiat_text

app = typer.Typer(
    name="pool", no_args_is_help=True, help="Pools of machines: a cash-out is shared within its machine's pool."
)


@app.command("list")
def list_pools(as_json: AsJson = False) -> None:
    """List the pools, with their machines and cash."""
    from dca_daemon.cli.cash_views import pool_dict
    from dca_daemon.services import cash_report

    found = with_books(load(), cash_report.report)
    if as_json:
        print_json({"pools": [pool_dict(one) for one in found]})
        return
    print_table(
        ("id", "name", "currency", ">machines", ">cash", ">clients' part", ">house's part"),
        (
            (
                p.pool.pool_id,
                p.pool.name,
                p.pool.currency,
                sum(machine.here and machine.device_id is not None for machine in p.machines),
                *(fiat_text(m, p.pool.currency) for m in (p.cash_minor, p.clients_minor, p.house_minor)),
            )
            for p in found
        ),
        empty="There is no pool yet: set pool.currency, then run: dca-daemon db upgrade",
    )


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of its own among the pools.")],
    currency: Annotated[str, typer.Argument(metavar="CURRENCY", help="ISO 4217, such as GTQ.")],
    as_json: AsJson = False,
) -> None:
    """Open another pool. Machines are put into it by `machine move`."""
    from dca_daemon.services import pools

    added = with_books(load(), lambda db: pools.add(db, name=name, currency=currency, actor=actor()))
    if as_json:
        print_json({"pool": {"id": added.pool_id, "name": added.name, "currency": added.currency}})
    else:
        say(f"Pool {added.pool_id} {added.name!r} is open, in {added.currency}.")


@app.command()
def show(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="The pool's id or name.")], as_json: AsJson = False
) -> None:
    """Show one pool: the cash that should be in its machines, and whose it is."""
    from dca_daemon.cli.cash_views import pool_dict, show_pool
    from dca_daemon.services import cash_report

    (found,) = with_books(load(), lambda db: cash_report.report(db, pool))
    if as_json:
        print_json({"pool": pool_dict(found)})
    else:
        show_pool(found)
