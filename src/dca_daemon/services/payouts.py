"""Payouts as people look at them and step in: list, show, retry, hold, release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.domain.payout import NEVER_SUBMITTED_STATES, OPEN_STATES, PayoutState
from dca_daemon.ledger.db import Database, constraint, execute, one, rows, scalar
from dca_daemon.payouts import store
from dca_daemon.payouts.wallet import DestinationKind
from dca_daemon.services.audit import audit
from dca_daemon.services.destinations import describe

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PayoutView:
    """A payout, with its receiver. `fee_msat` is set once it is settled."""

    payout_id: str
    client_id: int
    client: str
    destination: str
    amount_sats: int
    fee_msat: int | None
    state: PayoutState
    held_from: str | None
    reason: str | None
    memo: str
    payment_hash: str | None
    bolt11: str | None
    invoice_expires_at: datetime | None
    submits: int
    failures: int
    last_submit_at: datetime | None
    next_attempt_at: datetime
    created_at: datetime
    settled_at: datetime | None
    records: int
    credit_sats: int  # of its records, what the client had received before
    adopted_at: datetime | None  # a payment that the books had forgotten: a credit of the client's


_VIEW = """
    SELECT CAST(p.id AS text) AS payout_id, p.client_id, c.name AS client, d.kind, d.name, d.address,
           coalesce(p.receiver_wallet_id, d.wallet_id) AS wallet_id, p.amount_sats, p.fee_msat, p.state,
           p.held_from, p.reason, p.memo, p.payment_hash, p.bolt11, p.invoice_expires_at, p.submits, p.failures,
           p.last_submit_at, p.next_attempt_at, p.created_at, p.settled_at,
           (SELECT count(*) FROM payout_record pr WHERE pr.payout_id = p.id) AS records,
           p.credit_sats, p.adopted_at
      FROM payout p JOIN client c ON c.id = p.client_id JOIN destination d ON d.id = p.destination_id
"""


def _view(found: Any) -> PayoutView:
    values = dict(found._mapping)
    values["state"] = PayoutState(values["state"])
    values["destination"] = describe(
        values.pop("kind"), values.pop("address"), values.pop("wallet_id"), values.pop("name")
    )
    return PayoutView(**values)


async def list_all(
    db: Database, *, states: tuple[str, ...] = (), client: int | None = None, limit: int = 50
) -> list[PayoutView]:
    """The newest payouts first."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            f"""{_VIEW} WHERE (cardinality(CAST(:states AS text[])) = 0 OR p.state = ANY(:states))
                          AND (CAST(:client AS bigint) IS NULL OR p.client_id = :client)
                 ORDER BY p.created_at DESC, p.id LIMIT :limit""",
            states=list(states),
            client=client,
            limit=limit,
        )
        return [_view(r) for r in found]


async def find(conn: AsyncConnection, reference: str) -> str:
    """The id of the payout that a person named by its id or the beginning of it."""
    text = reference.strip().lower()
    found = await rows(
        conn,
        """SELECT CAST(id AS text) AS id FROM payout
            WHERE length(:text) >= 4 AND starts_with(CAST(id AS text), :text) LIMIT 2""",
        text=text,
    )
    if not found:
        remedy = "see: dca-daemon payout list; of an id give 4 characters or more"
        raise NotFoundError(f"there is no payout {reference!r}", remedy=remedy)
    if len(found) > 1:
        raise ConflictError(f"several payouts begin with {reference!r}: give more of the id")
    return str(found[0].id)


async def show(
    db: Database, reference: str
) -> tuple[PayoutView, list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """One payout, the records it pays, and its log."""
    async with db.transaction() as conn:
        payout_id = await find(conn, reference)
        view = _view(await one(conn, f"{_VIEW} WHERE p.id = CAST(:id AS uuid)", id=payout_id))
        records = await rows(
            conn,
            """SELECT r.id AS record_id, r.type, r.sats, r.fiat_minor, po.currency, r.state, pr.active,
                      d.cash_out_id, d.happened_at
                 FROM payout_record pr JOIN distribution_record r ON r.id = pr.record_id
                 JOIN distribution d ON d.id = r.distribution_id JOIN pool po ON po.id = d.pool_id
                WHERE pr.payout_id = CAST(:id AS uuid) ORDER BY r.id""",
            id=payout_id,
        )
        log_lines = await rows(
            conn,
            "SELECT at, event, detail FROM payout_log WHERE payout_id = CAST(:id AS uuid) ORDER BY id",
            id=payout_id,
        )
        return view, [dict(r._mapping) for r in records], [dict(r._mapping) for r in log_lines]


async def retry(db: Database, reference: str, *, actor: str) -> PayoutView:
    """Makes an open payout due at once: an unknown one is looked up, it is not paid anew."""

    async def work(conn: AsyncConnection) -> str:
        payout = await store.load(conn, await find(conn, reference))
        if payout.state is PayoutState.HELD:
            raise ConflictError(
                f"payout {payout.payout_id} is held", remedy="release it: dca-daemon payout release"
            )
        if payout.state not in OPEN_STATES:
            raise ConflictError(f"payout {payout.payout_id} is {payout.state}: nothing is left to try")
        await execute(
            conn,
            """UPDATE payout SET next_attempt_at = now(), failures = 0 WHERE id = CAST(:id AS uuid)""",
            id=payout.payout_id,
        )
        await _audit(conn, payout, "payout.retry", payout.state, actor, None)
        return payout.payout_id

    return await _shown(db, await db.run(work))


async def hold(db: Database, reference: str, *, reason: str, actor: str) -> PayoutView:
    """Stops an open payout until it is released."""
    _need_reason(reason)

    async def work(conn: AsyncConnection) -> str:
        payout = await store.load(conn, await find(conn, reference))
        if payout.state not in OPEN_STATES:
            raise ConflictError(f"payout {payout.payout_id} is {payout.state}: only an open one can be held")
        await store.hold(conn, payout, reason=reason.strip(), detail={"actor": actor})
        await _audit(conn, payout, "payout.hold", PayoutState.HELD, actor, reason)
        return payout.payout_id

    view = await _shown(db, await db.run(work))
    log.warning("payout.held-by-hand", payout_id=view.payout_id, client_id=view.client_id, reason=reason)
    return view


async def release(db: Database, reference: str, *, reason: str, actor: str) -> PayoutView:
    """Lets a held payout go on.

    One whose invoice was never submitted ends as void, and its records are owed again, to be paid to the
    client's present destination. One that may have been paid is looked up again, never paid anew.
    """
    _need_reason(reason)

    async def work(conn: AsyncConnection) -> str:
        payout_id = await find(conn, reference)
        held = await one(
            conn, "SELECT held_from FROM payout WHERE id = CAST(:id AS uuid) FOR UPDATE", id=payout_id
        )
        payout = await store.load(conn, payout_id)
        if payout.state is not PayoutState.HELD:
            raise ConflictError(f"payout {payout_id} is {payout.state}: only a held one can be released")
        if payout.adopted and payout.destination_kind is not DestinationKind.LNBITS:
            raise ConflictError(
                f"payout {payout_id} was adopted: no look-up can tell whether it reached this client",
                remedy="find out, then: dca-daemon payout resolve",
            )
        if held.held_from in NEVER_SUBMITTED_STATES:
            new = PayoutState.VOID
            await store.release(conn, payout, new, reason=reason.strip(), actor=actor)
        else:
            new = PayoutState.UNKNOWN
            await store.move(conn, payout, new, "released", {"reason": reason, "actor": actor}, held_from=None)
        await _audit(conn, payout, "payout.release", new, actor, reason)
        return payout_id

    try:
        released = await db.run(work)
    except IntegrityError as error:
        if constraint(error) == "payout_one_open":
            raise await _another_open(db, reference) from None
        raise
    view = await _shown(db, released)
    log.info("payout.released", payout_id=view.payout_id, client_id=view.client_id, state=view.state)
    return view


async def _another_open(db: Database, reference: str) -> ConflictError:
    """What may have been paid does not stop later purchases, so another payout may be on its way by now."""
    async with db.transaction() as conn:
        other = await scalar(
            conn,
            """SELECT CAST(o.id AS text) FROM payout p JOIN payout o ON o.client_id = p.client_id
                WHERE p.id = CAST(:id AS uuid) AND o.state = ANY(:open) LIMIT 1""",
            id=await find(conn, reference),
            open=list(OPEN_STATES),
        )
    return ConflictError(
        f"payout {other or '?'} of the same client is on its way", remedy="release this one when that has ended"
    )


def _need_reason(reason: str) -> None:
    if not reason.strip():
        raise InputError("this needs a reason", remedy="add --reason")


async def _audit(
    conn: AsyncConnection, payout: store.Payout, action: str, state: str, actor: str, reason: str | None
) -> None:
    await audit(
        conn,
        actor=actor,
        action=action,
        subject=f"payout:{payout.payout_id}",
        before={"state": payout.state},
        after={"state": state},
        reason=reason,
    )


async def _shown(db: Database, payout_id: str) -> PayoutView:
    return (await show(db, payout_id))[0]
