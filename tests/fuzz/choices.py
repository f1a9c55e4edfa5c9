"""Where the parts of an input come from: bytes (atheris, files) or Hypothesis. A target can't tell which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Choices(Protocol):
    """Makes decisions. Every method is total: when there is nothing left to decide by, the least comes out."""

    def integer(self, low: int, high: int) -> int:
        """A whole number, both ends included."""

    def octets(self, max_size: int) -> bytes:
        """So many bytes at most."""

    def text(self, max_size: int) -> str:
        """So many characters at most; any of them, NUL and lone surrogates too."""

    def rest(self, max_size: int) -> bytes:
        """All that is left: for the last part of an input."""


def pick(choices: Choices, items: Sequence[T]) -> T:
    """One of these; the first is the simplest."""
    return items[choices.integer(0, len(items) - 1)]


def chance(choices: Choices, one_in: int) -> bool:
    """True once in so many times; never when there is nothing left to decide by."""
    return choices.integer(0, one_in - 1) == one_in - 1


class BytesChoices:
    """Reads decisions off bytes, front to back.

    Not atheris' own FuzzedDataProvider: a file must mean the same where atheris is not installed.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def integer(self, low: int, high: int) -> int:
        size = max(1, -(-(high - low).bit_length() // 8))
        return low + int.from_bytes(self._take(size), "big") % (high - low + 1)

    def octets(self, max_size: int) -> bytes:
        return self._take(self.integer(0, max_size))

    def text(self, max_size: int) -> str:
        # Bytes that are no UTF-8 become lone surrogates.
        return self.octets(max_size).decode("utf-8", "surrogateescape")

    def rest(self, max_size: int) -> bytes:
        return self._take(max_size)


class DrawnChoices:
    """Lets Hypothesis decide, so that it can shrink what it found."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def octets(self, max_size: int) -> bytes:
        return self._data.draw(st.binary(max_size=max_size))

    def text(self, max_size: int) -> str:
        return self._data.draw(st.text(st.characters(), max_size=max_size))

    def rest(self, max_size: int) -> bytes:
        return self._data.draw(st.binary(max_size=max_size))
