"""`dca-daemon ledger`: the books themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dca_daemon.cli.context import load, with_books
from dca_daemon.cli.files import STDOUT, output_to
from dca_daemon.cli.output import AsJson, Limit, iso, note, print_json, print_table, say, when
from dca_daemon.cli.spans import Since, Until, Zone, read_span, read_zone
from dca_daemon.domain.errors import BooksError
from dca_daemon.domain.wording import unit_json, unit_text

if TYPE_CHECKING:
    from dca_daemon.ledger.reports import AccountBalance

app = typer.Typer(name="ledger", no_args_is_help=True, help="The books: balances, statements, and their proof.")


def _account_dict(account: AccountBalance) -> dict[str, Any]:
    return {
        "account": account.name,
        "unit": account.unit,
        "kind": account.kind,
        "balance": unit_json(account.balance, account.unit),
        "postings": account.postings,
    }


@app.command()
def balances(
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="UNIT", help="Only accounts in this unit: msat, or a currency.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List every account with its balance, on the side where it normally stands."""
    from dca_daemon.ledger import reports

    found = with_books(load(), lambda db: reports.balances(db, unit=unit))
    if as_json:
        print_json({"accounts": [_account_dict(account) for account in found]})
        return
    print_table(
        ("account", "kind", ">balance", ">postings"),
        ((a.name, a.kind, unit_text(a.balance, a.unit), a.postings) for a in found),
        empty="There are no such accounts yet.",
    )


@app.command()
def statement(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Such as house:sats or client:1:fiat:1.")],
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show an account's newest postings, newest first. Debits are positive, credits negative."""
    from dca_daemon.ledger import reports

    head, lines = with_books(load(), lambda db: reports.statement(db, account, limit=limit))
    if as_json:
        print_json(
            {
                **_account_dict(head),
                "lines": [
                    {
                        "entry_id": line.entry_id,
                        "happened_at": iso(line.happened_at),
                        "written_at": iso(line.written_at),
                        "template": line.template,
                        "cause": line.cause,
                        "actor": line.actor,
                        "amount": unit_json(line.amount, head.unit),
                        "balance_after": unit_json(line.balance_after, head.unit),
                    }
                    for line in lines
                ],
            }
        )
        return
    print_table(
        ("entry", "happened", "what", "~cause", "by", ">amount", ">balance after"),
        (
            (
                line.entry_id,
                when(line.happened_at),
                line.template,
                line.cause,
                line.actor,
                unit_text(line.amount, head.unit),
                unit_text(line.balance_after, head.unit),
            )
            for line in lines
        ),
        title=f"{head.name} ({head.kind}): {unit_text(head.balance, head.unit)}",
        empty="It has no postings.",
    )


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Sum the books again and compare with what is kept. Exit status 1 when anything does not hold."""
    from dca_daemon.ledger.verify import verify as verify_books

    checks = with_books(load(), verify_books)
    wrong = [check for check in checks if not check.holds]
    if as_json:
        print_json(
            {
                "holds": not wrong,
                "checks": [
                    {"name": c.name, "text": c.text, "holds": c.holds, "findings": list(c.findings)}
                    for c in checks
                ],
            }
        )
    else:
        print_table(
            ("", "check", "~what must hold"),
            (("holds" if c.holds else "BROKEN", c.name, c.text) for c in checks),
            empty="There is nothing to check.",
        )
        for check in wrong:
            say(f"\n{check.name}:")
            for finding in check.findings:
                say(f"  {finding}")
    if wrong:
        raise BooksError(
            f"the books do not hold: {', '.join(check.name for check in wrong)}",
            remedy="stop the daemon, keep the database as it is, and find out what changed it",
        )


@app.command()
def export(
    form: Annotated[
        Literal["json", "csv", "beancount", "hledger"],
        typer.Option("--format", help="json, csv: for scripts. beancount, hledger: for these programs."),
    ],
    since: Since = None,
    until: Until = None,
    zone: Zone = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to stdout.")
    ] = None,
) -> None:
    """Write the journal for an accountant's program, or for scripts.

    By when things happened. A part carries the balances from before it, so that it is complete by itself; a
    Beancount or hledger file ends with assertions of every account's balance, which these programs check.
    """
    from dca_daemon.ledger.export.export import ExportFormat
    from dca_daemon.ledger.export.export import export as export_journal
    from dca_daemon.ledger.export.journal import Span

    days_of = read_zone(zone)
    span = Span(*read_span(since, until, days_of), days_of)
    settings = load()
    with output_to(output) as write:
        count = with_books(settings, lambda db: export_journal(db, span, ExportFormat(form), write))
    if output is not None and output != STDOUT:
        note(f"{count} entries are in {output}.")
