"""Runs Fixed Mode slots when their time has come, and those that were missed.

The tables tell what is still to be done; this only looks at the clock. A fault of it, or a rate that is not to be
had, only makes it try again later: it never takes the daemon down.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import structlog

from dca_daemon.domain.errors import DcaError, InputError, NoRateError
from dca_daemon.domain.fixed import RunState
from dca_daemon.lamassu.outage import Outage
from dca_daemon.ledger.db import Database
from dca_daemon.services import fixed_runs, fixed_slots
from dca_daemon.services.fixed_slots import MISSED, OpenSlot, PoolSlots
from dca_daemon.services.rates import Rates, utc_now

log = structlog.get_logger()

LOOK_SECONDS = 15.0  # at the wall clock, which may jump
SOONEST_SECONDS = 0.05
# At its first look it records as skipped what was missed for good, however long nobody was there.
FIRST_BACK = timedelta(days=366)
_AT_ONCE = 200


class FixedRunner:
    """`on_booked` is called when somebody is owed sats by a run."""

    def __init__(
        self,
        db: Database,
        rates: Rates,
        on_booked: Callable[[], None],
        *,
        retry_seconds: float,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._rates = rates
        self._on_booked = on_booked
        self._retry_seconds = retry_seconds
        self._now = now
        self._clock = clock
        self._looked: set[int] = set()  # the pools that were looked at once
        self._retry_at: dict[int, float] = {}
        self._no_rate: dict[int, Outage] = {}
        self._reasons: dict[tuple[int, date, str], str] = {}  # why a slot could not be run so far
        self._faults = Outage()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            next_due_at = await self.look()
            seconds = min(LOOK_SECONDS, self._retry_seconds)
            if next_due_at is not None:
                seconds = min(seconds, (next_due_at - self._now()).total_seconds())
            await asyncio.sleep(max(seconds, SOONEST_SECONDS))

    async def look(self) -> datetime | None:
        """Does what is due, in every pool; when the next slot is. Never raises but for a cancellation."""
        upcoming: list[datetime] = []
        try:
            async with self._db.transaction() as conn:
                pool_ids = await fixed_slots.pool_ids(conn)
        except Exception as error:  # noqa: BLE001 - whatever it is, payments go on
            self._failed(None, error)
            return None
        well = True
        for pool_id in pool_ids:
            try:
                upcoming += [slot.due_at for slot in (await self._look_at(pool_id)).upcoming]
            except Exception as error:  # noqa: BLE001 - likewise, and so do the other pools
                self._failed(pool_id, error)
                well = False
        if well:
            self._faults.recovered()
        return min(upcoming, default=None)

    async def _look_at(self, pool_id: int) -> PoolSlots:
        back = fixed_slots.BACK if pool_id in self._looked else FIRST_BACK
        async with self._db.transaction() as conn:
            found = await fixed_slots.look(conn, pool_id, self._now(), back=back)
        await self._give_up(found.due)
        self._looked.add(pool_id)
        still = [slot for slot in found.due if slot.given_up is None]
        if still and self._clock() >= self._retry_at.get(pool_id, float("-inf")):
            await self._run_all(found, still)
        return found

    async def _give_up(self, slots: Sequence[OpenSlot]) -> None:
        """Records what is not run any more, by reason; in pieces, so that cash-outs need not wait long."""
        by_reason: dict[str, list[OpenSlot]] = {}
        for slot in slots:
            if slot.given_up is not None:
                known = self._reasons.get(_key(slot)) if slot.given_up == MISSED else None
                by_reason.setdefault(known or slot.given_up, []).append(slot)
        for reason, given_up in by_reason.items():
            for start in range(0, len(given_up), _AT_ONCE):
                await fixed_runs.skip(self._db, given_up[start : start + _AT_ONCE], reason)
            for slot in given_up:
                self._reasons.pop(_key(slot), None)

    async def _run_all(self, found: PoolSlots, slots: Sequence[OpenSlot]) -> None:
        """One after the other, the oldest first, each with a rate that is fresh then."""
        where = found.newest.pool
        for slot in slots:
            try:
                rate = await self._rates.current(where.currency)
                done = await fixed_runs.run(self._db, slot, rate, now=self._now)
            except (NoRateError, InputError) as error:
                self._without_rate(where.pool_id, slots, error)
                return
            self._reasons.pop(_key(slot), None)
            if done is not None and done.state is RunState.DONE:
                self._on_booked()
        self._no_rate.pop(where.pool_id, None)

    def _without_rate(self, pool_id: int, slots: Sequence[OpenSlot], error: DcaError) -> None:
        self._retry_at[pool_id] = self._clock() + self._retry_seconds
        for slot in slots:
            self._reasons[_key(slot)] = error.message
        if self._no_rate.setdefault(pool_id, Outage()).failed():
            log.error(
                "fixed.no-rate",
                pool_id=pool_id,
                slot=str(slots[0].slot),
                waiting=len(slots),
                error=str(error),
                retry_seconds=self._retry_seconds,
            )

    def _failed(self, pool_id: int | None, error: Exception) -> None:
        if self._faults.failed():
            # What is none of our own errors is unexpected, so that its traceback belongs into the log.
            trace = None if isinstance(error, DcaError) else error
            text = str(error) or type(error).__name__
            log.warning("fixed.failed", pool_id=pool_id, error=text, exc_info=trace)


def _key(slot: OpenSlot) -> tuple[int, date, str]:
    return slot.newest.pool.pool_id, *slot.slot.key
