"""Any result row becomes a row of ours, which the books can keep; see also tests/fuzz."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dca_daemon.domain.cash_out import classify
from dca_daemon.lamassu.rows import to_digest, to_row

ID = "4f1f3b2e-6c1d-4c58-9e2a-1b1f0a3c9d77"


def values(**changes: Any) -> tuple[Any, ...]:
    """A result row of nothing but NULL, with these changes, in the order of `shape.build_queries`."""
    columns = (
        "external_id device_id crypto_code crypto_atoms fiat fiat_code status dispense confirmed redeem error "
        "error_code created confirmed_at commission discount ticker fixed_fee tx_version name version dispensed_at"
    )
    return tuple({"external_id": ID, **changes}.get(column) for column in columns.split())


def test_a_row_of_nothing_is_a_row() -> None:
    row = to_row(values())
    assert not row.crypto_atoms.is_finite() and not row.fiat.is_finite()
    assert row.tx_version == -1 and row.discount is None
    assert classify(row).reason == "other-coin"


@pytest.mark.parametrize(
    ("number", "whole"),
    [
        (2**31 - 1, 2**31 - 1),
        (-(2**31), -(2**31)),
        (2**31, -1),
        (-(2**31) - 1, -1),
        (Decimal("1E+1000000"), -1),
        (Decimal("-1E+999999999"), -1),
        (Decimal("1E-999999999"), -1),
        (Decimal("1.5"), -1),
        (Decimal("sNaN"), -1),
        (Decimal("Infinity"), -1),
        (Decimal("5.000"), 5),
    ],
)
def test_a_whole_number_fits_the_books_column_or_is_out_of_range(number: Decimal | int, whole: int) -> None:
    row = to_row(values(discount=number, tx_version=number))
    assert row.discount == row.tx_version == whole
    assert to_digest((ID, number, *[None] * 7)).digest == row.digest


@pytest.mark.parametrize("number", ["sNaN", "Infinity", "-Infinity", "1E+131072", "1E-16384", "1E+999999999"])
def test_a_number_that_not_every_postgresql_keeps_is_none(number: str) -> None:
    row = to_row(values(crypto_atoms=Decimal(number), ticker=Decimal(number)))
    assert row.crypto_atoms.is_qnan() and row.raw_ticker_price is not None and row.raw_ticker_price.is_qnan()


@pytest.mark.parametrize("number", ["1E+131071", "-0", "1E-16383", "512400"])
def test_every_other_number_stays_as_it_is(number: str) -> None:
    assert str(to_row(values(fiat=Decimal(number))).fiat) == number


def test_text_that_can_not_be_stored_is_replaced_character_by_character() -> None:
    row = to_row(values(error="a\x00b\ud800", device_id="\udcff", status="\x00"))
    assert (row.error, row.device_id, row.status) == ("a\ufffdb\ufffd", "\ufffd", "\ufffd")
    digest = to_digest((ID, None, "\x00", None, None, "a\x00b\ud800", None, None, None))
    assert digest.digest == row.digest
