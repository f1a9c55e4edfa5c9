"""Keeps secrets out of what is logged: by the name of a key, by the look of a text, by known values.

Three nets, because each has holes: a key may have a new name, an address may come from a library's own
message, a value may stand anywhere in a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

MASK = "********"

_SECRET_KEYS = re.compile(
    r"(^|_)(pass(word|wd|phrase)?|secrets?|dsn|conninfo|database_url|admin_?key|invoice_?key|in_?key|api_?key"
    r"|encryption_?keys?|x_api_key|authorization|cookies?|preimage|access_token|bearer)$",
    re.IGNORECASE,
)
# ://user:pass@ and ://token@ in addresses; password=… in libpq's other spelling.
_URL_LOGIN = re.compile(r"(://)[^/?#\s\"'@]*(?:@[^/?#\s\"'@]*)*@")
_PASSWORD_WORD = re.compile(r"(\bpassword\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s\"'&]+)", re.IGNORECASE)
_SHORTEST = 6  # a shorter value would mask ordinary words; key names and addresses still cover it

_known: set[str] = set()
_known_pattern: re.Pattern[str] | None = None


def register_secret(value: str) -> None:
    """From now on `value` is masked wherever it appears in a log line. Values under 6 characters are not."""
    global _known_pattern
    if len(value) < _SHORTEST or value in _known:
        return
    _known.add(value)
    longest_first = sorted(_known, key=len, reverse=True)
    _known_pattern = re.compile("|".join(re.escape(item) for item in longest_first))


def forget_secrets() -> None:
    """Empties the register: for tests."""
    global _known_pattern
    _known.clear()
    _known_pattern = None


def redact_text(text: str) -> str:
    """The text without logins in addresses, passwords in connection strings, and known secrets."""
    if _known_pattern is not None:
        text = _known_pattern.sub(MASK, text)
    if "://" in text:
        text = _URL_LOGIN.sub(rf"\g<1>{MASK}@", text)
    if "password" in text.lower():
        text = _PASSWORD_WORD.sub(rf"\g<1>{MASK}", text)
    return text


def is_secret_key(key: str) -> bool:
    """Whether a value under this key is never shown."""
    return _SECRET_KEYS.search(key.replace("-", "_")) is not None


def redact(value: Any) -> Any:
    """The value with everything secret in it masked, however deep; other objects become their text."""
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {
            str(key): MASK if is_secret_key(str(key)) and item is not None else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return redact_text(str(value))
