"""Odd values of every kind: numbers, texts, times, JSON, rows of the ATM's database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from tests.fuzz.choices import Choices, chance, pick

ODD_NUMBERS = tuple(
    Decimal(text)
    for text in (
        "0", "1", "-1", "-0", "NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "0.00001", "0.5", "100.5",
        "0E+1000000", "0E-1000000", "1E+1000000", "1E-1000000", "1.23E-1000000", "-7E+1000000",
        "1E+999999999", "1E-999999999", "3E+999999999999999999", "3E-999999999999999999", "1E+131071", "1E-16383",
        "2147483647", "2147483648", "-2147483648", "-2147483649", "2100000000000000", "2100000000000001",
        "9223372036854775807", "9223372036854775808", "0." + "3" * 60, "1." + "0" * 5000, "9" * 5000,
    )
)  # fmt: skip
ODD_TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "x\udcffy", "\u202egnp.exe", "\u2028", "\x1b[31mred", "None", "|", "a|b",
    "'", '"', "\\", "%s", "{}", "$1", "'; DROP TABLE cash_out; --", "\u212a", "\u0130", "\uff0f", "\U0001f4a9",
    "x" * 10_000,
)  # fmt: skip
HTTP_STATUSES = (200, 201, 204, 301, 307, 400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503, 520, 599)

# Tokens of JSON, right and wrong. `loads` takes the constants that are none of JSON's.
ODD_JSON = (
    "null", "true", "false", "0", "1", "-1", "1.0", "0.5", "-0.0", "1e400", "-1e400", "NaN", "Infinity",
    "-Infinity", "9223372036854775808", "-9223372036854775809", "9" * 4_000, "9" * 5_000, '""', '"\\u0000"',
    '"\\ud800"', '"\\udc00x"', '"\\u202e"', '"0"', '"1000"', '"true"', "[]", "{}", "[[[]]]", '{"a":{"a":1}}',
    '"' + "x" * 5_000 + '"', "", "nul", '"', "[", "}", "01", "'a'", "1_000", "\ufeff1", "[" * 300 + "]" * 300,
)  # fmt: skip


def number(choices: Choices) -> Decimal:
    """As `numeric` columns hold, and as they don't."""
    kind = choices.integer(0, 3)
    if kind == 0:
        return pick(choices, ODD_NUMBERS)
    digits = choices.integer(-(10**19), 10**19) if kind == 1 else choices.integer(-(10**6), 10**9)
    return Decimal(digits).scaleb(-5 if kind == 3 else choices.integer(-40, 12))


def text(choices: Choices, usual: Sequence[str] = (), max_size: int = 40) -> str:
    """One of the usual ones, an odd one, or anything."""
    kind = choices.integer(0, 2 if usual else 1)
    if kind == 2:
        return pick(choices, usual)
    return pick(choices, ODD_TEXTS) if kind == 0 else choices.text(max_size)


def moment(choices: Choices) -> datetime:
    """A time with a zone, from the first year to the last."""
    if chance(choices, 8):
        zone = timezone(timedelta(hours=choices.integer(-23, 23)))
        return pick(choices, (datetime(1, 1, 1, tzinfo=zone), datetime(9999, 12, 31, 23, 59, 59, tzinfo=zone)))
    return clamped(choices)


def clamped(choices: Choices) -> datetime:
    """A time as our queries give it (`shape._clamped`)."""
    return datetime(1, 1, 3, tzinfo=UTC) + timedelta(seconds=choices.integer(0, 315_537_292_800))


def maybe(choices: Choices) -> bool:
    """Whether a column that may be NULL has a value; mostly it has."""
    return not chance(choices, 6)


def json_token(choices: Choices, usual: Sequence[str]) -> str:
    """JSON for one value: mostly a usual one."""
    kind = choices.integer(0, 7)
    if kind == 6:
        return pick(choices, ODD_JSON)
    if kind == 7:
        return json.dumps(choices.text(30))
    return pick(choices, usual)


def json_object(choices: Choices, usual: Mapping[str, Sequence[str]]) -> str:
    """An object of these keys, each with one of its usual values; some are missing, doubled or odd."""
    parts = []
    for key, values in usual.items():
        kind = choices.integer(0, 15)
        if kind == 15:
            continue
        parts.append(f"{json.dumps(key)}:{json_token(choices, values) if kind > 6 else pick(choices, values)}")
        if kind == 14:
            parts.append(f"{json.dumps(key)}:{json_token(choices, values)}")
    return "{" + ",".join(parts) + "}"


def body(choices: Choices, usual: str) -> bytes:
    """The bytes of an answer: mostly the usual one, else garbled, nested or something else altogether."""
    kind = choices.integer(0, 11)
    octets = usual.encode("utf-8", "surrogatepass")
    if kind == 11:
        return choices.rest(2_000)
    if kind == 10:
        depth = choices.integer(1, 1_200)
        return f'{{"detail":{"[" * depth}{"]" * depth},"tag":{"[" * depth}{"]" * depth}}}'.encode()
    if kind == 9:
        at = choices.integer(0, len(octets))
        return octets[:at] + choices.octets(8) + octets[at + choices.integer(0, 8) :]
    if kind == 8:
        return pick(choices, ODD_JSON).encode("utf-8")
    return octets


def storable(said: str) -> bool:
    """Whether PostgreSQL takes it as text, and a log as a line."""
    return "\x00" not in said and not any("\ud800" <= c <= "\udfff" for c in said)
