"""Machines: where each stands, and moving one to another pool.

A move concerns only what is not booked yet. Whoever books a machine's cash-outs holds the machine until the end of
the transaction (`pools_of_machines`), so that a move comes before or after, never between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError
from dca_daemon.ledger.db import Database, execute, one, rows
from dca_daemon.ledger.pages import Conditions, anchor
from dca_daemon.services import cash_outs, pools
from dca_daemon.services.audit import audit
from dca_daemon.services.decisions import a_reason
from dca_daemon.services.intake import Intake, IntakeResult, log_result
from dca_daemon.services.mirror import AWAITS_POOL

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MachineView:
    """A machine. `waiting`: its cash-outs that wait until somebody has decided on its pool."""

    device_id: str
    name: str | None
    version: str | None
    pool_id: int
    pool: str
    currency: str
    awaiting_pool: bool
    first_seen_at: datetime
    cash_outs: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A machine after a decision on its pool, and what became of the cash-outs that had waited for it."""

    machine: MachineView
    pool_before: str
    distributed: int
    distributed_sats: int
    not_distributed: int


async def list_all(
    db: Database, *, awaiting_only: bool = False, limit: int | None = None, after: str | None = None
) -> list[MachineView]:
    """The machines by pool and name, from after the one with the device id `after` on.

    Raises `NotFoundError` for an `after` that is none.
    """
    conditions = Conditions()
    if awaiting_only:
        conditions.always("m.awaiting_pool")
    async with db.transaction() as conn:
        if after is not None:
            query = """SELECT pool_id, name IS NULL AS nameless, coalesce(name, '') AS name, device_id
                         FROM machine WHERE device_id = :after"""
            at = await anchor(conn, "machine", query, after)
            conditions.always(
                "(m.pool_id, m.name IS NULL, coalesce(m.name, ''), m.device_id) > (:pool, :nameless, :name, :id)",
                pool=at.pool_id,
                nameless=at.nameless,
                name=at.name,
                id=at.device_id,
            )
        found = await rows(
            conn,
            f"""{_VIEW} {conditions.where}
                ORDER BY m.pool_id, m.name IS NULL, m.name, m.device_id LIMIT CAST(:limit AS bigint)""",
            limit=limit,
            **conditions.values,
        )
        return [MachineView(**r._mapping) for r in found]


async def show(db: Database, reference: str) -> MachineView:
    """One machine. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        return await _view(conn, await pools.find_machine(conn, reference))


async def move(
    db: Database,
    intake: Intake,
    reference: str,
    pool: str | None,
    *,
    reason: str,
    actor: str,
    rehearse: bool = False,
) -> Moved:
    """Decides on a machine's pool; None: that it stays where it is. What waited for that is booked there at once.

    With `rehearse` it shows what would come of it, and changes nothing. Raises `ConflictError` where there is
    nothing to change.
    """
    reason = a_reason(reason)

    async def work(conn: AsyncConnection) -> tuple[Moved, IntakeResult]:
        device_id = await pools.find_machine(conn, reference)
        # Stronger than what the intake holds: it waits for every booking of this machine's that is under way.
        await one(conn, "SELECT device_id FROM machine WHERE device_id = :id FOR UPDATE", id=device_id)
        before = await _view(conn, device_id)
        to_id = before.pool_id if pool is None else (await pools.find(conn, pool)).pool_id
        if to_id == before.pool_id and not before.awaiting_pool:
            text = f"the machine {device_id} is in the pool {before.pool!r} already"
            raise ConflictError(text, field="pool")
        await execute(
            conn,
            "UPDATE machine SET pool_id = :pool, awaiting_pool = false WHERE device_id = :id",
            pool=to_id,
            id=device_id,
        )
        result = await _book_waiting(conn, intake, device_id)
        after = await _view(conn, device_id)
        await audit(
            conn,
            actor=actor,
            action="machine.move",
            subject=f"machine:{device_id}",
            before={"pool_id": before.pool_id, "awaiting_pool": before.awaiting_pool},
            after={"pool_id": after.pool_id, "awaiting_pool": False, "distributed": len(result.distributed)},
            reason=reason,
        )
        return _moved(before, after, result), result

    if rehearse:
        return (await db.rehearse(work))[0]
    moved, result = await db.run(work)
    log.info("machine.moved", device_id=moved.machine.device_id, pool_id=moved.machine.pool_id)
    log_result(result)
    return moved


async def _book_waiting(conn: AsyncConnection, intake: Intake, device_id: str) -> IntakeResult:
    waiting = await rows(
        conn,
        "SELECT * FROM cash_out WHERE device_id = :id AND state = 'review' AND reason = :reason ORDER BY id",
        id=device_id,
        reason=AWAITS_POOL,
    )
    return await intake.book(conn, [cash_outs.source_row(row) for row in waiting]) if waiting else IntakeResult()


def _moved(before: MachineView, after: MachineView, result: IntakeResult) -> Moved:
    return Moved(
        machine=after,
        pool_before=before.pool,
        distributed=len(result.distributed),
        distributed_sats=sum(d.split.total_sats for d in result.distributed),
        not_distributed=len(result.changed) - len(result.distributed),
    )


async def name(db: Database, reference: str, to: str, *, actor: str) -> MachineView:
    """Names a machine. Where Lamassu's own names can be read, Lamassu's comes back with the next cash-out."""
    cleaned = pools.clean_name(to, "a machine")

    async def work(conn: AsyncConnection) -> MachineView:
        device_id = await pools.find_machine(conn, reference)
        before = await one(conn, "SELECT name FROM machine WHERE device_id = :id FOR NO KEY UPDATE", id=device_id)
        await execute(conn, "UPDATE machine SET name = :name WHERE device_id = :id", id=device_id, name=cleaned)
        await audit(
            conn,
            actor=actor,
            action="machine.name",
            subject=f"machine:{device_id}",
            before={"name": before.name},
            after={"name": cleaned},
        )
        return await _view(conn, device_id)

    found = await db.run(work)
    log.info("machine.named", device_id=found.device_id, name=found.name)
    return found


_VIEW = """
    SELECT m.device_id, m.name, m.version, m.pool_id, p.name AS pool, p.currency, m.awaiting_pool, m.first_seen_at,
           -- Each by the index of machines and states; what was distributed is counted without its rows.
           (SELECT count(*) FROM cash_out c
             WHERE c.device_id = m.device_id AND c.state = 'distributed') AS cash_outs,
           (SELECT count(*) FROM cash_out c WHERE c.device_id = m.device_id AND c.state = 'review'
               AND c.reason = 'machine-awaits-pool') AS waiting
      FROM machine m JOIN pool p ON p.id = m.pool_id
"""


async def _view(conn: AsyncConnection, device_id: str) -> MachineView:
    found = await one(conn, f"{_VIEW} WHERE m.device_id = :id", id=device_id)
    return MachineView(**found._mapping)
