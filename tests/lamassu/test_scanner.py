"""The scanner: alone, with the listener, over outages, and with rows that the books refuse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import psycopg
import pytest
from structlog.testing import capture_logs

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.atm_scenarios import begin, run
from dca_daemon.domain.cash_out import SourceRow, Verdict, classify
from dca_daemon.domain.errors import SourceError
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.listener import Listener
from dca_daemon.lamassu.scanner import ScanConfig, Scanner
from dca_daemon.lamassu.source import LamassuSource, RowDigest
from dca_daemon.lamassu.trigger import install
from tests.fixtures.postgres import LamassuDb

SOON_SECONDS = 20
LONG_AGO = timedelta(days=30)
NEVER = 3600.0


class Books:
    """Stands in for the books: remembers each row's digest, and can be away or refuse a row."""

    def __init__(self) -> None:
        self.rows: dict[str, SourceRow] = {}
        self.pages: list[int] = []
        self.refused: set[str] = set()
        self.away = False
        self.missed = asyncio.Event()
        self._changed = asyncio.Condition()

    async def outdated(self, digests: Sequence[RowDigest]) -> list[str]:
        self._must_be_here()
        known = {external_id: row.digest for external_id, row in self.rows.items()}
        return [d.external_id for d in digests if known.get(d.external_id) != d.digest]

    async def sink(self, rows: list[SourceRow]) -> None:
        self._must_be_here()
        if any(row.external_id in self.refused for row in rows):
            raise ValueError("this row is refused")
        async with self._changed:
            self.pages.append(len(rows))
            self.rows.update({row.external_id: row for row in rows})
            self._changed.notify_all()

    def _must_be_here(self) -> None:
        if self.away:
            self.missed.set()
            raise ConnectionError("the books are away")

    def successes(self) -> set[str]:
        return {row.external_id for row in self.rows.values() if classify(row).verdict is Verdict.SUCCESS}

    async def has(self, ids: set[str]) -> None:
        """Returns when all these are booked as successes."""
        async with asyncio.timeout(SOON_SECONDS), self._changed:
            await self._changed.wait_for(lambda: ids <= self.successes())


@contextlib.asynccontextmanager
async def scanning(
    source: LamassuSource, books: Books, config: ScanConfig | None = None, *, listening: bool = False
) -> AsyncIterator[Scanner]:
    scanner = Scanner(source, books.outdated, books.sink, lambda: listening, config)
    task = asyncio.create_task(scanner.run())
    try:
        yield scanner
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def scans(scanner: Scanner, count: int) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        await scanner.scanned(count)


QUICK = ScanConfig(poll_interval_seconds=0.02, scan_interval_seconds=0.02)
STILL = ScanConfig(poll_interval_seconds=NEVER, scan_interval_seconds=NEVER, sweep_interval_seconds=NEVER)


async def test_it_works_alone(atm: SimulatedAtm, source: LamassuSource) -> None:
    books = Books()
    before = run(atm, "lightning")
    async with scanning(source, books, QUICK) as scanner:
        await books.has({before})
        after = {run(atm, "on-chain"), run(atm, "redeem-later")}
        failed = run(atm, "machine-died")
        await books.has({before, *after})
        await scans(scanner, scanner.status.scans + 2)
        assert failed in books.rows and failed not in books.successes()
        assert scanner.status.rows_seen >= 4 and scanner.status.last_error is None
        assert scanner.lag_seconds is not None and scanner.lag_seconds < SOON_SECONDS


async def test_each_row_is_handed_over_only_when_it_changed(atm: SimulatedAtm, source: LamassuSource) -> None:
    books = Books()
    run(atm, "on-chain")
    async with scanning(source, books, QUICK) as scanner:
        await scans(scanner, 5)
    assert books.pages == [1]


async def test_a_success_that_comes_days_late_is_found(atm: SimulatedAtm, source: LamassuSource) -> None:
    """The row is older than the window: the first scan and the sweeps find it, the ordinary scans do not."""
    books = Books()
    cash_out = begin(atm, "zero-conf-unconfirmed", ago=LONG_AGO)
    async with scanning(source, books, STILL) as scanner:
        await scans(scanner, 1)
        cash_out.run()
        scanner.wake()
        await scans(scanner, 2)
        assert books.successes() == set()
        scanner.wake(sweep=True)
        await books.has({cash_out.id})


async def test_the_sweep_comes_by_itself(atm: SimulatedAtm, source: LamassuSource) -> None:
    books = Books()
    cash_out = begin(atm, "zero-conf-unconfirmed", ago=LONG_AGO)
    config = ScanConfig(poll_interval_seconds=0.02, scan_interval_seconds=0.02, sweep_interval_seconds=0.1)
    async with scanning(source, books, config) as scanner:
        await scans(scanner, 1)
        cash_out.run()
        await books.has({cash_out.id})


async def test_after_time_away_the_first_scan_looks_at_everything(
    atm: SimulatedAtm, source: LamassuSource
) -> None:
    books = Books()
    old = run(atm, "zero-conf-unconfirmed", ago=LONG_AGO)
    async with scanning(source, books, STILL):
        await books.has({old})


async def test_a_notified_id_is_fetched_at_once(atm: SimulatedAtm, source: LamassuSource) -> None:
    books = Books()
    async with scanning(source, books, STILL, listening=True) as scanner:
        await scans(scanner, 1)
        old = run(atm, "zero-conf-unconfirmed", ago=LONG_AGO)
        scanner.notify([old, "nonsense"])
        await books.has({old})
        assert scanner.status.scans == 1


async def test_listener_and_scanner_together(
    lamassu_db: LamassuDb, config: SourceConfig, atm: SimulatedAtm, source: LamassuSource
) -> None:
    await install(lamassu_db.admin_dsn, "dca_cash_out")
    books = Books()
    scanner = Scanner(source, books.outdated, books.sink, lambda: True, STILL)
    listener = Listener(config, scanner.notify, scanner.wake)
    tasks = [asyncio.create_task(scanner.run()), asyncio.create_task(listener.run())]
    try:
        async with asyncio.timeout(SOON_SECONDS):
            await listener.until("listen")
        ids = {await asyncio.to_thread(run, atm, "lightning") for _ in range(5)}
        await books.has(ids)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_wake_during_a_scan_is_followed_by_another(source: LamassuSource, atm: SimulatedAtm) -> None:
    books = Books()
    run(atm, "lightning")
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(digests: Sequence[RowDigest]) -> list[str]:
        inside.set()
        await go_on.wait()
        return await books.outdated(digests)

    scanner = Scanner(source, slow, books.sink, lambda: False, STILL)
    task = asyncio.create_task(scanner.run())
    try:
        async with asyncio.timeout(SOON_SECONDS):
            await inside.wait()
            scanner.wake()
            scanner.wake()
            go_on.set()
            await scanner.scanned(2)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_outage_of_the_source_is_told_once_and_nothing_is_lost(
    atm: SimulatedAtm, source: LamassuSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = Books()
    away = True
    tries = asyncio.Semaphore(0)
    fetch = source.fetch

    async def broken(ids: Sequence[str]) -> list[SourceRow]:
        tries.release()
        if away:
            raise SourceError("Lamassu's database is away")
        return await fetch(ids)

    monkeypatch.setattr(source, "fetch", broken)
    with capture_logs() as logs:
        async with scanning(source, books, STILL) as scanner:
            await scans(scanner, 1)
            external_id = run(atm, "zero-conf-unconfirmed", ago=LONG_AGO)  # no ordinary scan would find it
            scanner.notify([external_id])
            async with asyncio.timeout(SOON_SECONDS):
                for _ in range(3):
                    await tries.acquire()
            assert scanner.status.last_error is not None
            away = False
            await books.has({external_id})
            another = run(atm, "lightning")
            scanner.notify([another])
            await books.has({another})
            assert scanner.status.last_error is None
    events = [line["event"] for line in logs]
    assert events.count("scanner.failed") == 1 and events.count("scanner.recovered") == 1


async def test_an_outage_of_the_books_loses_nothing(atm: SimulatedAtm, source: LamassuSource) -> None:
    books = Books()
    books.away = True
    ids = {run(atm, "lightning"), run(atm, "zero-conf-unconfirmed", ago=LONG_AGO)}
    with capture_logs() as logs:
        async with scanning(source, books, QUICK) as scanner:
            scanner.notify(list(ids))
            async with asyncio.timeout(SOON_SECONDS):
                await books.missed.wait()
            books.away = False
            await books.has(ids)
    failures = [line for line in logs if line["event"] == "scanner.failed"]
    assert len(failures) <= 2 and all("away" in line["error"] for line in failures)


async def test_one_refused_row_does_not_hold_up_the_others(atm: SimulatedAtm, source: LamassuSource) -> None:
    books = Books()
    ids = [run(atm, "lightning") for _ in range(6)]
    books.refused = {ids[2]}
    with capture_logs() as logs:
        async with scanning(source, books, QUICK) as scanner:
            await books.has(set(ids) - books.refused)
            books.refused = set()
            scanner.wake()
            await books.has(set(ids))
    assert {line["external_id"] for line in logs if line["event"] == "scanner.row-refused"} == {ids[2]}


async def test_a_backlog_comes_in_pages(atm: SimulatedAtm, source: LamassuSource) -> None:
    books = Books()
    atm.backlog(250)
    async with scanning(source, books, ScanConfig(fetch_page=100)) as scanner:
        await scans(scanner, 1)
    assert books.pages == [100, 100, 50] and len(books.successes()) == 250


async def test_the_end_of_listening_is_followed_by_polling(
    atm: SimulatedAtm, source: LamassuSource, admin: psycopg.Connection
) -> None:
    books = Books()
    heard = True
    config = ScanConfig(poll_interval_seconds=0.05, scan_interval_seconds=NEVER)
    scanner = Scanner(source, books.outdated, books.sink, lambda: heard, config)
    task = asyncio.create_task(scanner.run())
    try:
        await scans(scanner, 1)
        external_id = run(atm, "lightning")
        heard = False
        await books.has({external_id})
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
