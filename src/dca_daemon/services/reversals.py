"""Taking back a distribution of which nothing was paid. What was paid can only be followed by an adjustment."""

from __future__ import annotations

import json
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.money import sats_text
from dca_daemon.domain.payout import NEVER_SUBMITTED_STATES, PayoutState
from dca_daemon.ledger import journal
from dca_daemon.ledger.accounts import Account
from dca_daemon.ledger.db import Database, execute, lock_pool, one, rows, scalar
from dca_daemon.ledger.journal import Line
from dca_daemon.ledger.postings.reversal import reversal
from dca_daemon.payouts import store
from dca_daemon.services import mirror
from dca_daemon.services.audit import audit
from dca_daemon.services.distribution_views import DistributionView, RecordView, view_of

log = structlog.get_logger()


def check(view: DistributionView, reason: str) -> None:
    """Raises `ConflictError`, with what can be done instead, when it can't be reversed."""
    if not reason.strip():
        raise InputError("a reversal needs a reason", remedy="add --reason", field="reason")
    if view.reversed_at is not None:
        raise ConflictError(f"{view.name} is reversed already")
    paid = [r for r in view.records if r.state == "settled"]
    if paid:
        who = ", ".join(f"{r.client} {sats_text(r.sats)}" for r in paid[:3]) + (", …" if len(paid) > 3 else "")
        raise ConflictError(
            f"{view.name} can't be reversed, it has been paid ({who})",
            remedy="correct it by adjustments: dca-daemon client adjust",
        )
    for record in view.records:
        if record.in_the_way:
            raise _under_way(view, record)


def _under_way(view: DistributionView, record: RecordView) -> ConflictError:
    text = f"{view.name} can't be reversed: payout {record.payout_id} to {record.client} is {record.payout_state}"
    submitted = record.payout_state if record.payout_state is not PayoutState.HELD else record.held_from
    if submitted in NEVER_SUBMITTED_STATES and not record.adopted:
        return ConflictError(
            f"{text}", remedy=f"it was not submitted yet: dca-daemon payout hold {record.payout_id}, then again"
        )
    return ConflictError(f"{text}, and may have been paid", remedy="wait until it has ended, then see again")


async def reverse(db: Database, distribution_id: int, *, reason: str, actor: str) -> DistributionView:
    """Takes a distribution back, wholly: nobody is owed anything of it, balances are as if it had not been.

    Held payouts of its records that were never submitted end as void. A cash-out then waits for a decision.
    Raises `ConflictError` when something of it was paid, or may have been.
    """
    reason = reason.strip()

    async def work(conn: AsyncConnection) -> DistributionView:
        view = await _locked(conn, distribution_id)
        check(view, reason)
        await _void_payouts(conn, view, reason, actor)
        now: datetime = await scalar(conn, "SELECT now()")
        entry_id = await _post_reversal(conn, view, reason, now, actor)
        await execute(
            conn,
            "UPDATE distribution SET reversed_at = :now, reversal_entry_id = :entry WHERE id = :id",
            id=distribution_id,
            now=now,
            entry=entry_id,
        )
        await execute(
            conn,
            "UPDATE distribution_record SET state = 'reversed' WHERE distribution_id = :id",
            id=distribution_id,
        )
        await _cash_out_waits(conn, view, reason, actor)
        await audit(
            conn,
            actor=actor,
            action="distribution.reverse",
            subject=f"distribution:{distribution_id}",
            before={"records": {r.record_id: r.state for r in view.records}},
            after={"reversal_entry_id": entry_id, "cash_out_id": view.cash_out_id},
            reason=reason,
        )
        return await view_of(conn, distribution_id)

    done = await db.run(work)
    log.info(
        "distribution.reversed",
        distribution_id=distribution_id,
        kind=done.kind,
        cash_out_id=done.cash_out_id,
        external_id=done.external_id,
        total_sats=done.total_sats,
        reason=reason,
    )
    return done


async def _locked(conn: AsyncConnection, distribution_id: int) -> DistributionView:
    """The distribution under its pool's lock; its records stand still too, since the payer waits for them."""
    view = await view_of(conn, distribution_id)
    await lock_pool(conn, view.pool_id)
    if view.cash_out_id is not None:
        await one(conn, "SELECT id FROM cash_out WHERE id = :id FOR UPDATE", id=view.cash_out_id)
    await rows(
        conn,
        "SELECT id FROM distribution_record WHERE distribution_id = :id ORDER BY id FOR UPDATE",
        id=distribution_id,
    )
    return await view_of(conn, distribution_id)


async def _void_payouts(conn: AsyncConnection, view: DistributionView, reason: str, actor: str) -> None:
    for payout_id in sorted({r.payout_id for r in view.records if r.payout_id is not None}):
        payout = await store.load(conn, payout_id)
        text = f"distribution {view.distribution_id} is reversed: {reason}"
        await store.release(conn, payout, PayoutState.VOID, reason=text, actor=actor)


async def _post_reversal(
    conn: AsyncConnection, view: DistributionView, reason: str, now: datetime, actor: str
) -> int:
    found = await rows(
        conn,
        """SELECT a.name, a.unit, a.kind, a.purpose, a.guarded, a.client_id, a.pool_id, p.amount
             FROM posting p JOIN account a ON a.id = p.account_id WHERE p.entry_id = :entry ORDER BY a.id""",
        entry=view.entry_id,
    )
    original = tuple(
        Line(Account(r.name, r.unit, r.kind, r.purpose, r.guarded, r.client_id, r.pool_id), r.amount)
        for r in found
    )
    entry = reversal(
        entry_id=view.entry_id,
        reversed_lines=original,
        happened_at=now,
        actor=actor,
        cause=f"distribution {view.distribution_id}: {reason}",
    )
    return (await journal.post(conn, [entry]))[0]


async def _cash_out_waits(conn: AsyncConnection, view: DistributionView, reason: str, actor: str) -> None:
    """A person decides what becomes of the cash-out: no scan distributes it again by itself."""
    if view.cash_out_id is None:
        return
    await execute(
        conn,
        """UPDATE cash_out SET state = 'review', reason = :code, reason_text = :text,
                  updated_at = clock_timestamp() WHERE id = :id""",
        id=view.cash_out_id,
        code=mirror.REVERSED,
        text=f"its distribution was taken back: {reason}",
    )
    detail = {"from": CashOutState.DISTRIBUTED, "text": reason, "actor": actor}
    await execute(
        conn,
        """INSERT INTO cash_out_log (cash_out_id, event, detail)
           VALUES (:id, 'reversed', CAST(:detail AS jsonb))""",
        id=view.cash_out_id,
        detail=json.dumps(detail),
    )
