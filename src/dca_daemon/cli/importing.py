"""`dca-daemon import`: clients and balances from another program."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dca_daemon.cli import importing_views as views
from dca_daemon.cli.context import actor, confirm, load, read_secret_file, usage_error, with_books, with_wallet
from dca_daemon.cli.output import AsJson, Yes, note, print_json, say
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import fiat_text

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.importing.receivers import Receiver
    from dca_daemon.services.importing.satmachine import Plan
    from dca_daemon.services.importing.tables import Tables, Wallet
    from dca_daemon.services.pools import Pool

app = typer.Typer(
    name="import", no_args_is_help=True, help="Move over from another program, without losing a centavo."
)
DSN_ENV = "SATMACHINE_POSTGRES_DSN"


@app.callback()
def group() -> None:
    """A group even while there is one command."""


@app.command()
def satmachine(
    sqlite: Annotated[
        Path | None, typer.Option("--sqlite", metavar="FILE", help="Its SQLite file, ext_satmachineadmin.sqlite3.")
    ] = None,
    postgres: Annotated[
        bool, typer.Option("--postgres", help=f"LNbits' PostgreSQL, whose address {DSN_ENV} holds.")
    ] = False,
    postgres_file: Annotated[
        Path | None, typer.Option("--postgres-file", metavar="PATH", help="The same, its address from a file.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FOLDER", help="dca_clients.csv, dca_deposits.csv, dca_payments.csv."),
    ] = None,
    schema: Annotated[
        str, typer.Option("--schema", metavar="NAME", help="The extension's schema in PostgreSQL.")
    ] = "satmachineadmin",
    amounts: Annotated[
        Literal["main", "minor"] | None,
        typer.Option("--amounts", help="What 1000 is in their tables: main: 1,000 GTQ. minor: 1,000 centavos."),
    ] = None,
    lnbits_sqlite: Annotated[
        Path | None,
        typer.Option("--lnbits-sqlite", metavar="FILE", help="LNbits' own database.sqlite3, for invoice keys."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys", metavar="FILE", help="CSV: wallet or client, then invoice key or Lightning address."
        ),
    ] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", metavar="POOL", help="Which pool, by id or name; else the default one.")
    ] = None,
    pending_payments: Annotated[
        Literal["refuse", "paid", "unpaid"],
        typer.Option("--pending-payments", help="What payments are that their tables call pending."),
    ] = "refuse",
    round_amounts: Annotated[
        bool, typer.Option("--round", help="Round what is finer than the currency's unit; else it is refused.")
    ] = False,
    no_check: Annotated[bool, typer.Option("--no-check", help="Do not ask LNbits for each destination.")] = False,
    write_clients: Annotated[
        Path | None,
        typer.Option(
            "--write-clients",
            metavar="FILE",
            help="Only write what each has left to a file for simulate and shadow; - for stdout.",
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this it is only shown.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take over the clients of the LNbits extension satmachineadmin, with what each has left.

    A dry run, unless --apply is given: each client's figures there and here, the sums, and every problem. With
    any problem nothing is imported. What is left becomes one confirmed deposit, and what had been bought is kept
    for the reports; nothing is paid by it.
    """
    from dca_daemon.runtime.wiring import key_ring
    from dca_daemon.services.importing import apply as applying
    from dca_daemon.services.importing import receivers as receiving

    settings = load()
    tables, wallets, given = _read(sqlite, postgres, postgres_file, csv, schema, lnbits_sqlite, keys)
    if amounts is None:
        raise usage_error(_ask_amounts(tables))
    if write_clients is not None:
        if apply or as_json:
            raise usage_error("--write-clients goes without --apply and --json: nothing is imported by it")
        _write_clients(tables, settings.pool.currency, amounts, pending_payments, round_amounts, write_clients)
        return
    ring = key_ring(settings)

    async def look(db: Database) -> tuple[Plan, dict[str, Receiver], Pool]:
        from dca_daemon.services.importing.satmachine import Amounts, PendingPayments, Rules, plan
        from dca_daemon.services.pools import DEFAULT_POOL_ID

        where = await applying.choose_pool(db, pool, DEFAULT_POOL_ID)
        rules = Rules(where.currency, Amounts(amounts), PendingPayments(pending_payments), round_amounts)
        found = plan(tables, rules)
        found.problems.extend(await applying.conflicts(db, found))
        history = await applying.unknown_history(db, found)
        found.notes.extend([] if history is None else [history])
        chosen, without = receiving.receivers(found, wallets, given)
        found.problems.extend(without)
        if not no_check:
            chosen, wrong = await with_wallet(
                settings, lambda wallet: receiving.check_receivers(wallet, found, chosen)
            )
            found.problems.extend(wrong)
        return found, chosen, where

    found, chosen, where = with_books(settings, look)
    if found.problems or not apply:
        _show(found, chosen, as_json=as_json)
        _refuse(found)
        return
    _confirm(found, chosen, where, yes=yes)
    import_id, done = with_books(
        settings,
        lambda db: applying.apply(db, ring, found, chosen, where, origin=tables.origin, actor=actor()),
    )
    if as_json:
        print_json(views.done_dict(import_id, found, done))
    else:
        views.show_done(import_id, found, done)


def _write_clients(
    tables: Tables, currency: str, amounts: str, pending_payments: str, rounding: bool, path: Path
) -> None:
    from dca_daemon.cli.files import output_to
    from dca_daemon.services.importing.clients_file import clients_file
    from dca_daemon.services.importing.satmachine import Amounts, PendingPayments, Rules, plan

    found = plan(tables, Rules(currency, Amounts(amounts), PendingPayments(pending_payments), rounding))
    if found.problems:
        count = "1 problem" if len(found.problems) == 1 else f"{len(found.problems)} problems"
        raise InputError(f"{count} in their tables: nothing was written", remedy=found.problems[0])
    with output_to(path) as write:
        write(clients_file(found, tables.origin))
    note(f"{len(found.clients)} clients with {fiat_text(found.sums()['left_minor'], currency)} left")


def _show(found: Plan, chosen: dict[str, Receiver], *, as_json: bool) -> None:
    if as_json:
        print_json(views.plan_dict(found, chosen))
        return
    views.show_plan(found, chosen)
    if not found.problems:
        say("Nothing was changed: this was a dry run. To import: the same with --apply")


def _refuse(found: Plan) -> None:
    if found.problems:
        count = "1 problem" if len(found.problems) == 1 else f"{len(found.problems)} problems"
        raise InputError(f"{count}: nothing was imported", remedy=found.problems[0])
    if not found.clients:
        raise InputError("there is no client to import")


def _confirm(found: Plan, chosen: dict[str, Receiver], where: Pool, *, yes: bool) -> None:
    if not yes and sys.stdin.isatty():
        views.show_plan(found, chosen)
    left = fiat_text(found.sums()["left_minor"], found.currency)
    confirm(f"Import {len(found.clients)} clients with {left} into the pool {where.name!r}?", yes=yes)


def _read(
    sqlite: Path | None,
    postgres: bool,
    postgres_file: Path | None,
    csv: Path | None,
    schema: str,
    lnbits_sqlite: Path | None,
    keys: Path | None,
) -> tuple[Tables, dict[str, Wallet], dict[str, str]]:
    from dca_daemon.services.importing import tables as reading

    if [sqlite is not None, postgres, postgres_file is not None, csv is not None].count(True) != 1:
        raise usage_error("say where to read: one of --sqlite, --postgres, --postgres-file, --csv")
    wallets: dict[str, Wallet] = {}
    if sqlite is not None:
        found = reading.from_sqlite(sqlite)
    elif csv is not None:
        found = reading.from_csv(csv)
    else:
        dsn = _dsn(postgres_file)
        found = reading.from_postgres(dsn, schema)
        wallets = reading.wallets_from_postgres(dsn)
    if lnbits_sqlite is not None:
        wallets = reading.wallets_from_sqlite(lnbits_sqlite)
    return found, wallets, {} if keys is None else reading.destinations_from_csv(keys)


def _dsn(path: Path | None) -> str:
    if path is not None:
        return read_secret_file(path, "the address of LNbits' PostgreSQL")
    dsn = os.environ.get(DSN_ENV, "").strip()
    if not dsn:
        raise InputError(f"{DSN_ENV} is not set", remedy="put the address of LNbits' PostgreSQL there")
    return dsn


def _ask_amounts(tables: Tables) -> str:
    """Their tables do not tell what they count in: show one, so that a person can."""
    examples: list[Any] = [row["amount"] for row in tables.rows["dca_deposits"][:3]]
    shown = ", ".join(str(example) for example in examples) or "none"
    return (
        f"give --amounts main or minor: are their deposits ({shown}) in whole units of the currency, or in cents?"
    )
