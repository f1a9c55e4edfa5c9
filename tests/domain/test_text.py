"""What comes from outside is shown in one line, and can be stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.domain.text import plain, storable


@given(st.text(st.characters(), max_size=200))
def test_whatever_is_said_can_be_stored_and_shown(text: str) -> None:
    kept = storable(text)
    assert len(kept) == len(text) and "\x00" not in kept
    assert kept.encode("utf-8").decode("utf-8") == kept
    shown = plain(text, 20)
    assert len(shown) <= 20 and shown.isprintable()


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("Cajero Zócalo \U0001f4a9", "", "a | b"):
        assert storable(text) == plain(text) == text
    assert plain(" a\n\tb ") == "a b"
    assert plain("x" * 100, 10) == "x" * 9 + "…"
