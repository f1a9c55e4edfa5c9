"""Finds every cash-out that the books do not have as it is now. The tables are the truth; notifications are hints.

Two loops share one way into the books: notified ids are fetched by themselves, at once; a timer (or a wake-up
after every (re)connect) compares digests of a window of days with the books, and now and then of every success
there is. Nothing here remembers a position: what fails is simply found again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import DcaError, SourceError
from dca_daemon.lamassu.outage import Outage
from dca_daemon.lamassu.source import LamassuSource, RowDigest

log = structlog.get_logger(__name__)

Outdated = Callable[[Sequence[RowDigest]], Awaitable[list[str]]]
Sink = Callable[[list[SourceRow]], Awaitable[None]]

_MAX_REFUSED = 3  # so many refused rows in a row: it is not the rows that are at fault
_MAX_NOTIFIED = 10_000  # beyond it, ids are left to the scan
_LOAD_FACTOR = 20  # a scan may take at most this part of the time, however short its interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanConfig:
    """How far back each scan looks, and how often it runs with and without notifications."""

    window_days: int = 7
    scan_interval_seconds: float = 60.0
    poll_interval_seconds: float = 5.0
    sweep_interval_seconds: float = 3600.0
    fetch_page: int = 500


@dataclass(frozen=True, slots=True)
class ScannerStatus:
    """What health shows. `rows_seen` counts rows handed to the books; `last_error` is None while all is well."""

    last_scan_at: datetime | None = None
    last_scan_seconds: float | None = None
    last_error: str | None = None
    scans: int = 0
    rows_seen: int = 0


class Scanner:
    """Feeds `sink` with rows that `outdated` names: unknown to the books, changed since, or due.

    `sink` is called by one task at a time, with at most `fetch_page` rows. If it raises, the same rows come again.
    `listening` tells whether notifications can be relied on.
    """

    def __init__(
        self,
        source: LamassuSource,
        outdated: Outdated,
        sink: Sink,
        listening: Callable[[], bool],
        config: ScanConfig | None = None,
    ) -> None:
        self._source = source
        self._outdated = outdated
        self._sink = sink
        self._listening = listening
        self._config = config or ScanConfig()
        self._notified: dict[str, None] = {}
        self._some_notified = asyncio.Event()
        self._woken = asyncio.Event()
        self._sweep_wanted = True  # the first scan is wide: who knows how long we were away
        self._one_sink = asyncio.Lock()
        self._errors: dict[str, str] = {}
        self._scanned = asyncio.Condition()
        self._scanned_seconds: float | None = None
        self._swept_seconds = time.monotonic()
        self.status = ScannerStatus()

    def notify(self, ids: Iterable[str]) -> None:
        """These rows have just become successful. Returns at once; what it has to drop, a scan finds."""
        for external_id in ids:
            if len(self._notified) >= _MAX_NOTIFIED:
                self.wake()
                break
            self._notified[external_id] = None
        self._some_notified.set()

    def wake(self, *, sweep: bool = False) -> None:
        """Scan soon. If a scan is running, another follows it. `sweep`: look at every success, however old."""
        self._sweep_wanted = self._sweep_wanted or sweep
        self._woken.set()

    @property
    def lag_seconds(self) -> float | None:
        """How long ago the last complete scan ended; None before the first."""
        return None if self._scanned_seconds is None else time.monotonic() - self._scanned_seconds

    async def scanned(self, count: int) -> None:
        """Returns when so many scans have been completed. For tests and start-up: put a timeout around it."""
        async with self._scanned:
            await self._scanned.wait_for(lambda: self.status.scans >= count)

    async def run(self) -> None:
        """Runs until it is cancelled; neither the source's nor the books' faults end it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_notifications(), name="scanner-points")
            group.create_task(self._follow_timer(), name="scanner-scans")

    async def _follow_notifications(self) -> None:
        outage = Outage()
        while True:
            await self._some_notified.wait()
            self._some_notified.clear()
            while self._notified:
                ids = list(self._notified)[: self._config.fetch_page]
                for external_id in ids:
                    del self._notified[external_id]
                try:
                    await self._take(ids)
                except SourceError as exc:
                    self._failed(exc, outage, "notified")
                    self.notify(ids)
                    self.wake()
                    await asyncio.sleep(outage.delay_seconds)
                except Exception as exc:  # noqa: BLE001 - the books' trouble: a sweep brings the same rows again
                    self._failed(exc, outage, "notified")
                    self.wake(sweep=True)
                else:
                    self._recovered(outage, "notified")

    async def _follow_timer(self) -> None:
        outage = Outage()
        while True:
            self._woken.clear()
            wide = self._sweep_wanted or (
                time.monotonic() - self._swept_seconds >= self._config.sweep_interval_seconds
            )
            self._sweep_wanted = wide  # until it has gone through
            try:
                await self._scan(wide)
            except Exception as exc:  # noqa: BLE001 - nothing has moved on: the next scan finds the same
                self._failed(exc, outage, "scan")
                await asyncio.sleep(outage.delay_seconds)
            else:
                self._recovered(outage, "scan")
                await self._pause()

    async def _pause(self) -> None:
        """Until the next scan is due, or somebody wakes us, or notifications can't be relied on any more."""
        config = self._config
        started = time.monotonic()
        least = _LOAD_FACTOR * (self.status.last_scan_seconds or 0.0)
        while not self._woken.is_set():
            interval = config.scan_interval_seconds if self._listening() else config.poll_interval_seconds
            left = started + max(interval, min(least, config.scan_interval_seconds)) - time.monotonic()
            if left <= 0:
                return
            try:
                async with asyncio.timeout(min(left, config.poll_interval_seconds)):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _scan(self, wide: bool) -> None:
        began = time.monotonic()
        window = timedelta(days=self._config.window_days)
        compared = taken = 0
        refused: Exception | None = None
        async for page in self._source.digests(window, wide=wide):
            compared += len(page)
            ids = await self._outdated(page)
            for start in range(0, len(ids), self._config.fetch_page):
                try:
                    taken += await self._take(ids[start : start + self._config.fetch_page])
                except SourceError:
                    raise
                except Exception as exc:  # noqa: BLE001 - the other rows go on, then it is told
                    refused = exc
        seconds = round(time.monotonic() - began, 3)
        await self._completed(wide, seconds)
        if taken:
            log.info("scanner.scanned", wide=wide, compared=compared, taken=taken, seconds=seconds)
        if refused is not None:
            raise refused

    async def _completed(self, wide: bool, seconds: float) -> None:
        now = datetime.now(UTC)
        self._scanned_seconds = time.monotonic()
        if wide:
            self._swept_seconds, self._sweep_wanted = self._scanned_seconds, False
        async with self._scanned:
            self.status = replace(
                self.status,
                last_scan_at=now,
                last_scan_seconds=seconds,
                scans=self.status.scans + 1,
            )
            self._scanned.notify_all()

    async def _take(self, ids: list[str]) -> int:
        """Fetches rows and hands them to the books. Gives how many there were."""
        async with self._one_sink:
            rows = await self._source.fetch(ids)
            if rows:
                await self._pour(rows)
        self.status = replace(self.status, rows_seen=self.status.rows_seen + len(rows))
        return len(rows)

    async def _pour(self, rows: list[SourceRow]) -> None:
        """Hands rows to the books; one by one if they are refused together: one must not hold up the others."""
        try:
            await self._sink(rows)
        except Exception as exc:
            if len(rows) == 1:
                raise
            await self._pour_singly(rows, exc)

    async def _pour_singly(self, rows: list[SourceRow], together: Exception) -> None:
        in_a_row = 0
        refused: Exception | None = None
        for row in rows:
            try:
                await self._sink([row])
            except Exception as exc:
                refused, in_a_row = exc, in_a_row + 1
                log.error("scanner.row-refused", external_id=row.external_id, error=str(exc))
                if in_a_row >= _MAX_REFUSED:
                    raise together from exc
            else:
                in_a_row = 0
        if refused is not None:
            raise refused

    def _failed(self, exc: Exception, outage: Outage, work: str) -> None:
        self._errors[work] = str(exc) or type(exc).__name__
        self.status = replace(self.status, last_error=self._errors[work])
        if not outage.failed():
            return
        # What is none of our own errors is unexpected, so that its traceback belongs into the log.
        trace = None if isinstance(exc, DcaError) else exc
        log.warning(
            "scanner.failed", work=work, error=self._errors[work], failures=outage.failures, exc_info=trace
        )

    def _recovered(self, outage: Outage, work: str) -> None:
        away_seconds = outage.recovered()
        if away_seconds is not None:
            self._errors.pop(work, None)
            self.status = replace(self.status, last_error=next(iter(self._errors.values()), None))
            log.info("scanner.recovered", work=work, away_seconds=away_seconds)
