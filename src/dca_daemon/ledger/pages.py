"""What all lists have in common: the conditions that were asked for, and pages that go on after an item.

A statement holds only the conditions in force, so that each combination is planned for itself.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import NotFoundError
from dca_daemon.domain.text import plain, storable
from dca_daemon.ledger.db import one

_LAST_CHARACTER = "\U0010ffff"


class Conditions:
    """Conditions that are all to hold, with their values."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._texts: list[str] = []

    def always(self, text: str, /, **values: Any) -> None:
        """One more condition."""
        self._texts.append(text)
        self.values |= values

    def given(self, text: str, /, **values: Any) -> None:
        """The same, unless it has no value to compare with."""
        if None not in values.values():
            self.always(text, **values)

    @property
    def where(self) -> str:
        """The whole clause; nothing where nothing was asked for."""
        return f"WHERE {self.all}" if self._texts else ""

    @property
    def all(self) -> str:
        """The conditions alone; `true` where there are none."""
        return " AND ".join(self._texts) or "true"


async def anchor(conn: AsyncConnection, what: str, query: str, after: int | str) -> Any:
    """Where the item stands that a page goes on after. `query` finds it by `:after`; raises `NotFoundError`."""
    found = await one(conn, query, after=after)
    if found is None:
        raise NotFoundError(f"there is no {what} {plain(str(after))} to go on after", field="after")
    return found


def prefix_range(text: str) -> tuple[str, str]:
    """What begins so is from the first on, and before the second, by the operators `~>=~` and `~<~`."""
    first = storable(text)
    return first, first + _LAST_CHARACTER


def as_id(text: str) -> int | None:
    """The number that a text is, as we write numbers; None where it is none that an id could have."""
    number = int(text[:19]) if text.isascii() and text.isdecimal() else 0
    return number if text == str(number) and number < 2**63 else None
