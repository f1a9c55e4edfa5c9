"""`dca-daemon shadow` and `simulate`: scratch books, the clients they begin with, and the work on them.

It is handed addresses and rules only. No wallet, no key and no payer can be reached from here (import-linter).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.scanner import ScanConfig
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.ledger import migrate, scratch
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.scratch import Place, Purpose
from dca_daemon.runtime.supervisor import stop_on_signals
from dca_daemon.runtime.tasks import until_stopped
from dca_daemon.services import intake
from dca_daemon.services.baseline import Baseline
from dca_daemon.services.intake import IntakeConfig, IntakeResult
from dca_daemon.services.shadow import planting
from dca_daemon.services.shadow.differences import Comparison, compare
from dca_daemon.services.shadow.from_books import BooksClients
from dca_daemon.services.shadow.from_file import FileClients
from dca_daemon.services.shadow.history import as_second_reader
from dca_daemon.services.shadow.opening import Clients, Opening
from dca_daemon.services.shadow.report import Report, report
from dca_daemon.services.shadow.simulate import Balances, simulate
from dca_daemon.services.shadow.watch import Shadow

_BOOKS, _FILE = "books", "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowConfig:
    """What both work with.

    `clients_file`: None takes the clients of the books. `database`: of the scratch books; None: named after ours.
    """

    books_url: str
    database: str | None
    clients_file: Path | None
    pool_name: str
    currency: str
    source: SourceConfig
    scans: ScanConfig
    intake: IntakeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which cash-outs a simulation takes, and what the clients begin with."""

    since: datetime
    until: datetime | None
    balances: Balances

    def about(self) -> dict[str, str]:
        """For people, beside whose clients they are."""
        until = {} if self.until is None else {"until": self.until.isoformat()}
        return {"since": self.since.isoformat(), **until, "balances": self.balances}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has come of it. `comparison`: with the same cash-outs in the books, where that can be compared."""

    report: Report
    comparison: Comparison | None
    seconds: float = 0.0


@contextmanager
def _shown_not_warned_of() -> Iterator[None]:
    """What would wait for review is what is shown here: an alert that reads the log must not take it for true."""
    logger = logging.getLogger(intake.__name__)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@asynccontextmanager
async def _clients(config: ShadowConfig) -> AsyncIterator[Clients]:
    if config.clients_file is not None:
        yield FileClients(config.clients_file, pool_name=config.pool_name, currency=config.currency)
        return
    async with _books(config) as books:
        yield BooksClients(books)


@asynccontextmanager
async def _books(config: ShadowConfig) -> AsyncIterator[Database]:
    """In sessions that can't change anything."""
    books = Database(scratch.read_only(config.books_url), pool_size=1, application_name="dca-daemon shadow")
    try:
        await migrate.check_revision(books)
        yield books
    finally:
        await books.close()


def _about(config: ShadowConfig, clients: Clients) -> dict[str, str]:
    return {
        "clients": clients.origin,
        "from": _BOOKS if clients.follows_books else _FILE,
        "split_method": config.intake.split_method,
        "charge": config.intake.charge,
    }


async def run_simulation(
    config: ShadowConfig, span: Span, *, limit: int, progress: Callable[[int], None] = lambda count: None
) -> Outcome:
    """One whole simulation in a place that is empty before and gone afterwards. Raises `DcaError`."""
    where = scratch.place(config.books_url, Purpose.SIMULATION, database=config.database)
    source = LamassuSource(as_second_reader(config.source, "dca-daemon simulate"))
    try:
        with _shown_not_warned_of():
            return await _simulate(where, source, config, span, limit, progress)
    finally:
        await source.close()


async def _simulate(
    where: Place,
    source: LamassuSource,
    config: ShadowConfig,
    span: Span,
    limit: int,
    progress: Callable[[int], None],
) -> Outcome:
    began = time.monotonic()
    async with _clients(config) as clients, scratch.occupied(where, afresh=True) as db:
        await planting.begin(db, {**_about(config, clients), **span.about()})
        await simulate(
            db,
            source,
            clients,
            config.intake,
            since=span.since,
            until=span.until,
            balances=span.balances,
            progress=progress,
        )
        found = await report(db, limit=limit)
        comparable = clients.follows_books and span.balances is Balances.THEN
        comparison = await _compare(config, db, limit) if comparable else None
        return Outcome(found, comparison, round(time.monotonic() - began, 3))


async def run_shadow(
    config: ShadowConfig,
    tell: Callable[[IntakeResult, Opening], None],
    begun: Callable[[Baseline], None],
    *,
    limit: int,
) -> Outcome:
    """Until SIGINT or SIGTERM comes. Raises `DcaError`."""
    began = time.monotonic()
    where = scratch.place(config.books_url, Purpose.SHADOW, database=config.database)
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with _clients(config) as clients, scratch.occupied(where, afresh=False) as db:
        await planting.begin(db, _about(config, clients))
        shadow = Shadow(db, clients, config.source, config.scans, config.intake, tell)

        async def watch() -> None:
            begun(await shadow.begin())
            await shadow.run()

        try:
            with _shown_not_warned_of():
                await until_stopped(stop, watch())
        finally:
            await shadow.close()
        found = await report(db, limit=limit)
        comparison = await _compare(config, db, limit) if clients.follows_books else None
        return Outcome(found, comparison, round(time.monotonic() - began, 3))


async def shadow_report(config: ShadowConfig, *, limit: int) -> Outcome:
    """What the shadow has so far, also while it runs. Raises `InputError` when there is none."""
    where = scratch.place(config.books_url, Purpose.SHADOW, database=config.database)
    async with scratch.looked_at(where) as db:
        found = await report(db, limit=limit)
        comparison = await _compare(config, db, limit) if found.about.get("from") == _BOOKS else None
        return Outcome(found, comparison)


async def discard_shadow(config: ShadowConfig) -> bool:
    """Drops what the shadow has. Whether there was anything. Raises `ConflictError` while it runs."""
    return await scratch.discard(scratch.place(config.books_url, Purpose.SHADOW, database=config.database))


async def _compare(config: ShadowConfig, db: Database, limit: int) -> Comparison | None:
    try:
        async with _books(config) as books:
            return await compare(db, books, limit=limit)
    except DatabaseError:  # what the shadow has can be shown without
        return None
