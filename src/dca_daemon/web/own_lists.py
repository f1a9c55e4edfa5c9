"""Where a client's own lists go on: sealed, since our numbers of rows count everybody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Query

from dca_daemon.domain.errors import ConfigError, InputError
from dca_daemon.payouts.cipher import KeyRing

_CHARS_MAX = 300

Cursor = Annotated[
    str | None, Query(max_length=_CHARS_MAX, description="Go on after this one: `next` of the page before.")
]


def sealed(keys: KeyRing, what: str, client_id: int) -> Callable[[int], str]:
    """Seals numbers for one list of one client."""
    return lambda number: keys.encrypt(f"{what} {client_id} {number}").decode()


def opened(keys: KeyRing, what: str, client_id: int, text: str | None) -> int | None:
    """The number; None where none was given. Raises `InputError` for what was not sealed for this list."""
    if text is None:
        return None
    try:
        kind, owner, number = keys.decrypt(text.encode("utf-8", "replace")).split(" ")
    except (ConfigError, ValueError):
        kind, owner, number = "", "", ""
    if (kind, owner) != (what, str(client_id)):
        raise InputError("this is no place at which this list could go on", remedy="begin anew", field="after")
    return int(number)
