"""Payouts as people look at them and step in: list, show, retry, hold, release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError, at_field
from dca_daemon.domain.payout import NEVER_SUBMITTED_STATES, OPEN_STATES, PayoutState
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, constraint, execute, one, rows, scalar
from dca_daemon.ledger.pages import Conditions, anchor
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
    db: Database,
    *,
    states: Sequence[str] = (),
    client: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    after: str | None = None,
) -> list[PayoutView]:
    """The newest payouts first, from after the payout `after` on; made from `since` until before `until`.

    Raises `NotFoundError` for an `after` that is none.
    """
    async with db.transaction() as conn:
        ids = await _page_ids(conn, states, client, since, until, limit, after)
        found = await rows(
            conn,
            f"{_VIEW} WHERE p.id = ANY(CAST(:ids AS uuid[])) ORDER BY p.created_at DESC, p.id DESC",
            ids=ids,
        )
        return [_view(r) for r in found]


async def _page_ids(
    conn: AsyncConnection,
    states: Sequence[str],
    client: int | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    after: str | None,
) -> list[str]:
    """The ids of one page: the newest of the heads of each state's, or of each state's of the client's."""
    conditions, heads = Conditions(), "(SELECT) everything"
    if states or client is not None:
        heads = "unnest(CAST(:states AS text[])) s (state)"
        conditions.always("p.state = s.state", states=list(states) or [str(state) for state in PayoutState])
    conditions.given("p.client_id = :client", client=client)
    conditions.given("p.created_at >= :since", since=since)
    conditions.given("p.created_at < :until", until=until)
    if after is not None:
        query = "SELECT created_at, id FROM payout WHERE id = CAST(:after AS uuid)"
        with at_field("after"):
            at = await anchor(conn, "payout", query, await find(conn, after))
        conditions.always("(p.created_at, p.id) < (:at, :id)", at=at.created_at, id=at.id)
    found = await rows(
        conn,
        f"""SELECT CAST(k.id AS text) AS id FROM {heads} CROSS JOIN LATERAL (
                   SELECT p.id, p.created_at FROM payout p
                    WHERE {conditions.all} ORDER BY p.created_at DESC, p.id DESC LIMIT :limit) k
             ORDER BY k.created_at DESC, k.id DESC LIMIT :limit""",  # noqa: S608 - every part stands here
        limit=limit,
        **conditions.values,
    )
    return [str(r.id) for r in found]


async def count_by_state(db: Database) -> dict[str, int]:
    """How many have not ended, by state. The others only grow in number: they are not counted."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            """SELECT state, count(*) AS n FROM payout
                WHERE state IN ('reserved', 'invoiced', 'submitted', 'unknown', 'held') GROUP BY state""",
        )
    counts = {r.state: int(r.n) for r in found}
    return {str(state): counts.get(state, 0) for state in (*OPEN_STATES, PayoutState.HELD)}


_FORM = "00000000-0000-0000-0000-000000000000"


def _uuids_from(text: str) -> tuple[str, str] | None:
    """The least and the greatest id that begin so; None where none does."""
    fits = len(text) <= len(_FORM) and all(
        c == "-" if form == "-" else c in "0123456789abcdef" for c, form in zip(text, _FORM, strict=False)
    )
    rest = _FORM[len(text) :]
    return (text + rest, text + rest.replace("0", "f")) if fits else None


async def find(conn: AsyncConnection, reference: str) -> str:
    """The id of the payout that a person named by its id or the beginning of it."""
    text = reference.strip().lower()
    found: list[Any] = []
    if len(text) >= 4 and (between := _uuids_from(text)) is not None:
        found = await rows(
            conn,
            """SELECT CAST(id AS text) AS id FROM payout
                WHERE id BETWEEN CAST(:first AS uuid) AND CAST(:last AS uuid) LIMIT 2""",
            first=between[0],
            last=between[1],
        )
    if not found:
        remedy = "see: dca-daemon payout list; of an id give 4 characters or more"
        raise NotFoundError(f"there is no payout {plain(reference)!r}", remedy=remedy)
    if len(found) > 1:
        raise ConflictError(f"several payouts begin with {plain(reference)!r}: give more of the id")
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
        raise InputError("this needs a reason", remedy="add --reason", field="reason")


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
