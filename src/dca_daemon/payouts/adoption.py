"""Payments that LNbits knows and the books had forgotten, written into the books again.

After an old dump was restored, a payout may stand in the books as it was before its invoice was stored or
submitted: then it gets its invoice back (`reinstate`). Or it is not there at all: then the payment becomes a
payout of its own that pays no records (`adopt`), and a credit of its client's. Look-ups decide about either,
as about any payout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import WalletReplyError
from dca_daemon.domain.money import sats_text
from dca_daemon.domain.payout import NEVER_SUBMITTED_STATES, PayoutState
from dca_daemon.ledger import journal
from dca_daemon.ledger.db import execute, rows, scalar
from dca_daemon.ledger.postings.payout_adopted import payout_adopted
from dca_daemon.payouts.bolt11 import decode
from dca_daemon.payouts.store import SUBMIT_UNTIL, write_log


@dataclass(frozen=True, slots=True)
class LostPayment:
    """An outgoing payment of ours at LNbits. `payout_id` is the one that it carries, where it is a payout's."""

    payment_hash: str
    bolt11: str | None
    payout_id: str | None
    client_id: int
    amount_sats: int
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What the books have of a payout."""

    payout_id: str
    payment_hash: str | None
    client_id: int
    amount_sats: int
    state: PayoutState
    held_from: PayoutState | None

    @property
    def never_submitted(self) -> bool:
        """Whether the books take its invoice, if it has one, for never submitted, and it is not over."""
        return (self.held_from or self.state) in NEVER_SUBMITTED_STATES


async def known(conn: AsyncConnection, payments: Sequence[LostPayment], *, lock: bool = False) -> list[Known]:
    """The payouts with the hash or the id of one of these payments."""
    found = await rows(
        conn,
        f"""SELECT CAST(id AS text) AS payout_id, payment_hash, client_id, amount_sats, state, held_from
             FROM payout WHERE payment_hash = ANY(:hashes) OR id = ANY(CAST(:ids AS uuid[]))
            ORDER BY id {"FOR UPDATE" if lock else ""}""",  # noqa: S608 - one of two words of ours
        hashes=[payment.payment_hash for payment in payments],
        ids=[payment.payout_id for payment in payments if payment.payout_id],
    )
    return [
        Known(
            r.payout_id,
            r.payment_hash,
            r.client_id,
            r.amount_sats,
            PayoutState(r.state),
            PayoutState(r.held_from) if r.held_from else None,
        )
        for r in found
    ]


async def reinstate(conn: AsyncConnection, payout: Known, payment: LostPayment) -> None:
    """Gives a payout its invoice back, as submitted: from now on look-ups decide about it.

    One that is held stays held while another payout of its client is on its way; its release looks it up.
    """
    if payment.bolt11 is None:  # no LNbits that we work with leaves it out
        raise WalletReplyError(f"LNbits shows the payment {payment.payment_hash} without its invoice")
    for state in await _way(conn, payout):
        await execute(
            conn,
            """UPDATE payout SET state = :state, bolt11 = :bolt11, payment_hash = :hash,
                      invoice_expires_at = :expires_at, submit_until = coalesce(submit_until, :submit_until),
                      held_from = :held_from, submits = greatest(submits, 1),
                      last_submit_at = greatest(last_submit_at, :paid_at), failures = 0, next_attempt_at = now()
                WHERE id = CAST(:id AS uuid)""",
            id=payout.payout_id,
            state=state,
            held_from=PayoutState.SUBMITTED if state is PayoutState.HELD else None,
            bolt11=payment.bolt11,
            hash=payment.payment_hash,
            expires_at=(expires_at := decode(payment.bolt11).expires_at),
            submit_until=await scalar(conn, SUBMIT_UNTIL, expires_at=expires_at),
            paid_at=payment.paid_at,
        )
    detail = {"from": payout.state, "payment_hash": payment.payment_hash}
    await write_log(conn, payout.payout_id, "reinstated", detail)


async def _way(conn: AsyncConnection, payout: Known) -> tuple[PayoutState, ...]:
    """By which moves it comes to where it is looked up."""
    if payout.state is PayoutState.RESERVED:
        return PayoutState.INVOICED, PayoutState.SUBMITTED
    if payout.state is PayoutState.INVOICED:
        return (PayoutState.SUBMITTED,)
    another_open = await scalar(
        conn,
        """SELECT EXISTS (SELECT FROM payout WHERE client_id = :client AND adopted_at IS NULL
                             AND state IN ('reserved', 'invoiced', 'submitted', 'unknown'))""",
        client=payout.client_id,
    )
    return (PayoutState.HELD,) if another_open else (PayoutState.UNKNOWN,)


async def adopt(
    conn: AsyncConnection,
    payment: LostPayment,
    *,
    payout_id: str,
    destination_id: int,
    doubt: str | None,
    actor: str,
) -> None:
    """Books the payment as the payout `payout_id` of its own, and as a credit of its client's.

    With a `doubt`, why it may not have been this client's, it is held: a person decides.
    """
    await execute(
        conn,
        """INSERT INTO payout (id, client_id, destination_id, amount_sats, state, held_from, reason, memo, bolt11,
                               payment_hash, submits, last_submit_at, created_at, adopted_at)
           VALUES (CAST(:id AS uuid), :client, :destination, :amount, :state, :held_from, :doubt, :memo, :bolt11,
                   :hash, 1, :paid_at, :paid_at, clock_timestamp())""",
        id=payout_id,
        client=payment.client_id,
        destination=destination_id,
        amount=payment.amount_sats,
        state=PayoutState.HELD if doubt else PayoutState.UNKNOWN,
        held_from=PayoutState.UNKNOWN if doubt else None,
        doubt=doubt,
        memo=f"{sats_text(payment.amount_sats)} that LNbits had recorded and the books had not",
        bolt11=payment.bolt11,
        hash=payment.payment_hash,
        paid_at=payment.paid_at,
    )
    entry = payout_adopted(
        payout_id=payout_id,
        client_id=payment.client_id,
        amount_sats=payment.amount_sats,
        happened_at=payment.paid_at,
        actor=actor,
    )
    await journal.post(conn, [entry])
    detail: dict[str, object] = {"payment_hash": payment.payment_hash, "amount_sats": payment.amount_sats}
    if payout_id != payment.payout_id:
        detail["payment_of"] = payment.payout_id
    if doubt:
        detail["reason"] = doubt
    await write_log(conn, payout_id, "adopted", detail)
