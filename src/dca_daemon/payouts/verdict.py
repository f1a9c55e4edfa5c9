"""What the wallets' own records prove about a submitted payout. Pure: evidence in, verdict out.

The source's outgoing record decides whether money left; the receiver's incoming record whether it arrived.
Nothing else does: no HTTP status, no preimage, no expiry (sources: docs/payouts.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.payouts.wallet import RecordStatus, WalletRecord


class Verdict(StrEnum):
    """What to do with a submitted payout."""

    SETTLED = "settled"  # left and arrived
    FAILED = "failed"  # proven: no money moved, and none can any more
    WAIT = "wait"  # look again later
    SUBMIT = "submit"  # nothing has left; the same invoice may be submitted again
    HOLD = "hold"  # only a person can tell


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a payout that was submitted.

    `sent` and `received` are the two wallets' records, fresh; `receiver_visible` is false where the receiver's
    wallet can't be asked (a Lightning address). `idle` says that no request of ours can still be running;
    `patient` that the last one is so long ago that a record which is only late would be there.
    """

    amount_sats: int
    sent: WalletRecord | None
    received: WalletRecord | None
    receiver_visible: bool
    idle: bool
    patient: bool
    expiring: bool
    trust_external_failures: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and why."""

    verdict: Verdict
    reason: str


def judge(e: Evidence) -> Judgement:
    """The verdict on the evidence."""
    if e.sent is None:
        return _never_left(e)
    if e.sent.status is RecordStatus.PENDING:
        return Judgement(Verdict.WAIT, "LNbits says that the payment is pending")
    if e.sent.status is RecordStatus.FAILED:
        return _failed(e)
    if -e.sent.amount_msat != e.amount_sats * MSATS_PER_SAT:
        left = f"{-e.sent.amount_msat} msat left the source wallet, not {e.amount_sats} sats"
        return Judgement(Verdict.HOLD, f"{left}: look at {_named(e.sent)}")
    return _left(e, e.sent)


def _left(e: Evidence, sent: WalletRecord) -> Judgement:
    if not e.receiver_visible:
        return Judgement(Verdict.SETTLED, "the source wallet's record says paid")
    if e.received is not None and e.received.status is RecordStatus.SUCCESS:
        if e.received.amount_msat != e.amount_sats * MSATS_PER_SAT:
            arrived = f"{e.received.amount_msat} msat arrived, not {e.amount_sats} sats"
            return Judgement(Verdict.HOLD, f"{arrived}: look at {_named(e.received)}")
        return Judgement(Verdict.SETTLED, "both wallets' records say paid")
    arrived = "no record" if e.received is None else f"a record that is {e.received.status}"
    if not e.patient:
        return Judgement(Verdict.WAIT, f"it left the source wallet; the receiver has {arrived}, as yet")
    return Judgement(Verdict.HOLD, _never_arrived(sent, e.received))


def _never_arrived(sent: WalletRecord, received: WalletRecord | None) -> str:
    """For a person at LNbits: what to look at, and what to do."""
    left = f"it left the source wallet {sent.wallet_id} and never arrived"
    if received is None:
        return (
            f"{left}: payment {sent.payment_hash} is not to be seen in the receiver's wallet. Find it in LNbits: "
            "was that wallet deleted, or its key changed? Put that right and release this payout, or resolve it"
        )
    return (
        f"{left}: {_named(received)} is {received.status}. Have LNbits' operator credit it there, and release "
        "this payout; it is not paid again by itself"
    )


def _named(record: WalletRecord) -> str:
    return f"payment {record.payment_hash} in wallet {record.wallet_id}"


def _failed(e: Evidence) -> Judgement:
    assert e.sent is not None
    if _arrived(e):
        assert e.received is not None
        return Judgement(
            Verdict.HOLD, f"the receiver has {_named(e.received)}, though the source wallet's record says failed"
        )
    if e.sent.internal or e.received is not None or e.trust_external_failures:
        return Judgement(Verdict.FAILED, "the source wallet's record says failed; no money moved")
    if not e.patient:
        return Judgement(Verdict.WAIT, "LNbits says that the payment failed; a second look follows")
    said = f"LNbits says that external payment {e.sent.payment_hash} failed"
    if e.receiver_visible:
        said += ", and the receiver's wallet does not know the invoice"
    return Judgement(Verdict.HOLD, f"{said}: only the node behind it can prove that")


def _never_left(e: Evidence) -> Judgement:
    if _arrived(e) and not e.patient:
        return Judgement(Verdict.WAIT, "the receiver has it; the source wallet has no record of it, as yet")
    if _arrived(e):
        assert e.received is not None
        return Judgement(
            Verdict.HOLD,
            f"{_named(e.received)} is paid, but the source wallet has no record of paying it: find out who did",
        )
    dead = e.received is not None and e.received.status is RecordStatus.FAILED
    if dead and e.idle:
        return Judgement(Verdict.FAILED, "the invoice is void at the receiver, and nothing left the source wallet")
    if dead:
        return Judgement(Verdict.WAIT, "the invoice is void at the receiver; an earlier request may still run")
    if e.expiring:
        if not e.idle:
            return Judgement(Verdict.WAIT, "the invoice is running out; an earlier request may still run")
        return Judgement(
            Verdict.HOLD, "nothing left the source wallet so far, and the invoice is too old to be submitted again"
        )
    return Judgement(Verdict.SUBMIT, "nothing has left the source wallet")


def _arrived(e: Evidence) -> bool:
    return e.received is not None and e.received.status is RecordStatus.SUCCESS
