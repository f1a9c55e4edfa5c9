"""What each Fixed Mode client buys a day, and the most that the operator lets it. The newest row is in force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.money import fiat_text
from dca_daemon.ledger.db import Database, execute, lock_pool, one, rows
from dca_daemon.services import clients, fixed_schedules, pools
from dca_daemon.services.audit import audit
from dca_daemon.services.pools import Pool

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FixedAmount:
    """A client's amount in a pool, in minor units. `own_max_minor` is None where the schedule's maximum counts."""

    client_id: int
    client: str
    mode: str
    status: str
    pool: Pool
    daily_minor: int
    own_max_minor: int | None
    max_minor: int
    balance_minor: int

    @property
    def day_minor(self) -> int:
        """What it may really buy for a day: lower than its amount where the maximum has been lowered since."""
        return min(self.daily_minor, self.max_minor)


@dataclass(frozen=True, slots=True)
class FixedTerms:
    """Fixed Mode in one pool, as one client meets it. `daily_minor` is None before its first amount; `times` are
    those of the schedule in force, in `zone`, and none where nothing is run."""

    pool: Pool
    daily_minor: int | None
    max_minor: int
    times: tuple[str, ...]
    zone: str | None


async def terms(conn: AsyncConnection, client_id: int, where: Pool) -> FixedTerms:
    """What a client buys a day in a pool, the most that it may, and when."""
    amount = await _amount(conn, client_id, where)
    schedule = await fixed_schedules.of_pool(conn, where.pool_id)
    active = schedule is not None and schedule.active
    return FixedTerms(
        pool=where,
        daily_minor=None if amount is None else amount.daily_minor,
        max_minor=await _pool_max(conn, where) if amount is None else amount.max_minor,
        times=schedule.times.times if schedule is not None and active else (),
        zone=schedule.times.zone if schedule is not None and active else None,
    )


async def change(
    db: Database,
    client: str,
    *,
    per_day: str | None = None,
    own_max: str | None = None,
    default_max: bool = False,
    pool_reference: str | None = None,
    reason: str | None = None,
    actor: str,
) -> FixedAmount:
    """Sets what a client buys a day, its own maximum, or both; `default_max` takes its own maximum away.

    Raises `InputError` for an amount over the maximum, `ConflictError` for a receiver of commission.
    """

    async def work(conn: AsyncConnection) -> FixedAmount:
        client_id = await clients.find(conn, client)
        where = await pools.find(conn, pool_reference)
        await lock_pool(conn, where.pool_id)
        await clients.refuse_erased(conn, client_id)
        await _refuse_receiver(conn, client_id)
        before = await _amount(conn, client_id, where)
        if before is None and per_day is None:
            remedy = "give one: --per-day AMOUNT"
            raise InputError("the client has no amount a day yet", remedy=remedy, field="per_day")
        own_max_minor = None if before is None or default_max else before.own_max_minor
        if own_max is not None:
            own_max_minor = fixed_schedules.parse_amount(own_max, where.currency, "own_max")
        daily_minor = before.daily_minor if before else 0
        if per_day is not None:
            daily_minor = fixed_schedules.parse_amount(per_day, where.currency, "per_day")
        most = own_max_minor if own_max_minor is not None else await _pool_max(conn, where)
        _refuse_over(daily_minor, most, where.currency, "per_day" if own_max is None or per_day else "own_max")
        await execute(
            conn,
            """INSERT INTO fixed_amount (client_id, pool_id, daily_minor, max_minor, actor)
               VALUES (:client, :pool, :daily, :own_max, :actor)""",
            client=client_id,
            pool=where.pool_id,
            daily=daily_minor,
            own_max=own_max_minor,
            actor=actor,
        )
        after = await _amount(conn, client_id, where)
        assert after is not None
        await audit(
            conn,
            actor=actor,
            action="fixed.set-amount",
            subject=f"client:{client_id}",
            before=None if before is None else _audited(before),
            after=_audited(after),
            reason=reason,
        )
        return after

    amount = await db.run(work)
    log.info(
        "fixed.amount-set",
        client_id=amount.client_id,
        pool_id=amount.pool.pool_id,
        daily_minor=amount.daily_minor,
        max_minor=amount.max_minor,
    )
    return amount


async def check(db: Database, per_day: str) -> None:
    """Whether a new client of the default pool could have this amount. Raises `InputError`."""
    async with db.transaction() as conn:
        where = await pools.find(conn, None)
        minor = fixed_schedules.parse_amount(per_day, where.currency, "per_day")
        _refuse_over(minor, await _pool_max(conn, where), where.currency, "per_day")


def _refuse_over(daily_minor: int, max_minor: int, currency: str, field: str) -> None:
    if daily_minor > max_minor:
        amount, most = fiat_text(daily_minor, currency), fiat_text(max_minor, currency)
        raise InputError(
            f"{amount} a day is more than the maximum of {most}",
            remedy="raise it for this client with --max, or for all: dca-daemon fixed set --max-per-day",
            field=field,
        )


async def _refuse_receiver(conn: AsyncConnection, client_id: int) -> None:
    found = await one(conn, "SELECT name, mode FROM client WHERE id = :id", id=client_id)
    if found.mode == "commission":
        raise ConflictError(f"{found.name!r} only receives commission: it buys nothing", field="client")


async def _pool_max(conn: AsyncConnection, where: Pool) -> int:
    schedule = await fixed_schedules.of_pool(conn, where.pool_id)
    return schedule.default_max_minor if schedule else fixed_schedules.default_max(where.currency)


def _audited(amount: FixedAmount) -> dict[str, Any]:
    return {
        "pool_id": amount.pool.pool_id,
        "daily_minor": amount.daily_minor,
        "max_minor": amount.own_max_minor,
        "currency": amount.pool.currency,
    }


async def of_pool(db: Database, pool_reference: str | None = None) -> list[FixedAmount]:
    """The amounts of a pool's clients, by client id; of those in Flow Mode too, where they have one."""
    async with db.transaction() as conn:
        where = await pools.find(conn, pool_reference)
        return await _amounts(conn, where)


async def without_amount(db: Database, pool_reference: str | None = None) -> list[str]:
    """The active Fixed Mode clients that have no amount in the pool, and so buy nothing."""
    async with db.transaction() as conn:
        where = await pools.find(conn, pool_reference)
        found = await rows(
            conn,
            """SELECT c.name FROM client c
                WHERE c.mode = 'fixed' AND c.status = 'active'
                  AND NOT EXISTS (SELECT FROM fixed_amount f WHERE f.client_id = c.id AND f.pool_id = :pool)
                ORDER BY c.id""",
            pool=where.pool_id,
        )
        return [r.name for r in found]


async def _amount(conn: AsyncConnection, client_id: int, where: Pool) -> FixedAmount | None:
    found = await _amounts(conn, where, client_id)
    return found[0] if found else None


async def _amounts(conn: AsyncConnection, where: Pool, client_id: int | None = None) -> list[FixedAmount]:
    most = await _pool_max(conn, where)
    found = await rows(
        conn,
        """SELECT DISTINCT ON (f.client_id) f.client_id, c.name, c.mode, c.status, f.daily_minor, f.max_minor,
                  -coalesce(a.balance, 0) AS balance
             FROM fixed_amount f JOIN client c ON c.id = f.client_id
             LEFT JOIN account a ON a.client_id = c.id AND a.pool_id = f.pool_id AND a.purpose = 'client-fiat'
            WHERE f.pool_id = :pool AND (CAST(:client AS bigint) IS NULL OR f.client_id = :client)
            ORDER BY f.client_id, f.id DESC""",
        pool=where.pool_id,
        client=client_id,
    )
    return [
        FixedAmount(
            client_id=r.client_id,
            client=r.name,
            mode=r.mode,
            status=r.status,
            pool=where,
            daily_minor=r.daily_minor,
            own_max_minor=r.max_minor,
            max_minor=most if r.max_minor is None else r.max_minor,
            balance_minor=r.balance,
        )
        for r in found
    ]
