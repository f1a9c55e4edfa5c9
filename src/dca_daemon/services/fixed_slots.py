"""Which slots of a pool's schedules have come and are still to be dealt with.

A slot is one of the schedule that was in force when it was due; what is done about it now is up to the newest one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.fixed import open_until
from dca_daemon.domain.schedule import Slot
from dca_daemon.ledger.db import rows
from dca_daemon.services import fixed_schedules
from dca_daemon.services.fixed_schedules import Schedule

STOPPED = "the schedule was stopped"
MISSED = "nobody ran it in time"
BACK = timedelta(days=4)  # further than a slot stays open


@dataclass(frozen=True, slots=True)
class OpenSlot:
    """A slot that has not been dealt with. `given_up` says why it is not run any more; None: it still is."""

    slot: Slot
    schedule: Schedule  # in force when it was due
    newest: Schedule
    given_up: str | None = None


@dataclass(frozen=True, slots=True)
class PoolSlots:
    """A pool's newest schedule, the slots that are still open, and the next ones to come."""

    newest: Schedule
    due: tuple[OpenSlot, ...]
    upcoming: tuple[Slot, ...]


async def pool_ids(conn: AsyncConnection) -> list[int]:
    """The pools that have, or had, a schedule."""
    return [r.pool_id for r in await rows(conn, "SELECT DISTINCT pool_id FROM fixed_schedule ORDER BY pool_id")]


async def look(
    conn: AsyncConnection, pool_id: int, now: datetime, *, back: timedelta = BACK, ahead: int = 1
) -> PoolSlots:
    """What was due in a pool within `back` and is open, and the next `ahead` to come. Raises `InputError` for a
    zone that this computer does not know."""
    schedules = await fixed_schedules.in_force(conn, pool_id, since=now - back)
    newest = schedules[-1]
    known = await dealt_with(conn, pool_id, since=(now - back).date() - timedelta(days=2))
    due = [
        _open(slot, schedule, newest, now)
        for schedule in schedules
        if schedule.active
        for slot in schedule.times.slots_between(max(schedule.since, now - back), min(now, schedule.until or now))
        if slot.key not in known
    ]
    upcoming: list[Slot] = []
    if newest.active:  # one that was run by hand ahead of its time is not to come any more
        following = newest.times.next_after(now, ahead + len(newest.times.times))
        upcoming = [s for s in following if s.key not in known][:ahead]
    return PoolSlots(newest, tuple(due), tuple(upcoming))


def _open(slot: Slot, schedule: Schedule, newest: Schedule, now: datetime) -> OpenSlot:
    if not newest.active:
        return OpenSlot(slot, schedule, newest, STOPPED)
    in_time = now < open_until(schedule.times, slot, newest.missed)
    return OpenSlot(slot, schedule, newest, None if in_time else MISSED)


async def dealt_with(conn: AsyncConnection, pool_id: int, *, since: date) -> set[tuple[date, str]]:
    """The slots of that date or later which have been run or skipped."""
    found = await rows(
        conn,
        "SELECT local_date, local_time FROM fixed_run WHERE pool_id = :pool AND local_date >= :since",
        pool=pool_id,
        since=since,
    )
    return {(r.local_date, r.local_time) for r in found}


async def next_by_hand(conn: AsyncConnection, newest: Schedule, now: datetime) -> OpenSlot | None:
    """The earliest slot of today that nobody has dealt with, due or not; None when there is none left.

    Those before the schedule was made count too: a person asks for it.
    """
    today = newest.times.local_date(now)
    known = await dealt_with(conn, newest.pool.pool_id, since=today)
    for slot in newest.times.slots_on(today):
        if slot.key not in known:
            return OpenSlot(slot, newest, newest)
    return None
