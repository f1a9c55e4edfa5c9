"""A client's statement: every distribution record as a line of CSV, the newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from dca_daemon.domain.money import fiat_per_btc, from_minor
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.export.data import cell, csv_line
from dca_daemon.services.reports.clients import RecordLine, record_lines

COLUMNS = (
    *("record_id", "happened_at", "booked_at", "type", "kind", "cash_out_id", "sats", "fiat", "currency"),
    *("fiat_per_btc", "state", "reversed_at", "payout_id"),
)
# What a client sees of its own: our numbers of records and cash-outs count everybody's.
OWN_COLUMNS = tuple(name for name in COLUMNS if name not in ("record_id", "cash_out_id"))


def record_dict(line: RecordLine) -> dict[str, Any]:
    """One record for programs; its price is the pair of `sats` and `fiat`."""
    price = fiat_per_btc(line.sats, line.fiat_minor, line.currency) if line.fiat_minor else None
    return {
        "record_id": line.record_id,
        "happened_at": line.happened_at.isoformat(),
        "booked_at": line.booked_at.isoformat(),
        "type": line.type,
        "kind": line.kind,
        "cash_out_id": line.cash_out_id,
        "sats": line.sats,
        "fiat": format(from_minor(line.fiat_minor, line.currency), "f"),
        "currency": line.currency,
        "fiat_per_btc": None if price is None else format(price, "f"),
        "state": line.state,
        "reversed_at": None if line.reversed_at is None else line.reversed_at.isoformat(),
        "payout_id": line.payout_id,
    }


async def csv_lines(
    db: Database,
    reference: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    columns: tuple[str, ...] = COLUMNS,
) -> AsyncIterator[str]:
    """The names of the columns, then a line per record, as they are read. Raises `NotFoundError`."""
    yield csv_line(columns)
    async for line in record_lines(db, reference, since=since, until=until):
        record = record_dict(line)
        yield csv_line([_value(name, record[name]) for name in columns])


def _value(name: str, value: Any) -> Any:
    """Amounts may begin with a minus; no other text may begin as a formula does."""
    return cell(value) if isinstance(value, str) and name not in ("fiat", "fiat_per_btc") else value
