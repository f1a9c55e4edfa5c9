"""When Fixed Mode clients of a pool buy. Each change is a new row; the newest is in force from then on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.fixed import DEFAULT_MAX_UNITS, Missed
from dca_daemon.domain.money import parse_fiat, to_minor
from dca_daemon.domain.schedule import DailyTimes, daily_times
from dca_daemon.ledger.db import Database, execute, lock_pool, rows
from dca_daemon.services import pools
from dca_daemon.services.audit import audit
from dca_daemon.services.pools import Pool

log = structlog.get_logger()

_ZERO = re.compile(r"0+(\.0+)?")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A pool's times, from `since` on until the next row's. `default_max_minor`: a day's most for a client."""

    schedule_id: int
    pool: Pool
    active: bool
    times: DailyTimes
    missed: Missed
    default_max_minor: int
    since: datetime
    until: datetime | None
    actor: str


def default_max(currency: str) -> int:
    """A day's most for a client, where the operator has set nothing: in minor units."""
    return to_minor(Decimal(DEFAULT_MAX_UNITS), currency)


async def of_pool(conn: AsyncConnection, pool_id: int) -> Schedule | None:
    """The schedule in force; None before the first. It may be stopped."""
    found = [schedule for schedule in await in_force(conn, pool_id) if schedule.until is None]
    return found[0] if found else None


async def in_force(
    conn: AsyncConnection, pool_id: int | None = None, *, since: datetime | None = None
) -> list[Schedule]:
    """Every schedule that was in force at some time after `since`, of a pool or of all, the oldest first."""
    found = await rows(
        conn,
        """SELECT s.*, p.name, p.currency
             FROM (SELECT f.*, lead(created_at) OVER (PARTITION BY pool_id ORDER BY id) AS until
                     FROM fixed_schedule f) s
             JOIN pool p ON p.id = s.pool_id
            WHERE (CAST(:pool AS integer) IS NULL OR s.pool_id = :pool)
              AND (s.until IS NULL OR CAST(:since AS timestamptz) IS NULL OR s.until > :since)
            ORDER BY s.pool_id, s.id""",
        pool=pool_id,
        since=since,
    )
    return [_schedule(r) for r in found]


def _schedule(r: Any) -> Schedule:
    return Schedule(
        schedule_id=r.id,
        pool=Pool(r.pool_id, r.name, r.currency),
        active=r.active,
        times=DailyTimes(r.zone, tuple(r.times)),
        missed=Missed(r.missed),
        default_max_minor=r.default_max_minor,
        since=r.created_at,
        until=r.until,
        actor=r.actor,
    )


async def show(db: Database, pool_reference: str | None = None) -> tuple[Pool, Schedule | None]:
    """A pool, and the schedule in force there."""
    async with db.transaction() as conn:
        where = await pools.find(conn, pool_reference)
        return where, await of_pool(conn, where.pool_id)


async def change(
    db: Database,
    *,
    zone: str | None = None,
    times: Sequence[str] | None = None,
    missed: Missed | None = None,
    max_per_day: str | None = None,
    pool_reference: str | None = None,
    reason: str | None = None,
    actor: str,
    at: datetime | None = None,
) -> Schedule:
    """Sets a pool's schedule, and starts it; what is not given stays as it was. Raises `InputError`.

    The first one needs a zone and times. It counts from `at` (now) on: what lies before is never run by it.
    """

    async def work(conn: AsyncConnection) -> Schedule:
        where = await pools.find(conn, pool_reference)
        await lock_pool(conn, where.pool_id)
        before = await of_pool(conn, where.pool_id)
        if before is None and (zone is None or times is None):
            raise InputError(
                f"the pool {where.name!r} has no schedule yet: it needs a zone and times",
                remedy="such as: --zone America/Guatemala --times 08:00,18:00",
                field="zone" if zone is None else "times",
            )
        wanted = daily_times(
            zone if zone is not None else (before.times.zone if before else ""),
            times if times is not None else (before.times.times if before else ()),
        )
        most = before.default_max_minor if before else default_max(where.currency)
        if max_per_day is not None:
            most = parse_amount(max_per_day, where.currency, "max_per_day")
        policy = missed or (before.missed if before else Missed.CATCH_UP)
        after = {**_values(wanted, policy, most), "active": True}
        if before is not None and after == _audited(before):
            return before
        return await _write(conn, where, before, after, reason=reason, actor=actor, at=at)

    return _told(await db.run(work))


async def stop(
    db: Database,
    *,
    pool_reference: str | None = None,
    reason: str | None = None,
    actor: str,
    at: datetime | None = None,
) -> Schedule:
    """Stops a pool's schedule: nothing is run any more until it is set again. Raises `ConflictError`."""

    async def work(conn: AsyncConnection) -> Schedule:
        where = await pools.find(conn, pool_reference)
        await lock_pool(conn, where.pool_id)
        before = await of_pool(conn, where.pool_id)
        if before is None or not before.active:
            raise ConflictError(f"the pool {where.name!r} has no schedule that could be stopped")
        after = {**_audited(before), "active": False}
        return await _write(conn, where, before, after, reason=reason, actor=actor, at=at)

    return _told(await db.run(work))


async def _write(
    conn: AsyncConnection,
    where: Pool,
    before: Schedule | None,
    after: dict[str, Any],
    *,
    reason: str | None,
    actor: str,
    at: datetime | None,
) -> Schedule:
    await execute(
        conn,
        """INSERT INTO fixed_schedule (pool_id, active, zone, times, missed, default_max_minor, created_at, actor)
           VALUES (:pool, :active, :zone, CAST(:times AS text[]), :missed, :default_max_minor,
                   coalesce(CAST(:at AS timestamptz), clock_timestamp()), :actor)""",
        pool=where.pool_id,
        at=at,
        actor=actor,
        **after,
    )
    await audit(
        conn,
        actor=actor,
        action="fixed.set" if after["active"] else "fixed.off",
        subject=f"pool:{where.pool_id}",
        before=None if before is None else _audited(before),
        after=after,
        reason=reason,
    )
    written = await of_pool(conn, where.pool_id)
    assert written is not None
    return written


def _values(times: DailyTimes, missed: Missed, default_max_minor: int) -> dict[str, Any]:
    return {
        "zone": times.zone,
        "times": list(times.times),
        "missed": str(missed),
        "default_max_minor": default_max_minor,
    }


def _audited(schedule: Schedule) -> dict[str, Any]:
    return {
        **_values(schedule.times, schedule.missed, schedule.default_max_minor),
        "active": schedule.active,
    }


def _told(schedule: Schedule) -> Schedule:
    log.info(
        "fixed.schedule-set",
        pool_id=schedule.pool.pool_id,
        active=schedule.active,
        zone=schedule.times.zone,
        times=list(schedule.times.times),
    )
    return schedule


def parse_amount(text: str, currency: str, field: str) -> int:
    """What a person typed as an amount a day, in minor units; 0 is one. Raises `InputError`."""
    return 0 if _ZERO.fullmatch(text.strip()) else parse_fiat(text, currency, field=field)
