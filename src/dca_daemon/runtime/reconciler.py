"""Compares the books with the outside at set times of the day, and tells what came of it.

A fault of it, or a partner that is away, only makes it try again later: it never takes the daemon down.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from datetime import time as time_of_day

import structlog

from dca_daemon.domain.errors import DcaError
from dca_daemon.services.reconciliation.findings import Reconciliation

log = structlog.get_logger()

START_DELAY_SECONDS = 300.0  # what was missed while the daemon was away is booked first
LOOK_SECONDS = 30.0  # at the wall clock, which may jump
_TOLD_MAX = 20
_RETRY_SECONDS = (300.0, 600.0, 1_200.0, 2_400.0, 3_600.0)
_CLOCK_WAS_WRONG = timedelta(days=1)


def local_now() -> datetime:
    """The wall clock, in this computer's zone."""
    return datetime.now().astimezone()


def latest_slot(now: datetime, times: Sequence[time_of_day]) -> datetime | None:
    """The latest of these local times of the day that has come, today or yesterday."""
    today = now.astimezone().date()
    slots = [datetime.combine(today - timedelta(days=ago), at).astimezone() for ago in (0, 1) for at in times]
    return max((slot for slot in slots if slot <= now), default=None)


class Reconciler:
    """`compare` does it and keeps the result; `done_at` tells when that was last complete, by an earlier process.

    Each set time is served once; of several that were missed, only the last.
    """

    def __init__(
        self,
        compare: Callable[[], Awaitable[Reconciliation]],
        done_at: Callable[[], Awaitable[datetime]],
        times: Sequence[time_of_day],
        *,
        now: Callable[[], datetime] = local_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._compare = compare
        self._done_at = done_at
        self._times = times
        self._now = now
        self._clock = clock
        self._done: datetime | None = None  # everything up to this time has been served
        self._told: datetime | None = None  # for which time's run the differences were told
        self._failures = 0
        self._retry_at = float("-inf")

    async def run(self) -> None:
        """Runs until it is cancelled."""
        await asyncio.sleep(START_DELAY_SECONDS)
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, payments go on
                self._failed(error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> bool:
        """Compares if it is time to. Whether it was."""
        if self._clock() < self._retry_at:
            return False
        if self._done is None:
            self._done = await self._done_at()
        now = self._now()
        if self._done - now > _CLOCK_WAS_WRONG:  # it was ahead when we last compared, and has been set right
            self._done = now
        slot = latest_slot(now, self._times)
        if slot is None or slot <= self._done:
            return False
        found = await self._compare()
        if found.complete or self._told != slot:  # not again and again while a partner is away
            self._told = slot
            _tell(found)
        if found.complete:
            self._done, self._failures, self._retry_at = slot, 0, float("-inf")
        else:
            self._failed("; ".join(f"{part}: {reason}" for part, reason in found.not_compared.items()))
        return True

    def _failed(self, error: Exception | str) -> None:
        retry_seconds = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1
        self._retry_at = self._clock() + retry_seconds
        # What is none of our own errors is unexpected, so that its traceback belongs into the log.
        trace = None if isinstance(error, DcaError | str) else error
        log.warning(
            "reconcile.failed",
            error=str(error) or type(error).__name__,
            retry_seconds=retry_seconds,
            exc_info=trace,
        )


def _tell(found: Reconciliation) -> None:
    numbers = {name: found.compared[name] for name in ("settled_payouts", "booked_cash_outs", "receiver_wallets")}
    if found.agrees:
        log.info("reconcile.agrees", since=_iso(found.since), **numbers)
    if not found.counts:
        return
    for difference in found.differences[:_TOLD_MAX]:
        log.error(
            "reconcile.difference",
            kind=difference.kind,
            text=difference.text,
            remedy=difference.remedy,
            payout_id=difference.payout_id,
            payment_hash=difference.payment_hash,
            client_id=difference.client_id,
            external_id=difference.external_id,
        )
    counts = {str(kind): count for kind, count in found.counts.items()}
    total = sum(counts.values())
    log.error("reconcile.differs", since=_iso(found.since), differences=total, kinds=counts, **numbers)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
