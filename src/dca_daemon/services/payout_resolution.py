"""How a person ends a held payout whose outcome LNbits can't prove: with a reason, in the audit log."""

from __future__ import annotations

from enum import StrEnum

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger import journal
from dca_daemon.ledger.db import Database, scalar
from dca_daemon.ledger.postings.payout_written_off import payout_written_off
from dca_daemon.payouts import store
from dca_daemon.services import payouts
from dca_daemon.services.audit import audit
from dca_daemon.services.payouts import PayoutView

log = structlog.get_logger()


class Resolution(StrEnum):
    """What a person found out about a held payout."""

    SETTLED = "settled"  # the receiver has it
    VOID = "void"  # nothing has left the source wallet, and nothing will: owed again
    WRITTEN_OFF = "written-off"  # it left and is lost: the house bears it, the client is owed again


CONSEQUENCE = {
    Resolution.SETTLED: "It counts as paid: the client gets nothing more for its records.",
    Resolution.VOID: "Its records are owed again, and the client is paid anew.",
    Resolution.WRITTEN_OFF: "The house bears the loss, its records are owed again, and the client is paid anew.",
}


async def resolve(db: Database, reference: str, resolution: Resolution, *, reason: str, actor: str) -> PayoutView:
    """Ends a held payout. Raises `InputError` without a reason, `ConflictError` where it does not fit.

    `void` and `written-off` have the client paid a second time: only for who has made sure.
    """
    if not reason.strip():
        remedy = "add --reason: what you saw, and where"
        raise InputError("this needs a reason", remedy=remedy, field="reason")

    async def work(conn: AsyncConnection) -> str:
        payout = await store.load(conn, await payouts.find(conn, reference))
        if payout.state is not PayoutState.HELD:
            raise ConflictError(
                f"payout {payout.payout_id} is {payout.state}: only a held one can be resolved",
                remedy="hold it first, if you mean it: dca-daemon payout hold",
            )
        if payout.submits == 0 and resolution is not Resolution.VOID:
            raise ConflictError(
                f"payout {payout.payout_id} was never submitted, so nothing can have left the source wallet",
                remedy="resolve it as void, or release it",
                field="outcome",
            )
        await _end(conn, payout, resolution, reason.strip(), actor)
        await audit(
            conn,
            actor=actor,
            action="payout.resolve",
            subject=f"payout:{payout.payout_id}",
            before={"state": payout.state},
            after={"resolution": resolution},
            reason=reason.strip(),
        )
        return payout.payout_id

    view, _, _ = await payouts.show(db, await db.run(work))
    log.warning(
        "payout.resolved",
        payout_id=view.payout_id,
        client_id=view.client_id,
        amount_sats=view.amount_sats,
        resolution=resolution,
        reason=reason.strip(),
    )
    return view


async def _end(
    conn: AsyncConnection, payout: store.Payout, resolution: Resolution, reason: str, actor: str
) -> None:
    if resolution is Resolution.SETTLED:
        evidence = {"by": actor, "reason": reason}
        await store.settle(conn, payout, fee_msat=0, evidence=evidence, actor=actor)
        return
    await store.release(conn, payout, PayoutState.VOID, reason=f"{resolution}: {reason}", actor=actor)
    if resolution is Resolution.WRITTEN_OFF:
        now = await scalar(conn, "SELECT now()")
        entry = payout_written_off(
            payout_id=payout.payout_id, amount_sats=payout.amount_sats, happened_at=now, actor=actor
        )
        await journal.post(conn, [entry])
