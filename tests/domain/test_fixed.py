"""What is bought at a slot: the day's amount, and never more than may be, is there, or was paid for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.fixed import (
    Buyer,
    Rate,
    RateSource,
    amount_minor,
    purchases,
    sats_for,
    slot_share,
    usable_price,
)
from dca_daemon.domain.money import MINOR_DIGITS

MINOR = st.integers(0, 10**12)
PRICES = st.decimals("0.01", "10000000000", allow_nan=False, allow_infinity=False, places=8)


@given(MINOR, st.integers(1, 96))
def test_the_slots_of_a_day_share_its_amount_without_loss(daily: int, count: int) -> None:
    parts = [slot_share(daily, number, count) for number in range(1, count + 1)]
    assert sum(parts) == daily
    assert max(parts) - min(parts) <= 1


@given(st.lists(st.tuples(MINOR, MINOR, st.integers(1, 9), st.data()), min_size=1, max_size=12), MINOR)
def test_whatever_is_changed_in_the_middle_of_the_day(
    steps: list[tuple[int, int, int, st.DataObject]], balance: int
) -> None:
    """At each slot amount, maximum and number of slots are others: what is in force then is not exceeded."""
    bought = 0
    for daily, most, count, data in steps:
        number = data.draw(st.integers(1, count))
        minor = amount_minor(Buyer(1, balance, daily, most, bought), number, count)
        assert minor >= 0
        assert minor == 0 or bought + minor <= min(daily, most)
        assert minor <= balance
        bought += minor
        balance -= minor


@given(MINOR, st.integers(1, 96), MINOR, MINOR)
def test_an_undisturbed_day_buys_the_least_of_all_limits(daily: int, count: int, most: int, balance: int) -> None:
    bought = 0
    for number in range(1, count + 1):
        bought += amount_minor(Buyer(1, balance - bought, daily, most, bought), number, count)
    assert bought == min(daily, most) if balance >= min(daily, most) else bought <= balance


@given(MINOR, PRICES, st.sampled_from(sorted(MINOR_DIGITS)))
def test_sats_are_what_the_fiat_pays_for_and_no_more(minor: int, price: Decimal, currency: str) -> None:
    sats = sats_for(minor, price, currency)
    unit = Fraction(1, 10 ** MINOR_DIGITS[currency])
    assert Fraction(sats, 10**8) * Fraction(price) <= minor * unit < Fraction(sats + 1, 10**8) * Fraction(price)


@pytest.mark.parametrize(
    ("minor", "price", "currency", "sats"),
    [
        (25_000, "826091.28", "GTQ", 30_262),  # 250 GTQ
        (12_500, "826091.28", "GTQ", 15_131),
        (1, "826091.28", "GTQ", 1),
        (1, "100000000", "JPY", 1),
        (1, "100000000.00000001", "JPY", 0),
        (1_000, "30000", "KWD", 3_333),
        (0, "1", "GTQ", 0),
    ],
)
def test_worked_examples(minor: int, price: str, currency: str, sats: int) -> None:
    assert sats_for(minor, Decimal(price), currency) == sats


def test_who_can_not_buy_a_single_sat_is_not_charged() -> None:
    buyers = [Buyer(3, 10_000, 100, 1_000), Buyer(1, 0, 100, 100), Buyer(2, 50, 100, 100), Buyer(9, 1, 1, 1)]
    shares = purchases(buyers, number=1, count=1, fiat_per_btc=Decimal("50000000"), currency="GTQ")
    assert [(s.client_id, s.sats, s.fiat_minor) for s in shares] == [(2, 1, 50), (3, 2, 100)]


def test_an_absurd_price_buys_nothing() -> None:
    with pytest.raises(InputError, match="would buy"):
        purchases([Buyer(1, 10**9, 10**9, 10**9)], number=1, count=1, fiat_per_btc=Decimal(1), currency="GTQ")


@pytest.mark.parametrize(
    "price", ["0", "-1", "nan", "inf", "-inf", "0.5", "1e16", "1e999999", "1e-999999", "snan"]
)
def test_what_no_bitcoin_costs_is_refused(price: str) -> None:
    with pytest.raises(InputError, match="not what a bitcoin costs"):
        usable_price(Decimal(price))


def test_a_price_is_kept_to_eight_places() -> None:
    assert usable_price(Decimal("826091.28123456789")) == Decimal("826091.28123457")
    with pytest.raises(InputError, match="digits"):
        usable_price(Decimal("1." + "1" * 30_000))


def test_a_rate_counts_for_a_time() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    rate = Rate(Decimal(1), RateSource.TICKER, at, at + timedelta(hours=1))
    minute = timedelta(minutes=1)
    assert [rate.fresh(at + n * minute) for n in (-6, -5, 0, 60, 61)] == [False, True, True, True, False]
