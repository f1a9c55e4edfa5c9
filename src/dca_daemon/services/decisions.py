"""What a person decides about one cash-out: distributed after all, or never.

Under the machine's and the pool's lock, like the intake's own work: who is first decides, the other is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.ledger.db import Database, one
from dca_daemon.services import cash_outs, mirror
from dca_daemon.services.audit import audit
from dca_daemon.services.cash_outs import CashOutView
from dca_daemon.services.intake import Intake, Order, log_result
from dca_daemon.services.mirror import OPERATOR
from dca_daemon.services.pools import lock_place

log = structlog.get_logger()

_FINAL = (CashOutState.DISTRIBUTED, CashOutState.SETTLED_BY_HAND)


async def distribute(
    db: Database, intake: Intake, reference: str, *, reason: str, actor: str, rehearse: bool = False
) -> CashOutView:
    """Distributes what a filter left out, what was before the baseline, or what waits in review.

    It is shared by the balances of now.

    With `rehearse` it shows what would come of it, and changes nothing. Raises `InputError` when its data can't be
    used or Lamassu does not have it as successful, `ConflictError` when it is distributed or settled already.
    """
    reason = a_reason(reason)

    async def work(conn: AsyncConnection) -> tuple[CashOutView, Any]:
        row = await lock(conn, await cash_outs.find(conn, reference))
        result = await intake.book(conn, [cash_outs.source_row(row)], Order(actor, reason))
        await _audit(conn, row, "cash-out.distribute", CashOutState.DISTRIBUTED, reason, actor)
        return await cash_outs.whole(conn, row.id), result

    if rehearse:
        return (await db.rehearse(work))[0]
    view, result = await db.run(work)
    log_result(result)
    return view


async def ignore(db: Database, reference: str, *, reason: str, actor: str) -> CashOutView:
    """Has a cash-out never distributed, whatever Lamassu says of it later.

    Raises `ConflictError` when it is distributed, settled or ignored by a person already.
    """
    reason = a_reason(reason)

    async def work(conn: AsyncConnection) -> CashOutView:
        row = await lock(conn, await cash_outs.find(conn, reference))
        if row.state in _FINAL or (row.state, row.reason) == (CashOutState.IGNORED, OPERATOR):
            raise already(row)
        text = f"by hand, {actor}: {reason}"
        await mirror.move_to(conn, row.id, CashOutState.IGNORED, OPERATOR, text)
        detail = {"from": row.state, "state": CashOutState.IGNORED, "reason": OPERATOR, "text": text}
        await mirror.write_log(conn, [(row.id, "changed", detail)])
        await _audit(conn, row, "cash-out.ignore", CashOutState.IGNORED, reason, actor)
        return await cash_outs.whole(conn, row.id)

    view = await db.run(work)
    log.info("cash-out.ignored", cash_out_id=view.summary.cash_out_id, external_id=view.summary.external_id)
    return view


@dataclass(frozen=True, slots=True)
class Several:
    """What came of distributing several: how many were, and why the others were not, by our number."""

    distributed: int
    refused: tuple[tuple[int, str], ...]


async def distribute_several(db: Database, intake: Intake, ids: list[int], *, reason: str, actor: str) -> Several:
    """Distributes each by itself, in this order: one that can't be holds up no other."""
    done, refused = 0, []
    for cash_out_id in ids:
        try:
            await distribute(db, intake, str(cash_out_id), reason=reason, actor=actor)
        except InputError as error:
            refused.append((cash_out_id, error.message))
        else:
            done += 1
    return Several(done, tuple(refused))


async def lock(conn: AsyncConnection, cash_out_id: int) -> Any:
    """All columns of a cash-out, which stands still until this transaction ends, like its machine and pool."""
    device = await one(conn, "SELECT device_id FROM cash_out WHERE id = :id", id=cash_out_id)
    await lock_place(conn, device.device_id)
    return await one(conn, "SELECT * FROM cash_out WHERE id = :id FOR UPDATE", id=cash_out_id)


def a_reason(text: str) -> str:
    """Why somebody decided so. Raises `InputError` without one."""
    if not text.strip():
        raise InputError("this needs a reason", remedy="add --reason", field="reason")
    return text.strip()


def already(row: Any) -> ConflictError:
    """That a cash-out is beyond this decision."""
    what = "ignored by hand" if row.state == CashOutState.IGNORED else row.state
    return ConflictError(f"cash-out {row.id} is {what} already", remedy=f"see: dca-daemon cash-out show {row.id}")


async def _audit(
    conn: AsyncConnection, row: Any, action: str, state: CashOutState, reason: str, actor: str
) -> None:
    await audit(
        conn,
        actor=actor,
        action=action,
        subject=f"cash-out:{row.id}",
        before={"state": row.state, "reason": row.reason},
        after={"state": state},
        reason=reason,
    )
