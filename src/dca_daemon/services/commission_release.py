"""Gathered commission becomes payable: at set times, from an amount on, or when somebody says so.

    gathered ──► owed ──► paid like anything that is owed

Nothing is booked by it: what was gathered has been owed to its receiver since its cash-out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.commission import Pay
from dca_daemon.domain.errors import InputError, at_field
from dca_daemon.domain.schedule import DailyTimes
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database, execute, int_array, one, rows, scalar
from dca_daemon.services import clients
from dca_daemon.services.audit import audit

log = structlog.get_logger()

DAEMON = "daemon"


@dataclass(frozen=True, slots=True)
class Released:
    """One release: how many records, and what they come to. `due_at` is the set time it was for, if it was."""

    release_id: int
    due_at: datetime | None
    records: int
    sats: int
    actor: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is gathered for one receiver."""

    client_id: int
    name: str
    records: int
    sats: int


async def lock(conn: AsyncConnection) -> None:
    """Serializes changes of the shares and releases, until the transaction ends."""
    await execute(conn, "SELECT pg_advisory_xact_lock(:key)", key=lock_keys.COMMISSION)


async def gathered_sats(conn: AsyncConnection) -> int:
    """What is gathered in all."""
    total: int = await scalar(
        conn, "SELECT coalesce(sum(sats), 0)::bigint FROM distribution_record WHERE state = 'gathered'"
    )
    return total


async def look(db: Database) -> list[Released]:
    """Releases what the version in force makes payable now; each set time is served once, whoever looks."""
    async with db.transaction() as conn:
        if not await one(conn, "SELECT 1 FROM distribution_record WHERE state = 'gathered' LIMIT 1"):
            return []

    async def work(conn: AsyncConnection) -> list[Released]:
        await lock(conn)
        return await release_due(conn, await scalar(conn, "SELECT now()"), actor=DAEMON)

    released = await db.run(work)
    for one_release in released:
        tell(one_release)
    return released


async def release_due(conn: AsyncConnection, now: datetime, *, actor: str) -> list[Released]:
    """What the version in force makes payable at `now`. Hold `lock`."""
    version = await one(
        conn,
        """SELECT id, pay, pay_times, zone, pay_from_sats, created_at
             FROM commission_version ORDER BY id DESC LIMIT 1""",
    )
    if version is None:
        return []
    if version.pay == Pay.AT_ONCE:
        return await _release(conn, actor=actor)
    if version.pay == Pay.FROM_AMOUNT:
        return await _release(conn, actor=actor, client_ids=await _ripe(conn, version.id, version.pay_from_sats))
    slot = DailyTimes(version.zone, tuple(version.pay_times)).latest_until(now)
    if slot is None or slot.due_at <= version.created_at:
        return []
    if await one(conn, "SELECT 1 FROM commission_release WHERE due_at = :due", due=slot.due_at):
        return []
    return await _release(conn, actor=actor, due_at=slot.due_at)


async def _ripe(conn: AsyncConnection, version_id: int, from_sats: int) -> list[int]:
    """Receivers whose sum has come to the amount, and those who get nothing more that could bring it there."""
    found = await rows(
        conn,
        """SELECT r.client_id FROM distribution_record r
            WHERE r.state = 'gathered' GROUP BY r.client_id
           HAVING sum(r.sats) >= :from_sats OR NOT EXISTS (
               SELECT FROM commission_share s JOIN client c ON c.id = s.client_id
                WHERE s.version_id = :version AND s.client_id = r.client_id AND s.active AND c.status = 'active')
            ORDER BY r.client_id""",
        from_sats=from_sats,
        version=version_id,
    )
    return [r.client_id for r in found]


async def _release(
    conn: AsyncConnection, *, actor: str, due_at: datetime | None = None, client_ids: Sequence[int] | None = None
) -> list[Released]:
    """Everything that is gathered; of these receivers only; for a set time, what was booked until then."""
    found = await one(
        conn,
        """WITH freed AS (
               UPDATE distribution_record r SET state = 'owed'
                WHERE r.state = 'gathered'
                  AND (CAST(:clients AS bigint[]) IS NULL OR r.client_id = ANY(CAST(:clients AS bigint[])))
                  AND (CAST(:due AS timestamptz) IS NULL OR EXISTS (
                       SELECT FROM distribution d WHERE d.id = r.distribution_id AND d.booked_at <= :due))
               RETURNING r.sats)
           INSERT INTO commission_release (due_at, records, sats, actor)
           SELECT :due, count(*), sum(sats), :actor FROM freed HAVING count(*) > 0
           RETURNING id, due_at, records, sats""",
        clients=None if client_ids is None else int_array(client_ids),
        due=due_at,
        actor=actor,
    )
    return [] if found is None else [Released(found.id, found.due_at, found.records, found.sats, actor)]


def tell(released: Released) -> None:
    """Logs a release that was committed."""
    log.info(
        "commission.released",
        records=released.records,
        sats=released.sats,
        due_at=None if released.due_at is None else released.due_at.isoformat(),
        actor=released.actor,
    )


async def is_gathered(db: Database) -> list[Gathered]:
    """What is gathered, by receiver; it may be nothing."""
    async with db.transaction() as conn:
        return await _sums(conn, ())


async def gathered(db: Database, receivers: Sequence[str] = ()) -> list[Gathered]:
    """What is gathered for these receivers, or for all. Raises `InputError` when it is nothing."""
    async with db.transaction() as conn:
        return await _gathered(conn, receivers)


async def _gathered(conn: AsyncConnection, receivers: Sequence[str]) -> list[Gathered]:
    found = await _sums(conn, receivers)
    if not found:
        raise InputError("nothing is gathered that could be released", remedy="see: dca-daemon commission show")
    return found


async def _sums(conn: AsyncConnection, receivers: Sequence[str]) -> list[Gathered]:
    with at_field("receiver"):
        wanted = [await clients.find(conn, reference) for reference in receivers]
    found = await rows(
        conn,
        """SELECT r.client_id, c.name, count(*) AS records, sum(r.sats)::bigint AS sats
             FROM distribution_record r JOIN client c ON c.id = r.client_id
            WHERE r.state = 'gathered' AND (CAST(:all AS boolean) OR r.client_id = ANY(CAST(:ids AS bigint[])))
            GROUP BY r.client_id, c.name ORDER BY r.client_id""",
        all=not receivers,
        ids=int_array(wanted),
    )
    return [Gathered(**r._mapping) for r in found]


async def release(db: Database, receivers: Sequence[str] = (), *, actor: str) -> list[Gathered]:
    """Makes what is gathered payable now, for these receivers or for all."""

    async def work(conn: AsyncConnection) -> tuple[list[Gathered], list[Released]]:
        await lock(conn)
        found = await _gathered(conn, receivers)
        released = await _release(conn, actor=actor, client_ids=[g.client_id for g in found])
        for r in released:
            await audit(
                conn,
                actor=actor,
                action="commission.release",
                subject=f"commission-release:{r.release_id}",
                after={"records": r.records, "sats": r.sats, "clients": [g.client_id for g in found]},
            )
        return found, released

    found, released = await db.run(work)
    for one_release in released:
        tell(one_release)
    return found
