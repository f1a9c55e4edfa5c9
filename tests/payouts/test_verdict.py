"""What the wallets' records prove: every combination, and what must never be concluded."""

from __future__ import annotations

import itertools

import pytest

from dca_daemon.payouts.verdict import Evidence, Verdict, judge
from dca_daemon.payouts.wallet import RecordStatus, WalletRecord

SATS = 1000
NONE, PENDING, FAILED, SUCCESS = None, RecordStatus.PENDING, RecordStatus.FAILED, RecordStatus.SUCCESS
STATUSES = (NONE, PENDING, FAILED, SUCCESS)


def record(status: RecordStatus | None, amount_msat: int, *, internal: bool = True) -> WalletRecord | None:
    if status is None:
        return None
    return WalletRecord(
        payment_hash="ab" * 32,
        wallet_id="w",
        amount_msat=amount_msat,
        fee_msat=0,
        status=status,
        internal=internal,
        external_id=None,
        tag=None,
        time=None,
    )


def evidence(
    sent: RecordStatus | None,
    received: RecordStatus | None,
    *,
    visible: bool = True,
    idle: bool = False,
    patient: bool = False,
    expiring: bool = False,
    internal: bool = True,
    trust: bool = False,
    sent_msat: int = -SATS * 1000,
    received_msat: int = SATS * 1000,
) -> Evidence:
    return Evidence(
        amount_sats=SATS,
        sent=record(sent, sent_msat, internal=internal),
        received=record(received, received_msat),
        receiver_visible=visible,
        idle=idle or patient,
        patient=patient,
        expiring=expiring,
        trust_external_failures=trust,
    )


def all_evidence() -> list[Evidence]:
    """Every combination there can be: what is not visible is not received, who is patient is idle."""
    return [
        evidence(s, r, visible=v, idle=i, patient=p, expiring=x, internal=n, trust=t)
        for s, r in itertools.product(STATUSES, STATUSES)
        for v, i, p, x, n, t in itertools.product((False, True), repeat=6)
        if (v or r is None) and (i or not p)
    ]


def status(found: WalletRecord | None) -> RecordStatus | None:
    return None if found is None else found.status


# The receiver's wallet is on our LNbits, so that both sides can be seen. At once / idle / patient.
BOTH_SEEN: dict[tuple[RecordStatus | None, RecordStatus | None], tuple[Verdict, Verdict, Verdict]] = {
    (NONE, NONE): (Verdict.SUBMIT, Verdict.SUBMIT, Verdict.SUBMIT),
    (NONE, PENDING): (Verdict.SUBMIT, Verdict.SUBMIT, Verdict.SUBMIT),
    (NONE, FAILED): (Verdict.WAIT, Verdict.FAILED, Verdict.FAILED),
    (NONE, SUCCESS): (Verdict.WAIT, Verdict.WAIT, Verdict.HOLD),
    (PENDING, NONE): (Verdict.WAIT, Verdict.WAIT, Verdict.WAIT),
    (PENDING, PENDING): (Verdict.WAIT, Verdict.WAIT, Verdict.WAIT),
    (PENDING, FAILED): (Verdict.WAIT, Verdict.WAIT, Verdict.WAIT),
    (PENDING, SUCCESS): (Verdict.WAIT, Verdict.WAIT, Verdict.WAIT),
    (FAILED, NONE): (Verdict.FAILED, Verdict.FAILED, Verdict.FAILED),
    (FAILED, PENDING): (Verdict.FAILED, Verdict.FAILED, Verdict.FAILED),
    (FAILED, FAILED): (Verdict.FAILED, Verdict.FAILED, Verdict.FAILED),
    (FAILED, SUCCESS): (Verdict.HOLD, Verdict.HOLD, Verdict.HOLD),
    (SUCCESS, NONE): (Verdict.WAIT, Verdict.WAIT, Verdict.HOLD),
    (SUCCESS, PENDING): (Verdict.WAIT, Verdict.WAIT, Verdict.HOLD),
    (SUCCESS, FAILED): (Verdict.WAIT, Verdict.WAIT, Verdict.HOLD),
    (SUCCESS, SUCCESS): (Verdict.SETTLED, Verdict.SETTLED, Verdict.SETTLED),
}


@pytest.mark.parametrize(("sent", "received"), list(BOTH_SEEN))
def test_both_sides_seen(sent: RecordStatus | None, received: RecordStatus | None) -> None:
    found = (
        judge(evidence(sent, received)).verdict,
        judge(evidence(sent, received, idle=True)).verdict,
        judge(evidence(sent, received, patient=True)).verdict,
    )
    assert found == BOTH_SEEN[sent, received]


# A Lightning address: only the source wallet's record can be seen, and the payment is an external one.
ONE_SEEN: dict[RecordStatus | None, tuple[Verdict, Verdict, Verdict]] = {
    NONE: (Verdict.SUBMIT, Verdict.SUBMIT, Verdict.SUBMIT),
    PENDING: (Verdict.WAIT, Verdict.WAIT, Verdict.WAIT),
    FAILED: (Verdict.WAIT, Verdict.WAIT, Verdict.HOLD),
    SUCCESS: (Verdict.SETTLED, Verdict.SETTLED, Verdict.SETTLED),
}


@pytest.mark.parametrize("sent", list(ONE_SEEN))
def test_only_the_source_seen(sent: RecordStatus | None) -> None:
    found = (
        judge(evidence(sent, None, visible=False, internal=False)).verdict,
        judge(evidence(sent, None, visible=False, internal=False, idle=True)).verdict,
        judge(evidence(sent, None, visible=False, internal=False, patient=True)).verdict,
    )
    assert found == ONE_SEEN[sent]


def test_an_external_failure_counts_where_the_operator_says_so() -> None:
    assert judge(evidence(FAILED, NONE, visible=False, internal=False, trust=True)).verdict is Verdict.FAILED


def test_an_external_failure_is_no_proof_where_the_receiver_has_no_record() -> None:
    # Its wallet may be gone, or its key changed: nothing was seen on its side.
    assert judge(evidence(FAILED, NONE, internal=False)).verdict is Verdict.WAIT
    assert judge(evidence(FAILED, NONE, internal=False, patient=True)).verdict is Verdict.HOLD


@pytest.mark.parametrize("received", [NONE, PENDING])
def test_an_old_invoice_is_not_submitted_again(received: RecordStatus | None) -> None:
    # Expiry protects nobody: an expired invoice is still paid. So it waits, and then a person decides.
    assert judge(evidence(NONE, received, expiring=True)).verdict is Verdict.WAIT
    assert judge(evidence(NONE, received, expiring=True, idle=True)).verdict is Verdict.HOLD


@pytest.mark.parametrize("msat", [SATS * 1000 - 1, SATS * 1000 + 1, SATS, 0, -SATS * 1000])
def test_another_amount_waits_for_a_person(msat: int) -> None:
    assert judge(evidence(SUCCESS, SUCCESS, sent_msat=-msat)).verdict is Verdict.HOLD
    assert judge(evidence(SUCCESS, SUCCESS, received_msat=msat)).verdict is Verdict.HOLD


@pytest.mark.parametrize("e", all_evidence())
def test_what_must_never_be_concluded(e: Evidence) -> None:
    found = judge(e)
    sent, received = status(e.sent), status(e.received)
    assert found.reason
    if SUCCESS in (sent, received):
        assert found.verdict not in (Verdict.SUBMIT, Verdict.FAILED), "money moved: never again by itself"
    if found.verdict is Verdict.SETTLED:
        assert sent is SUCCESS and (received is SUCCESS or not e.receiver_visible)
    if found.verdict is Verdict.SUBMIT:
        assert sent is None and received in (NONE, PENDING) and not e.expiring
    if found.verdict is Verdict.FAILED:
        proven_by_source = sent is FAILED
        proven_by_receiver = sent is None and received is FAILED and e.idle
        assert proven_by_source or proven_by_receiver
        if proven_by_source and e.sent is not None and not e.sent.internal:
            assert e.trust_external_failures or received is not None
    if sent is PENDING:
        assert found.verdict is Verdict.WAIT, "what is only pending is never given to a person"
    if found.verdict is Verdict.HOLD:
        assert e.idle or (sent is FAILED and received is SUCCESS), "a request of ours may still change it"


@pytest.mark.parametrize("received", [NONE, PENDING, FAILED])
def test_what_never_arrived_is_held_with_all_that_an_operator_needs(received: RecordStatus | None) -> None:
    reason = judge(evidence(SUCCESS, received, patient=True)).reason
    assert "never arrived" in reason and "payment " + "ab" * 32 in reason and "source wallet w" in reason
    assert ("credit it there" in reason and f"is {received}" in reason) if received else "deleted" in reason
