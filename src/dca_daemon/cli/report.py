"""`dca-daemon report`: what clients, the operator and the accountant want to know."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dca_daemon.cli import period_views
from dca_daemon.cli import report_views as views
from dca_daemon.cli.context import load, usage_error, with_books
from dca_daemon.cli.files import STDOUT, output_to
from dca_daemon.cli.output import AsJson, Limit, note, print_json, print_table, say
from dca_daemon.cli.spans import Since, Until, Zone, read_span, read_zone

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.reports.clients import ClientReport, ClientSats, RecordLine

app = typer.Typer(
    name="report", no_args_is_help=True, help="Reports: per client and per period, as tables, CSV or JSON."
)
Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write the lines there as CSV; - is stdout.")
]


def _one_form(csv: Path | None, as_json: bool) -> None:
    if csv is not None and as_json:
        raise usage_error("give --csv or --json, not both")


def _written(csv: Path, lines: int) -> None:
    if csv != STDOUT:
        note(f"{lines} lines are in {csv}.")


@app.command()
def client(
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id or name.")],
    since: Since = None,
    until: Until = None,
    zone: Zone = None,
    limit: Limit = 50,
    csv: Csv = None,
    as_json: AsJson = False,
) -> None:
    """Report on one client: what it handed over, what became of it, and each purchase with its price.

    By when things happened. --csv writes every record of that time, the newest first; --limit is for the screen
    and --json.
    """
    from dca_daemon.services.reports import clients, statement

    _one_form(csv, as_json)
    days_of = read_zone(zone)
    start, stop = read_span(since, until, days_of)

    async def to_csv(db: Database) -> int:
        count = 0
        with output_to(csv) as write:
            async for line in statement.csv_lines(db, client, since=start, until=stop):
                write(line)
                count += 1
        return count - 1  # without the names of the columns

    async def work(db: Database) -> tuple[list[ClientReport], ClientSats, list[RecordLine]]:
        reports, sats = await clients.one_client(db, client, since=start, until=stop)
        lines = clients.record_lines(db, client, since=start, until=stop, limit=limit)
        return reports, sats, [line async for line in lines]

    if csv is not None:
        _written(csv, with_books(load(), to_csv))
        return
    reports, sats, lines = with_books(load(), work)
    if as_json:
        print_json(
            {
                "reports": [views.client_dict(report) for report in reports],
                "sats": views.sats_dict(sats),
                "records": [statement.record_dict(line) for line in lines],
            }
        )
        return
    for report in reports:
        views.show_client(report, days_of)
        say()
    views.show_sats(sats)
    say()
    views.show_records(lines, days_of)


@app.command()
def clients(
    since: Since = None, until: Until = None, zone: Zone = None, csv: Csv = None, as_json: AsJson = False
) -> None:
    """Report on all clients, a line for each and each currency."""
    from dca_daemon.services.reports.clients import all_clients

    _one_form(csv, as_json)
    days_of = read_zone(zone)
    start, stop = read_span(since, until, days_of)
    found = with_books(load(), lambda db: all_clients(db, since=start, until=stop))
    if csv is not None:
        with output_to(csv) as write:
            write(views.csv_line(views.CLIENT_COLUMNS))
            for report in found:
                write(views.csv_line(views.client_values(report)))
        _written(csv, len(found))
    elif as_json:
        print_json({"reports": [views.client_dict(report) for report in found]})
    else:
        views.show_clients(found)


@app.command()
def period(
    by: Annotated[Literal["day", "week", "month"], typer.Option("--by", help="How long a period is.")] = "month",
    since: Since = None,
    until: Until = None,
    zone: Zone = None,
    csv: Csv = None,
    as_json: AsJson = False,
) -> None:
    """Report by day, week (from Monday) or month: volume, commission, house, payouts.

    Nothing is summed across currencies. Distributions that were reversed are shown apart, and count nowhere else.
    --csv writes the lines per currency.
    """
    from dca_daemon.services.reports.periods import By, periods

    _one_form(csv, as_json)
    days_of = read_zone(zone)
    start, stop = read_span(since, until, days_of)
    report = with_books(load(), lambda db: periods(db, by=By(by), zone=days_of, since=start, until=stop))
    if csv is not None:
        with output_to(csv) as write:
            write(views.csv_line(period_views.PERIOD_COLUMNS))
            for line in report.currencies:
                write(views.csv_line(period_views.period_values(line)))
        _written(csv, len(report.currencies))
    elif as_json:
        print_json({"by": by, "zone": days_of.key, **period_views.periods_dict(report)})
    else:
        print_table(
            *period_views.currencies_table(report),
            title=f"By the {by}s of {days_of.key}:",
            empty="Nothing happened.",
        )
        if report.commission:
            say()
            print_table(*period_views.commission_table(report), title="Commission of receivers:", empty="")
        if report.sats:
            say()
            print_table(*period_views.sats_table(report), title="Payouts, and the house in sats:", empty="")
