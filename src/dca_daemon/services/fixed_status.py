"""How Fixed Mode stands: what would be bought next, what was, and what waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError, NoRateError
from dca_daemon.domain.fixed import Buyer, Rate, amount_minor, sats_for
from dca_daemon.domain.schedule import Slot
from dca_daemon.ledger.db import Database, one, rows
from dca_daemon.ledger.pages import Conditions, anchor
from dca_daemon.services import fixed_runs, fixed_schedules, fixed_slots, pools
from dca_daemon.services.fixed_schedules import Schedule
from dca_daemon.services.fixed_slots import OpenSlot
from dca_daemon.services.pools import Pool
from dca_daemon.services.rates import Rates


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a client would buy: `sats` is None where there is no rate."""

    client_id: int
    client: str
    amount_minor: int
    sats: int | None
    balance_minor: int
    bought_minor: int


@dataclass(frozen=True, slots=True)
class Preview:
    """One slot as it would be run now. Without a `rate` there is the reason in `no_rate`."""

    schedule: Schedule
    slot: OpenSlot
    purchases: tuple[Purchase, ...]
    rate: Rate | None
    no_rate: NoRateError | None
    upcoming: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class PastRun:
    """A slot that was dealt with; amounts of what was bought, and not taken back, then."""

    run_id: int
    pool: Pool
    local_date: date
    local_time: str
    zone: str
    due_at: datetime
    at: datetime
    state: str
    reason: str | None
    actor: str
    clients: int
    sats: int
    minor: int
    rate_fiat: Decimal | None
    rate_source: str | None
    rate_at: datetime | None
    reversed_at: datetime | None


@dataclass(frozen=True, slots=True)
class FixedStatus:
    """All pools together. `waiting`: slots whose time has come and that were not run yet."""

    next_due_at: datetime | None
    last_due_at: datetime | None
    last_run_at: datetime | None
    last_state: str | None
    waiting: int
    error: str | None


async def preview(
    db: Database, rates: Rates, now: datetime, *, by_hand: bool, pool_reference: str | None = None, ahead: int = 5
) -> Preview:
    """What the next slot would buy; with `by_hand` the one that a person can run now. Raises `ConflictError`."""
    async with db.transaction() as conn:
        newest = await _running(conn, pool_reference)
        where = newest.pool
        found = await fixed_slots.look(conn, where.pool_id, now, ahead=ahead)
        slot = await _by_hand(conn, newest, now) if by_hand else _next(found)
        buyers = await fixed_runs.buyers(conn, slot)
        names = await _names(conn, [buyer.client_id for buyer in buyers])
    rate, no_rate = await _rate(rates, where.currency)
    bought = tuple(_purchase(buyer, names[buyer.client_id], slot.slot, rate, where.currency) for buyer in buyers)
    return Preview(newest, slot, bought, rate, no_rate, found.upcoming)


async def slot_by_hand(db: Database, now: datetime, *, pool_reference: str | None = None) -> OpenSlot:
    """The slot that a person can run now. Raises `ConflictError`."""
    async with db.transaction() as conn:
        return await _by_hand(conn, await _running(conn, pool_reference), now)


async def _running(conn: AsyncConnection, pool_reference: str | None) -> Schedule:
    where = await pools.find(conn, pool_reference)
    newest = await fixed_schedules.of_pool(conn, where.pool_id)
    if newest is None or not newest.active:
        what = "has no schedule" if newest is None else "has its schedule stopped"
        raise ConflictError(f"the pool {where.name!r} {what}", remedy="set one: dca-daemon fixed set --help")
    return newest


async def _by_hand(conn: AsyncConnection, newest: Schedule, now: datetime) -> OpenSlot:
    slot = await fixed_slots.next_by_hand(conn, newest, now)
    if slot is None:
        raise ConflictError(
            f"all of today's times of the pool {newest.pool.name!r} have been dealt with",
            remedy="see: dca-daemon fixed history",
        )
    return slot


def _next(found: fixed_slots.PoolSlots) -> OpenSlot:
    """The first that is due and not given up, else the next one to come."""
    still = [slot for slot in found.due if slot.given_up is None]
    return still[0] if still else OpenSlot(found.upcoming[0], found.newest, found.newest)


async def _names(conn: AsyncConnection, client_ids: list[int]) -> dict[int, str]:
    found = await rows(conn, "SELECT id, name FROM client WHERE id = ANY(:ids)", ids=client_ids)
    return {r.id: r.name for r in found}


async def _rate(rates: Rates, currency: str) -> tuple[Rate | None, NoRateError | None]:
    try:
        return await rates.current(currency), None
    except NoRateError as error:
        return None, error


def _purchase(buyer: Buyer, name: str, slot: Slot, rate: Rate | None, currency: str) -> Purchase:
    minor = amount_minor(buyer, slot.number, slot.count)
    sats = None if rate is None else sats_for(minor, rate.fiat_per_btc, currency)
    return Purchase(
        buyer.client_id, name, 0 if sats == 0 else minor, sats, buyer.balance_minor, buyer.bought_minor
    )


async def history(
    db: Database, *, pool_reference: str | None = None, limit: int = 50, after: int | None = None
) -> list[PastRun]:
    """The slots that were dealt with, the last one first, from after the run `after` on; of one pool, or of all.

    Raises `NotFoundError`.
    """
    conditions = Conditions()
    conditions.given("u.id < :after", after=after)
    async with db.transaction() as conn:
        if pool_reference is not None:
            conditions.always("u.pool_id = :pool", pool=(await pools.find(conn, pool_reference)).pool_id)
        if after is not None:
            await anchor(conn, "fixed run", "SELECT id FROM fixed_run WHERE id = :after", after)
        found = await rows(
            conn,
            f"""SELECT u.id, u.pool_id, p.name, p.currency, u.local_date, u.local_time, s.zone, u.due_at, u.at,
                      u.state, u.reason, u.actor, coalesce(d.client_count, 0) AS clients,
                      coalesce(d.total_sats, 0) AS sats, coalesce(d.fiat_minor, 0) AS minor,
                      d.rate_fiat, d.rate_source, d.rate_at, d.reversed_at
                 FROM fixed_run u JOIN pool p ON p.id = u.pool_id JOIN fixed_schedule s ON s.id = u.schedule_id
                 LEFT JOIN LATERAL (SELECT * FROM distribution x WHERE x.fixed_run_id = u.id
                                     ORDER BY x.id DESC LIMIT 1) d ON true
                {conditions.where} ORDER BY u.id DESC LIMIT :limit""",  # noqa: S608 - every part stands here
            limit=limit,
            **conditions.values,
        )
    return [
        PastRun(
            run_id=r.id,
            pool=Pool(r.pool_id, r.name, r.currency),
            local_date=r.local_date,
            local_time=r.local_time,
            zone=r.zone,
            due_at=r.due_at,
            at=r.at,
            state=r.state,
            reason=r.reason,
            actor=r.actor,
            clients=r.clients,
            sats=int(r.sats),
            minor=int(r.minor),
            rate_fiat=r.rate_fiat,
            rate_source=r.rate_source,
            rate_at=r.rate_at,
            reversed_at=r.reversed_at,
        )
        for r in found
    ]


async def status(db: Database, now: datetime) -> FixedStatus | None:
    """For /status and the metrics; None where no pool ever had a schedule. Raises `DatabaseError`."""
    upcoming: list[datetime] = []
    waiting, error = 0, None
    async with db.transaction() as conn:
        pool_ids = await fixed_slots.pool_ids(conn)
        if not pool_ids:
            return None
        last = await one(conn, "SELECT due_at, at, state FROM fixed_run ORDER BY id DESC LIMIT 1")
        for pool_id in pool_ids:
            try:
                found = await fixed_slots.look(conn, pool_id, now)
            except InputError as unknown_zone:
                error = str(unknown_zone)
                continue
            waiting += len(found.due)
            upcoming += [slot.due_at for slot in found.upcoming]
    return FixedStatus(
        next_due_at=min(upcoming, default=None),
        last_due_at=last and last.due_at,
        last_run_at=last and last.at,
        last_state=last and last.state,
        waiting=waiting,
        error=error,
    )
