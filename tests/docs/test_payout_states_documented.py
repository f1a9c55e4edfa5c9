"""The picture and the tables of a payout's states are those of the code."""

from __future__ import annotations

import re

import diagrams
from dca_daemon.domain.payout import FINAL_STATES, MOVES, PayoutState
from tests.docs.sources import document, section


def test_the_picture_shows_exactly_the_moves() -> None:
    moves = [(str(old), str(new)) for old, news in MOVES.items() for new in news]
    assert sorted(diagrams.MOVES) == sorted(moves)
    assert set(diagrams.STATES) == {str(state) for state in PayoutState}


def test_each_arrow_of_the_picture_begins_and_ends_at_its_states() -> None:
    for (old, new), points in diagrams.MOVES.items():
        for state, (x, y) in ((old, points[0]), (new, points[-1])):
            at = diagrams.STATES[state]
            assert abs(x - at[0]) <= 52 and abs(y - at[1]) <= 20, (old, new)


def test_the_picture_begins_and_ends_where_payouts_do() -> None:
    # The latter two when adopted.
    assert set(diagrams.BEGINS) == {PayoutState.RESERVED, PayoutState.UNKNOWN, PayoutState.HELD}
    assert sorted(diagrams.ENDS) == sorted(FINAL_STATES)


def test_every_state_is_explained() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \|", section(document("payouts.md"), "The life of a payout"), re.MULTILINE)
    assert rows == [str(state) for state in PayoutState]
