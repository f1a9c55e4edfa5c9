"""Looks every minute at what no part of the daemon would tell of by itself.

Each of these things is told of once when it gets bad, and once when it is well again. A fault of the watching
only makes it look again later.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

import structlog

from dca_daemon.domain.errors import DcaError
from dca_daemon.domain.moments import apart_seconds
from dca_daemon.ledger.db import Database
from dca_daemon.services.backups.runs import Last
from dca_daemon.services.status import StuckPayouts, stuck_payouts

log = structlog.get_logger()

LOOK_SECONDS = 60.0
_FULL = 100
_MIB = 1 << 20

Check = Callable[[], Awaitable[None]]


class Watcher:
    """`checks` by name; a name is what `watch.failed` tells as `what`."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._failing: set[str] = set()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Looks at everything once. Never raises but for a cancellation."""
        for what, check in self._checks.items():
            try:
                await check()
            except Exception as error:  # whatever it is, money goes on
                if what not in self._failing:
                    self._failing.add(what)
                    # What is none of our own errors is unexpected, so that its traceback belongs into the log.
                    trace = None if isinstance(error, DcaError | OSError) else error
                    text = str(error) or type(error).__name__
                    log.warning("watch.failed", what=what, error=text, exc_info=trace)
            else:
                if what in self._failing:
                    self._failing.discard(what)
                    log.info("watch.recovered", what=what)


class DiskWatch:
    """The room on the file systems that hold these paths; `least_percent` of it must be free."""

    def __init__(self, paths: Sequence[str], *, least_percent: int) -> None:
        self._paths = paths
        self._least_percent = least_percent
        self._low: set[str] = set()

    async def __call__(self) -> None:
        unread: OSError | None = None
        for path in self._paths:
            try:
                usage = await asyncio.to_thread(shutil.disk_usage, path)
            except OSError as error:
                unread = error
                continue
            # Of what may be used at all: some of it is root's alone.
            free_percent = _FULL * usage.free // max(1, usage.used + usage.free)
            told = {"path": path, "free_percent": free_percent, "free_mib": usage.free // _MIB}
            if free_percent < self._least_percent and path not in self._low:
                self._low.add(path)
                log.warning("disk.low", **told)
            elif free_percent > self._least_percent and path in self._low:
                self._low.discard(path)
                log.info("disk.enough", **told)
        if unread is not None:
            raise unread


class ClockWatch:
    """This computer's clock against those of others: `clocks` by whose it is. They may differ by `most_seconds`,
    and by what it takes to ask."""

    def __init__(
        self,
        clocks: Mapping[str, Callable[[], Awaitable[datetime]]],
        *,
        most_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clocks = clocks
        self._most_seconds = most_seconds
        self._now = now
        self._off: set[str] = set()

    async def __call__(self) -> None:
        for whose, ask in self._clocks.items():
            before = self._now()
            try:
                theirs = await ask()
            except DcaError:  # that it is away is told elsewhere
                continue
            after = self._now()
            away_seconds = apart_seconds(before, theirs, after)
            off = away_seconds > self._most_seconds
            if off and whose not in self._off:
                log.warning("clock.off", whose=whose, seconds=round(away_seconds, 1))
            elif not off and whose in self._off:
                log.info("clock.right", whose=whose)
            (self._off.add if off else self._off.discard)(whose)


class WalletWatch:
    """The source wallet's balance, as the payer last read it, against an amount of the operator's."""

    def __init__(self, balance_sats: Callable[[], int | None], *, low_sats: int) -> None:
        self._balance_sats = balance_sats
        self._low_sats = low_sats
        self._low = False

    async def __call__(self) -> None:
        balance_sats = self._balance_sats()
        if balance_sats is None or (balance_sats < self._low_sats) == self._low:
            return
        self._low = not self._low
        if self._low:
            log.warning("wallet.low", balance_sats=balance_sats, low_sats=self._low_sats)
        else:
            log.info("wallet.filled", balance_sats=balance_sats)


class UnknownWatch:
    """Payouts of which it can't be told for long whether they went through."""

    def __init__(self, db: Database, *, most_seconds: float) -> None:
        self._db = db
        self._most_seconds = most_seconds
        self._told = False
        self.found = StuckPayouts(0, None, None)

    async def __call__(self) -> None:
        self.found = found = await stuck_payouts(self._db, older_seconds=self._most_seconds)
        if found.number and not self._told:
            log.error(
                "payout.unknown-long",
                payouts=found.number,
                oldest_seconds=found.oldest_seconds,
                payout_id=found.oldest_id,
            )
        elif self._told and not found.number:
            log.info("payout.known")
        self._told = bool(found.number)


class BackupWatch:
    """Whether the last good backup is young enough, and was the last try: backups are made by another process."""

    def __init__(self, last: Callable[[], Awaitable[Last]], *, most_seconds: float) -> None:
        self._last = last
        self._most_seconds = most_seconds
        self._late = False

    async def __call__(self) -> None:
        last = await self._last()
        old = last.good_age_seconds is not None and last.good_age_seconds > self._most_seconds
        late = old or last.failed_at is not None
        if late and not self._late:
            good_at = last.good_at.isoformat() if last.good_at else None
            log.error("backup.overdue", good_at=good_at, error=last.error)
        elif self._late and not late:
            log.info("backup.recent")
        self._late = late
