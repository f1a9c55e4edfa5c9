"""Measures everything (about five minutes), or with `--quick` smaller numbers of everything."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import structlog

from dca_daemon.demo.lnbits_server import LnbitsServer
from dca_daemon.demo.postgres import EmbeddedPostgres
from tests.bench import big_books, console_pages, figures, restore_drill, simulation
from tests.bench.report import Figure, Report, median_ms
from tests.bench.setting import Ground

ROOT = Path(__file__).resolve().parents[2]
BIG_BOOKS = ROOT / ".cache" / "bench-postgres"  # kept: they take minutes to make
RESULTS = ROOT / "build" / "bench.jsonl"


async def measure(ground: Ground, report: Report, *, quick: bool) -> None:
    """All figures, in the order of the table."""
    bare_ms = median_ms(await figures.notify_round_trip_seconds(ground.lamassu()))
    report.add(Figure("bare: NOTIFY round trip with one commit", bare_ms, "ms"))
    for clients in (3, 50, 1000):
        await figures.latency(ground, report, clients, bare_ms)
    for clients in (3, 50, 100 if quick else 1000):
        await figures.settled(ground, report, clients)
    await figures.booking(ground, report, 1_000, 100.0)
    await figures.booking(ground, report, 10_000, 1000.0)
    await figures.backlog(ground, report, 1_000 if quick else 10_000)
    await figures.history(ground, report, 100_000 if quick else 1_000_000)
    await figures.idle(ground, report)


def measure_parts(report: Report, *, quick: bool) -> None:
    """The daemon's own parts."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LnbitsServer(ROOT / ".cache" / "lnbits", Path(folder) / "lnbits") as lnbits,
    ):
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        postgres.start()
        try:
            source = lnbits.create_wallet("source")
            for _ in range(5):
                lnbits.top_up(source.id, 10_000_000)
            wallets = [lnbits.create_wallet(f"client {n}") for n in range(10)]
            for wallet in (source, *wallets):
                lnbits.set_currency(wallet.adminkey, "")
            asyncio.run(measure(Ground(postgres, lnbits, wallets, source), report, quick=quick))
        finally:
            postgres.destroy()


def measure_simulation(report: Report, *, quick: bool) -> None:
    """`simulate`, on a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        postgres.start()
        try:
            asyncio.run(simulation.measure(postgres, report, quick=quick))
        finally:
            postgres.destroy()


def measure_pages(report: Report, *, quick: bool) -> None:
    """The console on big books, on a server of their own."""
    with EmbeddedPostgres(BIG_BOOKS, big_books.SETTINGS) as server:
        asyncio.run(console_pages.measure(server, report, quick=quick))


def measure_drill(report: Report, *, quick: bool) -> None:
    """A restore of big books, from the same server."""
    with EmbeddedPostgres(BIG_BOOKS, big_books.SETTINGS) as server:
        asyncio.run(restore_drill.measure(server, report, quick=quick))


def main() -> int:
    """Prints the table, writes build/bench.jsonl; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller numbers, for a first look")
    parser.add_argument("--pages", action="store_true", help="the console's pages only")
    parser.add_argument("--drill", action="store_true", help="the drill of a restore only")
    parser.add_argument("--simulation", action="store_true", help="`dca-daemon simulate` only")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    report = Report()
    only = arguments.pages or arguments.drill or arguments.simulation
    if not only:
        measure_parts(report, quick=arguments.quick)
    if arguments.simulation or not only:
        measure_simulation(report, quick=arguments.quick)
    if arguments.pages or not only:
        measure_pages(report, quick=arguments.quick)
    if arguments.drill or not only:
        measure_drill(report, quick=arguments.quick)
    report.write(RESULTS)
    report.console.file = sys.stdout
    report.console.print(report.table())
    if report.pages:
        report.console.print(report.pages_table())
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
