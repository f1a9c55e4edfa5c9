"""The picture and the tables of a payout's states are those of the code."""

from __future__ import annotations

import re

from dca_daemon.domain.payout import FINAL_STATES, MOVES, PayoutState
from tests.docs.sources import document, section


def pictured() -> list[tuple[str, str]]:
    found = re.search(r"^stateDiagram-v2\n(.*?)^```", document("architecture.md"), re.MULTILINE | re.DOTALL)
    assert found
    return re.findall(r"^\s+(\S+) --> (\S+)$", found[1], re.MULTILINE)


def test_the_picture_shows_exactly_the_moves() -> None:
    moves = [(str(old), str(new)) for old, news in MOVES.items() for new in news]
    assert sorted(move for move in pictured() if "[*]" not in move) == sorted(moves)


def test_the_picture_begins_and_ends_where_payouts_do() -> None:
    begins = {new for old, new in pictured() if old == "[*]"}
    assert begins == {PayoutState.RESERVED, PayoutState.UNKNOWN, PayoutState.HELD}  # the latter two when adopted
    assert sorted(old for old, new in pictured() if new == "[*]") == sorted(FINAL_STATES)


def test_every_state_is_explained() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \|", section(document("payouts.md"), "The life of a payout"), re.MULTILINE)
    assert rows == [str(state) for state in PayoutState]
