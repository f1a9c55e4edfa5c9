"""Text from outside, made fit for a message, a log line and the database."""

from __future__ import annotations

import re

# PostgreSQL keeps neither NUL nor half of a surrogate pair in a text.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text, with a replacement character for each that can't be stored."""
    return _UNSTORABLE.sub("\ufffd", text)


def plain(value: object, limit: int = 80) -> str:
    """One line of at most `limit` characters, all of them printable."""
    words = " ".join(str(value)[: 4 * limit].split())
    shown = "".join(c if c.isprintable() else "\ufffd" for c in words)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
