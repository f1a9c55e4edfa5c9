"""The life of a payout: its states, and which moves there are. The database holds the same table."""

from __future__ import annotations

from enum import StrEnum

from dca_daemon.domain.errors import ConflictError


class PayoutState(StrEnum):
    """Where a payout stands. The records of a payout that is not settled or failed are reserved by it."""

    RESERVED = "reserved"  # records chosen, amount booked in flight; no invoice yet
    INVOICED = "invoiced"  # the invoice is stored; it has never been submitted
    SUBMITTED = "submitted"  # a pay request may have been sent
    UNKNOWN = "unknown"  # the outcome could not be told; look-ups go on
    SETTLED = "settled"  # proven: left the source, reached the receiver
    FAILED = "failed"  # proven: no money moved; the records are owed again
    EXPIRED = "expired"  # its invoice ran out and was never submitted; the records are owed again
    HELD = "held"  # waits for a person, with the reason
    VOID = "void"  # a person ended it, proven that nothing moved; the records are owed again


OPEN_STATES = (PayoutState.RESERVED, PayoutState.INVOICED, PayoutState.SUBMITTED, PayoutState.UNKNOWN)
NEVER_SUBMITTED_STATES = (PayoutState.RESERVED, PayoutState.INVOICED)
FINAL_STATES = (PayoutState.SETTLED, PayoutState.FAILED, PayoutState.EXPIRED, PayoutState.VOID)

MOVES: dict[PayoutState, tuple[PayoutState, ...]] = {
    # Settled at once: wholly covered by the client's credit, so that nothing is paid.
    PayoutState.RESERVED: (PayoutState.INVOICED, PayoutState.SETTLED, PayoutState.HELD, PayoutState.VOID),
    PayoutState.INVOICED: (PayoutState.SUBMITTED, PayoutState.EXPIRED, PayoutState.HELD, PayoutState.VOID),
    PayoutState.SUBMITTED: (
        PayoutState.SETTLED,
        PayoutState.FAILED,
        PayoutState.UNKNOWN,
        PayoutState.HELD,
    ),
    PayoutState.UNKNOWN: (PayoutState.SETTLED, PayoutState.FAILED, PayoutState.HELD),
    PayoutState.HELD: (PayoutState.UNKNOWN, PayoutState.SETTLED, PayoutState.VOID),
    PayoutState.SETTLED: (),
    PayoutState.FAILED: (),
    PayoutState.EXPIRED: (),
    PayoutState.VOID: (),
}


def check_move(old: PayoutState, new: PayoutState) -> None:
    """Raises `ConflictError` unless a payout may go from `old` to `new`."""
    if new not in MOVES[old]:
        raise ConflictError(f"a payout that is {old} can't become {new}", code=f"payout-{old}-to-{new}")
