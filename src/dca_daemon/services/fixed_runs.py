"""Runs the slots of Fixed Mode schedules: each once, in one transaction under the pool's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.allocation import Share
from dca_daemon.domain.errors import ConflictError, NoRateError
from dca_daemon.domain.fixed import Buyer, Rate, RunState, purchases
from dca_daemon.ledger import journal
from dca_daemon.ledger.db import Database, execute, int_array, lock_pool, rows, scalar
from dca_daemon.ledger.postings.fixed_run import fixed_run
from dca_daemon.services import fixed_schedules
from dca_daemon.services.audit import audit
from dca_daemon.services.fixed_schedules import Schedule
from dca_daemon.services.fixed_slots import OpenSlot, dealt_with
from dca_daemon.services.rates import utc_now

log = structlog.get_logger()

DAEMON = "daemon"


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a slot: `sats` for `minor` of fiat, shared among so many clients."""

    run_id: int
    slot: OpenSlot
    state: RunState
    shares: tuple[Share, ...]
    rate: Rate

    @property
    def sats(self) -> int:
        return sum(share.sats for share in self.shares)

    @property
    def minor(self) -> int:
        return sum(share.fiat_minor for share in self.shares)


async def run(
    db: Database,
    slot: OpenSlot,
    rate: Rate,
    *,
    actor: str = DAEMON,
    reason: str | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Run | None:
    """Runs a slot at a rate. None when somebody has dealt with it meanwhile, or the schedule has been changed.

    Raises `NoRateError` when the rate is too old by the time that the books are ours.
    """

    async def work(conn: AsyncConnection) -> Run | None:
        where = slot.newest.pool
        await lock_pool(conn, where.pool_id)
        known = await dealt_with(conn, where.pool_id, since=slot.slot.local_date)
        if slot.slot.key in known or not await _in_force(conn, slot.newest):
            return None
        if not rate.fresh(now()):
            raise NoRateError(f"the rate of {rate.at:%H:%M:%S} UTC is too old by now")
        shares = purchases(
            await buyers(conn, slot),
            number=slot.slot.number,
            count=slot.slot.count,
            fiat_per_btc=rate.fiat_per_btc,
            currency=where.currency,
        )
        state = RunState.DONE if shares else RunState.NOTHING
        run_id = await _write_run(conn, slot, state, None if shares else "nobody had anything to buy for", actor)
        done = Run(run_id, slot, state, shares, rate)
        if shares:
            await _book(conn, done, actor)
        if actor != DAEMON:
            await _audit(conn, done, actor, reason)
        return done

    done = await db.run(work, step="fixed.run")
    if done is not None:
        _tell(done)
    return done


async def skip(db: Database, slots: Sequence[OpenSlot], reason: str) -> int:
    """Records slots of a pool as skipped; how many of them nobody had dealt with before."""
    if not slots:
        return 0
    newest = slots[0].newest

    async def work(conn: AsyncConnection) -> list[OpenSlot]:
        await lock_pool(conn, newest.pool.pool_id)
        if not await _in_force(conn, newest):
            return []
        known = await dealt_with(conn, newest.pool.pool_id, since=min(s.slot.local_date for s in slots))
        free = [s for s in slots if s.slot.key not in known]
        for slot in free:
            await _write_run(conn, slot, RunState.SKIPPED, reason, DAEMON)
        return free

    skipped = await db.run(work)
    if skipped:
        log.warning(
            "fixed.skipped",
            pool_id=newest.pool.pool_id,
            slots=len(skipped),
            first=str(skipped[0].slot),
            last=str(skipped[-1].slot),
            reason=reason,
        )
    return len(skipped)


async def _in_force(conn: AsyncConnection, newest: Schedule) -> bool:
    """Whether what a slot was judged by is still the newest schedule. Hold the pool's lock."""
    found = await fixed_schedules.of_pool(conn, newest.pool.pool_id)
    return found is not None and found.schedule_id == newest.schedule_id


async def buyers(conn: AsyncConnection, slot: OpenSlot) -> list[Buyer]:
    """The active Fixed Mode clients that have an amount and something in, by id."""
    found = await rows(
        conn,
        """SELECT c.id, -a.balance AS balance, f.daily_minor, coalesce(f.max_minor, :most) AS max_minor,
                  coalesce(b.minor, 0) AS bought
             FROM client c
             JOIN account a ON a.client_id = c.id AND a.pool_id = :pool AND a.purpose = 'client-fiat'
             JOIN LATERAL (SELECT daily_minor, max_minor FROM fixed_amount x
                            WHERE x.client_id = c.id AND x.pool_id = :pool ORDER BY x.id DESC LIMIT 1) f ON true
             LEFT JOIN (SELECT r.client_id, sum(r.fiat_minor) AS minor
                          FROM fixed_run u
                          JOIN distribution d ON d.fixed_run_id = u.id AND d.reversed_at IS NULL
                          JOIN distribution_record r ON r.distribution_id = d.id
                         WHERE u.pool_id = :pool AND u.local_date = :day GROUP BY r.client_id) b
               ON b.client_id = c.id
            WHERE c.mode = 'fixed' AND c.status = 'active' AND a.balance < 0 AND f.daily_minor > 0
            ORDER BY c.id""",
        pool=slot.newest.pool.pool_id,
        most=slot.newest.default_max_minor,
        day=slot.slot.local_date,
    )
    return [Buyer(r.id, r.balance, r.daily_minor, r.max_minor, int(r.bought)) for r in found]


async def _write_run(
    conn: AsyncConnection, slot: OpenSlot, state: RunState, reason: str | None, actor: str
) -> int:
    run_id: int = await scalar(
        conn,
        """INSERT INTO fixed_run (pool_id, schedule_id, local_date, local_time, due_at, state, reason, actor)
           VALUES (:pool, :schedule, :day, :time, :due_at, :state, :reason, :actor) RETURNING id""",
        pool=slot.newest.pool.pool_id,
        schedule=slot.schedule.schedule_id,
        day=slot.slot.local_date,
        time=slot.slot.local_time,
        due_at=slot.slot.due_at,
        state=str(state),
        reason=reason,
        actor=actor,
    )
    return run_id


async def _book(conn: AsyncConnection, done: Run, actor: str) -> None:
    """The journal entry, the distribution, a record for each client. The database checks every sum again."""
    where, slot = done.slot.newest.pool, done.slot.slot
    happened_at: datetime = await scalar(conn, "SELECT now()")
    entry = fixed_run(
        run_id=done.run_id,
        slot=f"{slot.local_date}:{slot.local_time}",
        pool_id=where.pool_id,
        currency=where.currency,
        shares=done.shares,
        happened_at=happened_at,
        actor=actor,
    )
    (entry_id,) = await journal.post(conn, [entry])
    await execute(
        conn,
        """WITH d AS (
               INSERT INTO distribution (kind, fixed_run_id, pool_id, entry_id, total_sats, principal_sats,
                      commission_sats, uncovered_sats, fiat_minor, charge_minor, uncovered_minor, client_count,
                      happened_at, rate_fiat, rate_source, rate_at)
               VALUES ('fixed', :run, :pool, :entry, :total, :total, 0, 0, :minor, :minor, 0, :count,
                       :happened_at, :rate, :source, :rate_at)
               RETURNING id)
           INSERT INTO distribution_record (distribution_id, type, client_id, sats, fiat_minor, state)
           SELECT d.id, 'fixed', r.client_id, r.sats, r.fiat_minor, 'owed'
             FROM d, unnest(CAST(:clients AS bigint[]), CAST(:sats AS bigint[]), CAST(:fiat AS bigint[]))
                     WITH ORDINALITY AS r (client_id, sats, fiat_minor, n)
            ORDER BY r.n""",
        run=done.run_id,
        pool=where.pool_id,
        entry=entry_id,
        total=done.sats,
        minor=done.minor,
        count=len(done.shares),
        happened_at=happened_at,
        rate=done.rate.fiat_per_btc,
        source=str(done.rate.source),
        rate_at=done.rate.at,
        clients=int_array(s.client_id for s in done.shares),
        sats=int_array(s.sats for s in done.shares),
        fiat=int_array(s.fiat_minor for s in done.shares),
    )


async def _audit(conn: AsyncConnection, done: Run, actor: str, reason: str | None) -> None:
    await audit(
        conn,
        actor=actor,
        action="fixed.run",
        subject=f"fixed-run:{done.run_id}",
        after={
            "pool_id": done.slot.newest.pool.pool_id,
            "slot": str(done.slot.slot),
            "state": str(done.state),
            "clients": len(done.shares),
            "sats": done.sats,
            "fiat_minor": done.minor,
            "rate_fiat": format(done.rate.fiat_per_btc.normalize(), "f"),
            "rate_source": str(done.rate.source),
        },
        reason=reason,
    )


def _tell(done: Run) -> None:
    log.info(
        "fixed.run",
        run_id=done.run_id,
        pool_id=done.slot.newest.pool.pool_id,
        slot=str(done.slot.slot),
        state=str(done.state),
        clients=len(done.shares),
        sats=done.sats,
        fiat_minor=done.minor,
        rate_fiat=format(done.rate.fiat_per_btc.normalize(), "f"),
        rate_source=str(done.rate.source),
    )


def refuse_not_free(done: Run | None) -> Run:
    """For a person: somebody else was first. Raises `ConflictError`."""
    if done is None:
        raise ConflictError(
            "somebody has run this time, or changed the schedule, meanwhile", remedy="look again: fixed preview"
        )
    return done
