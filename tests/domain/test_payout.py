"""The life of a payout: which moves there are."""

from __future__ import annotations

import itertools

import pytest

from dca_daemon.domain.errors import ConflictError
from dca_daemon.domain.payout import (
    FINAL_STATES,
    MOVES,
    NEVER_SUBMITTED_STATES,
    OPEN_STATES,
    PayoutState,
    check_move,
)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(PayoutState, PayoutState)))
def test_a_move_is_allowed_or_refused_by_name(old: PayoutState, new: PayoutState) -> None:
    if new in MOVES[old]:
        check_move(old, new)
        return
    with pytest.raises(ConflictError, match=f"{old} can't become {new}") as caught:
        check_move(old, new)
    assert caught.value.code == f"payout-{old}-to-{new}"


def test_every_state_is_open_held_or_final() -> None:
    assert {*OPEN_STATES, PayoutState.HELD, *FINAL_STATES} == set(PayoutState) == set(MOVES)
    assert not set(OPEN_STATES) & set(FINAL_STATES)


def test_nothing_leaves_a_final_state() -> None:
    assert all(MOVES[state] == () for state in FINAL_STATES)


def test_only_what_was_submitted_can_fail_or_settle_by_itself() -> None:
    for state in NEVER_SUBMITTED_STATES:
        assert not {PayoutState.FAILED, PayoutState.UNKNOWN} & set(MOVES[state])
    # From reserved only where credit covers it all: the database refuses any other (tests/ledger/test_credits.py).
    assert PayoutState.SETTLED not in MOVES[PayoutState.INVOICED]


def test_what_was_submitted_never_expires_or_ends_as_void_without_a_person() -> None:
    for state in (PayoutState.SUBMITTED, PayoutState.UNKNOWN):
        assert not {PayoutState.EXPIRED, PayoutState.VOID} & set(MOVES[state])


def test_every_state_can_be_reached() -> None:
    reached, edge = {PayoutState.RESERVED}, [PayoutState.RESERVED]
    while edge:
        new = set(MOVES[edge.pop()]) - reached
        reached |= new
        edge += new
    assert reached == set(PayoutState)
