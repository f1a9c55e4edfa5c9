"""From what the database gives to a `SourceRow`. Total: there is no row that it can't turn into one.

What is absent or illegible becomes a value that the domain refuses with a reason (a NaN amount, no currency), so
that such a row ends in review, where a person sees it. Raising would lose it, or hold up the rows beside it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dca_daemon.domain.cash_out import SourceRow, row_digest
from dca_daemon.domain.text import storable

ILLEGIBLE_TIME = datetime(1, 1, 3, tzinfo=UTC)
_NAN = Decimal("NaN")
_NUMERIC_DIGITS, _NUMERIC_PLACES = 131_072, 16_383  # before and after the point, in PostgreSQL's numeric
_OUT_OF_RANGE = -1  # no discount and no version is negative: refused by the domain


@dataclass(frozen=True, slots=True)
class RowDigest:
    """What a scan reads of a row: enough to tell whether the books have it as it is now."""

    external_id: str
    digest: str
    created: datetime
    success: bool


def to_row(values: Sequence[Any]) -> SourceRow:
    """One result row of `shape.build_queries`, in that order."""
    (
        external_id, device_id, crypto_code, crypto_atoms, fiat, fiat_code, status, dispense, confirmed, redeem,
        error, error_code, created, confirmed_at, commission, discount, ticker, fixed_fee, tx_version,
        machine_name, machine_version, dispensed_at,
    ) = values  # fmt: skip
    return SourceRow(
        external_id=external_id,
        device_id=_text(device_id) or "",
        crypto_code=_text(crypto_code) or "",
        crypto_atoms=_amount(crypto_atoms),
        fiat=_amount(fiat),
        fiat_code=_text(fiat_code) or "",
        status=_text(status) or "",
        dispense=bool(dispense),
        dispense_confirmed=confirmed,
        redeem=bool(redeem),
        error=_text(error),
        error_code=_text(error_code),
        created=created or ILLEGIBLE_TIME,
        confirmed_at=confirmed_at,
        commission_percentage=None if commission is None else _amount(commission),
        discount=None if discount is None else _whole(discount),
        raw_ticker_price=None if ticker is None else _amount(ticker),
        fixed_fee=None if fixed_fee is None else _amount(fixed_fee),
        tx_version=_whole(tx_version),
        machine_name=_text(machine_name),
        machine_version=_text(machine_version),
        dispensed_at=dispensed_at,
    )


def to_digest(values: Sequence[Any]) -> RowDigest:
    """One result row of the digest queries. Reads its columns as `to_row` does: equal rows, equal digests."""
    external_id, tx_version, status, dispense, confirmed, error, error_code, created, success = values
    digest = row_digest(
        _whole(tx_version), _text(status) or "", bool(dispense), confirmed, _text(error), _text(error_code)
    )
    return RowDigest(external_id, digest, created or ILLEGIBLE_TIME, bool(success))


def is_uuid(text: str) -> bool:
    """Whether this is an id as `cash_out_txs` has them, in the form that PostgreSQL prints."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _text(value: str | None) -> str | None:
    return None if value is None else storable(value)


def _amount(value: Decimal | int | None) -> Decimal:
    number = _NAN if value is None else Decimal(value)
    return number if _fits(number) else _NAN


def _fits(number: Decimal) -> bool:
    """Whether every PostgreSQL can keep it (infinities: only from 14 on)."""
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_NUMERIC_PLACES and number.adjusted() < _NUMERIC_DIGITS


def _whole(value: Decimal | int | None) -> int:
    if value is None:
        return _OUT_OF_RANGE
    number = Decimal(value)
    # As PostgreSQL's integer: the books keep it in one.
    if not number.is_finite() or not -(2**31) <= number < 2**31 or number != number.to_integral_value():
        return _OUT_OF_RANGE
    return int(number)
