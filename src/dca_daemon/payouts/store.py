"""Payouts in the books: each function is one step of a payout's life, in the caller's transaction.

A step states the state that it expects; when another process has moved the payout on meanwhile it raises
`SupersededError` and changes nothing.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, NotFoundError
from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.domain.payout import PayoutState, check_move
from dca_daemon.ledger import accounts, journal
from dca_daemon.ledger.db import execute, one, rows, scalar
from dca_daemon.ledger.postings.payout_released import payout_released
from dca_daemon.ledger.postings.payout_reserved import payout_reserved
from dca_daemon.ledger.postings.payout_settled import payout_settled
from dca_daemon.payouts.memo import Purchase, memo
from dca_daemon.payouts.wallet import DestinationKind, Invoice

ACTOR = "daemon"
RECORDS_PER_PAYOUT_MAX = 1000

# The last quarter of an invoice's life, at most its last hour, is left alone: a request may be late.
SUBMIT_UNTIL = """
    SELECT CAST(:expires_at AS timestamptz)
           - least(interval '1 hour', (CAST(:expires_at AS timestamptz) - now()) / 4)"""


class SupersededError(ConflictError):
    """Another process moved the payout on."""

    code = "payout-superseded"


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout as it stands, with its destination (the invoice key still sealed)."""

    payout_id: str
    client_id: int
    amount_sats: int
    state: PayoutState
    memo: str
    bolt11: str | None
    payment_hash: str | None
    failures: int
    submits: int
    submitted_ago_seconds: int | None
    expiring: bool  # too close to the invoice's end to submit it
    destination_kind: DestinationKind
    address: str | None
    wallet_id: str | None
    invoice_key_sealed: bytes | None
    installation: str  # whose payment it is, where several share an LNbits
    credit_sats: int = 0  # of its records, what the client's credit covers; the rest is `amount_sats`
    adopted: bool = False  # a payment that the books had forgotten: it pays no records, and is never submitted
    # A payment of the same client was adopted since: this payout had ended before the books were lost.
    overtaken: bool = False


async def load(conn: AsyncConnection, payout_id: str) -> Payout:
    """One payout. Raises `NotFoundError`."""
    found = await one(
        conn,
        """SELECT CAST(p.id AS text) AS payout_id, p.client_id, p.amount_sats, p.state, p.memo, p.bolt11,
                  p.payment_hash, p.failures, p.submits,
                  CAST(extract(epoch FROM clock_timestamp() - p.last_submit_at) AS bigint)
                      AS submitted_ago_seconds,
                  coalesce(p.submit_until <= clock_timestamp(), false) AS expiring,
                  d.kind AS destination_kind, d.address,
                  coalesce(p.receiver_wallet_id, d.wallet_id) AS wallet_id,
                  d.invoice_key_encrypted AS invoice_key_sealed,
                  (SELECT CAST(id AS text) FROM installation) AS installation,
                  p.credit_sats, p.adopted_at IS NOT NULL AS adopted,
                  p.adopted_at IS NULL AND EXISTS (
                      SELECT FROM payout a WHERE a.client_id = p.client_id AND a.adopted_at > p.created_at
                         AND a.state <> 'void') AS overtaken
             FROM payout p JOIN destination d ON d.id = p.destination_id
            WHERE p.id = CAST(:id AS uuid)""",
        id=payout_id,
    )
    if found is None:
        raise NotFoundError(f"there is no payout {payout_id}", remedy="see: dca-daemon payout list")
    values = dict(found._mapping)
    values["state"] = PayoutState(values["state"])
    values["destination_kind"] = DestinationKind(values["destination_kind"])
    return Payout(**values)


async def reserve(
    conn: AsyncConnection, client_id: int, *, max_sats: int, actor: str
) -> tuple[str, list[int]] | None:
    """Sets aside what is owed to a client for one new payout, of which up to `max_sats` are to be paid.

    The payout's id and its records' ids; None when nothing is owed, or another process is at it. A single
    record above `max_sats` makes a payout of its own. The client's credit is used up first.
    """
    credit_sats = await _credit_sats(conn, client_id)
    if credit_sats is None:
        return None
    owed = await rows(
        conn,
        """SELECT r.id, r.type, r.sats, r.fiat_minor, p.currency, d.happened_at
             FROM distribution_record r
             JOIN distribution d ON d.id = r.distribution_id JOIN pool p ON p.id = d.pool_id
            WHERE r.client_id = :client AND r.state = 'owed'
            ORDER BY r.id LIMIT :limit FOR UPDATE OF r SKIP LOCKED""",
        client=client_id,
        limit=RECORDS_PER_PAYOUT_MAX,
    )
    chosen: list[Any] = []
    total_sats = 0
    for record in owed:
        if chosen and total_sats + record.sats - credit_sats > max_sats:
            break
        chosen.append(record)
        total_sats += record.sats
    if not chosen:
        return None
    credit_sats = min(credit_sats, total_sats)
    amount_sats = total_sats - credit_sats
    payout_id = str(uuid.uuid4())
    purchases = [
        Purchase(r.sats, r.fiat_minor, r.currency, r.happened_at, commission=r.type == "commission")
        for r in chosen
    ]
    record_ids = [r.id for r in chosen]
    text = memo(purchases, credit_sats=credit_sats)
    await _insert(conn, payout_id, client_id, amount_sats, credit_sats, text, record_ids)
    now: datetime = await scalar(conn, "SELECT now()")
    entry = payout_reserved(
        payout_id=payout_id,
        client_id=client_id,
        amount_sats=amount_sats,
        credit_sats=credit_sats,
        happened_at=now,
        actor=actor,
    )
    await journal.post(conn, [entry])
    detail = {"amount_sats": amount_sats, "records": len(chosen)}
    await write_log(
        conn, payout_id, "reserved", {**detail, **({"credit_sats": credit_sats} if credit_sats else {})}
    )
    return payout_id, record_ids


async def _credit_sats(conn: AsyncConnection, client_id: int) -> int | None:
    """What the client was paid ahead; None while that is not certain. The account stays locked."""
    name = accounts.client_credit(client_id).name
    if not await scalar(conn, "SELECT balance FROM account WHERE name = :name", name=name):
        return 0
    names = [name, accounts.client_payable(client_id).name, accounts.payouts_in_flight().name]
    locked = await rows(  # in the journal's order, so that no two writers wait for each other in a ring
        conn,
        "SELECT name, balance FROM account WHERE name = ANY(:names) ORDER BY id FOR NO KEY UPDATE",
        names=names,
    )
    uncertain = await scalar(
        conn,
        """SELECT EXISTS (SELECT FROM payout WHERE client_id = :client AND adopted_at IS NOT NULL
                             AND state IN ('unknown', 'held'))""",
        client=client_id,
    )
    if uncertain:
        return None
    return int(next(r.balance for r in locked if r.name == name)) // MSATS_PER_SAT


async def _insert(
    conn: AsyncConnection,
    payout_id: str,
    client_id: int,
    amount_sats: int,
    credit_sats: int,
    text: str,
    record_ids: list[int],
) -> None:
    await execute(
        conn,
        """INSERT INTO payout (id, client_id, destination_id, amount_sats, credit_sats, memo)
           SELECT CAST(:id AS uuid), id, destination_id, :amount, :credit, :memo FROM client WHERE id = :client""",
        id=payout_id,
        client=client_id,
        amount=amount_sats,
        credit=credit_sats,
        memo=text,
    )
    await execute(
        conn,
        """WITH taken AS (UPDATE distribution_record SET state = 'in-payout'
                           WHERE id = ANY(:records) AND state = 'owed' RETURNING id)
           INSERT INTO payout_record (payout_id, record_id) SELECT CAST(:id AS uuid), id FROM taken""",
        id=payout_id,
        records=record_ids,
    )


async def move(
    conn: AsyncConnection,
    payout: Payout,
    new: PayoutState,
    event: str,
    detail: dict[str, Any] | None = None,
    **columns: Any,
) -> None:
    """Moves a payout to another state, with its columns, and logs it.

    The columns' names are this program's own. The payout is due again at once.
    """
    check_move(payout.state, new)
    assigned = "".join(f", {column} = :{column}" for column in columns)
    touched = await execute(
        conn,
        f"""UPDATE payout SET state = :new, failures = 0, next_attempt_at = now() {assigned}
             WHERE id = CAST(:id AS uuid) AND state = :old""",  # noqa: S608 - our own column names
        id=payout.payout_id,
        old=payout.state,
        new=new,
        **columns,
    )
    if touched != 1:
        raise SupersededError(f"payout {payout.payout_id} is no longer {payout.state}")
    await write_log(conn, payout.payout_id, event, {"from": payout.state, **(detail or {})})


async def invoiced(conn: AsyncConnection, payout: Payout, invoice: Invoice) -> None:
    """Stores the invoice, before anything pays it."""
    await move(
        conn,
        payout,
        PayoutState.INVOICED,
        "invoiced",
        {"payment_hash": invoice.payment_hash},
        submit_until=await scalar(conn, SUBMIT_UNTIL, expires_at=invoice.expires_at),
        bolt11=invoice.bolt11,
        payment_hash=invoice.payment_hash,
        invoice_expires_at=invoice.expires_at,
        receiver_wallet_id=invoice.wallet_id,
    )
    if invoice.wallet_id is not None:
        await _learn_wallet(conn, payout, invoice.wallet_id)


async def _learn_wallet(conn: AsyncConnection, payout: Payout, wallet_id: str) -> None:
    """Remembers which wallet answers at the destination: from now on each invoice must be of that one."""
    await execute(
        conn,
        """UPDATE destination SET wallet_id = :wallet WHERE wallet_id IS NULL AND id =
                  (SELECT destination_id FROM payout WHERE id = CAST(:id AS uuid))""",
        id=payout.payout_id,
        wallet=wallet_id,
    )


async def submitting(conn: AsyncConnection, payout: Payout) -> None:
    """Writes down that the invoice is about to be submitted (again); commit this before it is."""
    if payout.state is PayoutState.INVOICED:
        await move(conn, payout, PayoutState.SUBMITTED, "submitted", submits=1)
    touched = await execute(
        conn,
        """UPDATE payout SET last_submit_at = clock_timestamp(), submits = :submits
            WHERE id = CAST(:id AS uuid) AND state IN ('submitted', 'unknown')""",
        id=payout.payout_id,
        submits=payout.submits + 1,
    )
    if touched != 1:
        raise SupersededError(f"payout {payout.payout_id} is no longer to be submitted")
    if payout.state is not PayoutState.INVOICED:
        await write_log(conn, payout.payout_id, "resubmitted", {"submits": payout.submits + 1})


async def unanswered(conn: AsyncConnection, payout: Payout) -> None:
    """The request that was just made got no answer, and may still run."""
    await execute(
        conn,
        """UPDATE payout SET last_submit_at = clock_timestamp()
            WHERE id = CAST(:id AS uuid) AND state IN ('submitted', 'unknown')""",
        id=payout.payout_id,
    )


async def settle(
    conn: AsyncConnection, payout: Payout, *, fee_msat: int, evidence: dict[str, Any], actor: str
) -> None:
    """The payout is proven: its records are paid, the books follow."""
    now: datetime = await scalar(conn, "SELECT now()")
    await move(
        conn,
        payout,
        PayoutState.SETTLED,
        "settled",
        evidence,
        fee_msat=fee_msat,
        settled_at=now,
        held_from=None,
    )
    await _records(conn, payout, "settled")
    if not payout.amount_sats:  # the client's credit has paid it, which was booked when it was reserved
        return
    entry = payout_settled(
        payout_id=payout.payout_id,
        amount_sats=payout.amount_sats,
        fee_msat=fee_msat,
        happened_at=now,
        actor=actor,
    )
    await journal.post(conn, [entry])


async def release(conn: AsyncConnection, payout: Payout, outcome: PayoutState, *, reason: str, actor: str) -> None:
    """Ends a payout that paid nothing (failed, expired or void): its records are owed again.

    An adopted one has none: the client's credit for it is taken back.
    """
    await move(conn, payout, outcome, outcome, {"reason": reason}, reason=reason, held_from=None)
    await _records(conn, payout, "owed")
    await execute(
        conn,
        "UPDATE payout_record SET active = false WHERE payout_id = CAST(:id AS uuid)",
        id=payout.payout_id,
    )
    now: datetime = await scalar(conn, "SELECT now()")
    entry = payout_released(
        payout_id=payout.payout_id,
        client_id=payout.client_id,
        amount_sats=payout.amount_sats,
        credit_sats=payout.credit_sats,
        adopted=payout.adopted,
        happened_at=now,
        actor=actor,
        outcome=outcome,
    )
    await journal.post(conn, [entry])


async def _records(conn: AsyncConnection, payout: Payout, state: str) -> None:
    total = await scalar(
        conn,
        """WITH moved AS (
               UPDATE distribution_record r SET state = :state FROM payout_record p
                WHERE p.payout_id = CAST(:id AS uuid) AND p.record_id = r.id AND p.active RETURNING r.sats)
           SELECT coalesce(sum(sats), 0) FROM moved""",
        id=payout.payout_id,
        state=state,
    )
    expected = 0 if payout.adopted else payout.amount_sats + payout.credit_sats
    assert total == expected, "a payout's records always add up to its amount and its credit"


async def hold(conn: AsyncConnection, payout: Payout, *, reason: str, detail: dict[str, Any]) -> None:
    """Stops a payout until a person decides. Its records stay reserved."""
    await move(
        conn,
        payout,
        PayoutState.HELD,
        "held",
        {"reason": reason, **detail},
        reason=reason,
        held_from=payout.state,
    )


async def postpone(
    conn: AsyncConnection, payout: Payout, *, seconds: float, reason: str, failed: bool = True
) -> None:
    """Tries again later. `failed` makes the next interval longer. One that is not open stays as it is."""
    await execute(
        conn,
        """UPDATE payout SET failures = failures + :failed, reason = :reason,
                  next_attempt_at = clock_timestamp() + make_interval(secs => :seconds)
            WHERE id = CAST(:id AS uuid) AND state = :state
              AND state IN ('reserved', 'invoiced', 'submitted', 'unknown')""",
        id=payout.payout_id,
        state=payout.state,
        failed=int(failed),
        reason=reason,
        seconds=seconds,
    )


async def write_log(conn: AsyncConnection, payout_id: str, event: str, detail: dict[str, Any]) -> None:
    """Appends to a payout's log."""
    await execute(
        conn,
        """INSERT INTO payout_log (payout_id, event, detail)
           VALUES (CAST(:id AS uuid), :event, CAST(:detail AS jsonb))""",
        id=payout_id,
        event=event,
        detail=json.dumps(detail, default=str),
    )
