"""`dca-daemon simulate`: what past cash-outs would have come to."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dca_daemon.cli import shadow_json, shadow_views
from dca_daemon.cli.context import load, usage_error
from dca_daemon.cli.output import AsJson, note, print_json, print_table, say, when
from dca_daemon.cli.spans import Until, Zone, read_span, read_zone
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.domain.wording import NOTHING

if TYPE_CHECKING:
    from dca_daemon.runtime.settings import Settings
    from dca_daemon.runtime.shadow import Outcome, ShadowConfig
    from dca_daemon.services.shadow.report import Report

ClientsFile = Annotated[
    Path | None,
    typer.Option("--clients", metavar="FILE", help="Clients and deposits from a TOML file, not from the books."),
]
Method = Annotated[
    SplitMethod | None,
    typer.Option("--split-method", help="How to split, instead of as lamassu.split_method says."),
]
ChargeRule = Annotated[
    Charge | None, typer.Option("--charge", help="What clients are charged, instead of as lamassu.charge says.")
]
ScratchDatabase = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="NAME",
        help="Of the scratch books, on the server of ours; else the name of ours with _shadow after it.",
    ),
]
Few = Annotated[
    int, typer.Option("--limit", min=0, max=1_000_000, metavar="N", help="List at most so many single cash-outs.")
]


def register(app: typer.Typer) -> None:
    """Adds the command to the program."""
    app.command()(simulate)


def simulate(
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="From then on: a date, or a time with its zone.")
    ],
    until: Until = None,
    zone: Zone = None,
    clients: ClientsFile = None,
    then: Annotated[
        bool,
        typer.Option(
            "--balances-then",
            help="Begin with the balances of that time, and let what came and went since do so at its time; "
            "else with those of now.",
        ),
    ] = False,
    split_method: Method = None,
    charge: ChargeRule = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Twice: as the configuration says too, side by side.")
    ] = False,
    database: ScratchDatabase = None,
    limit: Few = 20,
    as_json: AsJson = False,
) -> None:
    """Show what past cash-outs would have come to: shares, commission, the house, and what would wait in review.

    Lamassu's history is put through the real intake, on scratch books apart from ours. Nothing is paid or booked;
    LNbits is not asked, and needs no key. The baseline does not count.
    """
    settings = load()
    if compare and split_method is None and charge is None:
        raise usage_error("--compare goes with --split-method or --charge")
    start, stop = read_span(since, until, read_zone(zone))
    asked = shadow_config(settings, clients, database, split_method, charge)
    plain = shadow_config(settings, clients, database, None, None) if compare else None

    def run(config: ShadowConfig) -> Outcome:
        from dca_daemon.runtime.shadow import Span, run_simulation
        from dca_daemon.services.shadow.simulate import Balances

        assert start is not None
        dated = then or clients is not None
        span = Span(since=start, until=stop, balances=Balances.THEN if dated else Balances.NOW)
        return asyncio.run(run_simulation(config, span, limit=limit, progress=_progress))

    found = run(asked)
    configured = None if plain is None else run(plain)
    if as_json:
        compared = {} if configured is None else {"configured": shadow_json.outcome_dict(configured)}
        about = {key: found.report.about.get(key) for key in ("since", "until", "balances")}
        print_json({**about, **shadow_json.outcome_dict(found), "seconds": found.seconds, **compared})
        return
    say(f"Cash-outs from {when(start)} {'on' if stop is None else f'to {when(stop)}'}")
    shadow_views.show(found)
    if configured is not None:
        say()
        _show_both(found.report, configured.report)
    say(shadow_views.NOTHING_HAPPENED)


def shadow_config(
    settings: Settings,
    clients: Path | None,
    database: str | None,
    split_method: SplitMethod | None,
    charge: Charge | None,
) -> ShadowConfig:
    """From the settings and the options. Asks for no section that says how to pay."""
    from dataclasses import replace

    from dca_daemon.runtime import wiring
    from dca_daemon.runtime.shadow import ShadowConfig

    settings.require("database", "pool", "lamassu")
    intake = wiring.intake_config(settings)
    return ShadowConfig(
        books_url=settings.database.sqlalchemy_url,
        database=database,
        clients_file=clients,
        pool_name=settings.pool.name,
        currency=settings.pool.currency,
        source=wiring.source_config(settings),
        scans=wiring.scan_config(settings),
        intake=replace(
            intake,
            split_method=split_method or intake.split_method,
            charge=charge or intake.charge,
        ),
    )


def _progress(count: int) -> None:
    if sys.stderr.isatty():
        note(f"{count} cash-outs …")


def _show_both(asked: Report, configured: Report) -> None:
    """The figures that the rules change, side by side."""
    print_table(
        ("", f">{_rules(configured)}", f">{_rules(asked)}"),
        [*_pool_rows(asked, configured), *_client_rows(asked, configured)],
        title="As configured, and as asked",
        empty="",
    )


def _rules(report: Report) -> str:
    return f"{report.about.get('split_method')}, {report.about.get('charge')}"


def _pool_rows(asked: Report, configured: Report) -> list[tuple[str, str, str]]:
    rows = []
    for there, here in zip(configured.pools, asked.pools, strict=True):
        code = here.currency
        rows += [
            (f"{here.pool}: charge", fiat_text(there.charge_minor, code), fiat_text(here.charge_minor, code)),
            (f"{here.pool}: to clients", sats_text(there.clients_sats), sats_text(here.clients_sats)),
            (f"{here.pool}: commission", sats_text(there.commission_sats), sats_text(here.commission_sats)),
            (f"{here.pool}: house", sats_text(there.house_sats), sats_text(here.house_sats)),
        ]
    return rows


def _client_rows(asked: Report, configured: Report) -> list[tuple[str, str, str]]:
    before = {(c.client_id, c.pool_id): c for c in configured.clients}
    rows = []
    for c in asked.clients:
        there = before.get((c.client_id, c.pool_id))
        rows.append((c.client, NOTHING if there is None else sats_text(there.sats), sats_text(c.sats)))
    return rows
