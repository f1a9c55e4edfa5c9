"""LNbits' list of payments: filters, order, pages. What it does not know it ignores, as the real one does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from dca_daemon.payouts.wallet import RecordStatus
from tests.lnbits_double.http import Call, Reply, detail, reply
from tests.lnbits_double.model import Record

DEFAULT_ROWS, MAX_ROWS = 10, 1000

_FIELDS: dict[str, Callable[[str], Any]] = {
    "status": str,
    "tag": str,
    "checking_id": str,
    "external_id": str,
    "memo": str,
    "preimage": str,
    "payment_hash": str,
    "wallet_id": str,
    "amount": int,
    "fee": int,
    "time": lambda text: _moment(text),
}
_SORTED_BY = ("created_at", "updated_at", "amount", "fee", "memo", "time", "tag", "external_id")
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda found, asked: found == asked,
    "ne": lambda found, asked: found != asked,
    "gt": lambda found, asked: found > asked,
    "ge": lambda found, asked: found >= asked,
    "lt": lambda found, asked: found < asked,
    "le": lambda found, asked: found <= asked,
    "like": lambda found, asked: str(asked).lower() in str(found).lower(),
}


def page(rows: Sequence[Record], call: Call, now: datetime) -> Reply:
    """The answer to a list call over one wallet's rows."""
    try:
        limit = _whole(call.asked("limit"), DEFAULT_ROWS)
        offset = max(0, _whole(call.asked("offset"), 0))
    except ValueError:
        return detail(400, "value is not a valid integer")
    found = [_as_seen(row, now) for row in rows if _visible(row, now)]
    for name, asked in call.query:
        found = _filtered(found, name, asked)
    sort = call.asked("sortby")
    if sort is not None:
        if sort not in _SORTED_BY or call.asked("direction") not in (None, "asc", "desc"):
            return detail(400, "Invalid sort field")
        column = "time" if sort.endswith("_at") else sort
        found.sort(key=lambda row: _orderable(row[column]), reverse=call.asked("direction") == "desc")
    size = min(limit or MAX_ROWS, MAX_ROWS)
    return reply(200, {"data": found[offset : offset + size], "total": len(found)})


def _visible(row: Record, now: datetime) -> bool:
    return row.amount > 0 or row.hidden_until is None or row.hidden_until <= now


def _as_seen(row: Record, now: datetime) -> dict[str, Any]:
    """What is hidden of a payment is that it was paid; the invoice was known before."""
    hidden = row.hidden_until is not None and row.hidden_until > now
    return {**row.shown(), "status": str(RecordStatus.PENDING)} if hidden else row.shown()


def _filtered(rows: list[dict[str, Any]], name: str, asked: str) -> list[dict[str, Any]]:
    column, _, operator = name.removesuffix("]").partition("[")
    read = _FIELDS.get(column)
    if read is None or (operator and not name.endswith("]")):
        return rows
    try:
        if operator in ("in", "ex"):
            wanted = {read(one) for one in asked.split(",")}
            return [row for row in rows if (_value(row, column) in wanted) == (operator == "in")]
        compare, value = _COMPARED[operator or "eq"], read(asked)
    except (KeyError, ValueError):
        return rows
    return [row for row in rows if (found := _value(row, column)) is not None and compare(found, value)]


def _value(row: dict[str, Any], column: str) -> Any:
    return _moment(row["time"]) if column == "time" else row[column]


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _orderable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)


def _whole(text: str | None, default: int) -> int:
    return default if text is None else int(text)
