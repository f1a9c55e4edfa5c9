"""Principal and commission: they add up, and follow the formulas to the last sat."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import MAX_SATS, SATS_PER_BTC, from_minor
from dca_daemon.domain.split import Charge, Split, SplitMethod, effective_commission, split

sats = st.integers(1, MAX_SATS)
minors = st.integers(1, 10**12)
fractions = st.integers(0, 100_000).map(lambda n: Decimal(n).scaleb(-5))  # numeric(14,5), 0 to 1
discounts = st.none() | st.integers(0, 100)
tickers = st.integers(1, 10**14).map(lambda n: Decimal(n).scaleb(-5))
charges = st.sampled_from(Charge)


def of(total_sats: int, fiat_minor: int, **changes: Any) -> Split:
    values: dict[str, Any] = {
        "total_sats": total_sats,
        "fiat_minor": fiat_minor,
        "fiat": from_minor(fiat_minor, "GTQ"),
        "commission": Decimal("0.055"),
        "discount_percent": None,
        "ticker": None,
        **changes,
    }
    return split(**values)


def half_even(exact: Fraction) -> int:
    """Another way than `round`: by the definition."""
    floor, rest = divmod(exact.numerator, exact.denominator)
    twice = 2 * rest - exact.denominator
    return floor + (twice > 0 or (twice == 0 and floor % 2 == 1))


@given(sats, minors, fractions, discounts, charges)
def test_the_recorded_commission_is_the_exact_formula(
    total: int, minor: int, commission: Decimal, discount: int | None, charge: Charge
) -> None:
    parts = of(total, minor, commission=commission, discount_percent=discount, charge=charge)
    exact = Fraction(commission) * (1 - Fraction(discount or 0, 100))
    assert parts.commission_fraction == exact
    assert parts.principal_sats + parts.commission_sats == parts.total_sats == total
    assert parts.commission_sats == half_even(total * exact)
    assert 0 <= parts.charge_minor <= minor
    if charge is Charge.DISPENSED:
        assert parts.charge_minor == minor
    else:
        assert parts.charge_minor == minor - half_even(minor * exact)


@given(sats, minors, tickers, charges)
def test_the_tickers_principal_is_what_the_notes_were_worth(
    total: int, minor: int, ticker: Decimal, charge: Charge
) -> None:
    parts = of(total, minor, commission=None, ticker=ticker, method=SplitMethod.TICKER, charge=charge)
    assert parts.principal_sats + parts.commission_sats == total
    worth = half_even(Fraction(minor, 100) / Fraction(ticker) * SATS_PER_BTC)
    assert parts.principal_sats == min(total, worth)
    assert parts.commission_sats == max(0, total - worth)
    assert 0 <= parts.charge_minor <= minor


def test_the_worked_row() -> None:
    parts = of(512400, 400000)
    assert (parts.commission_sats, parts.principal_sats) == (28182, 484218)
    assert parts.charge_minor == 378000


def test_the_specifications_example() -> None:
    # 1000 GTQ, 5.5 %, 10 % discount: 950.50 to the clients, 49.50 commission.
    parts = of(128100, 100000, discount_percent=10)
    assert parts.charge_minor == 95050
    assert parts.commission_fraction == Fraction(495, 10000)


def test_charging_what_was_dispensed_leaves_the_sats_as_they_are() -> None:
    principal, dispensed = of(512400, 400000), of(512400, 400000, charge=Charge.DISPENSED)
    assert dispensed.charge_minor == 400000
    assert dispensed.principal_sats == principal.principal_sats


def test_halves_go_to_the_even_sat() -> None:
    assert [of(n, 100, commission=Decimal("0.5")).commission_sats for n in (1, 3, 5, 7)] == [0, 2, 2, 4]
    expected = [int(Decimal(n).scaleb(-1).quantize(Decimal(1), ROUND_HALF_EVEN)) for n in (5, 15, 25)]
    assert [of(n, 100, commission=Decimal("0.1")).commission_sats for n in (5, 15, 25)] == expected


def test_a_full_discount_leaves_no_commission() -> None:
    parts = of(512400, 400000, discount_percent=100)
    assert (parts.commission_sats, parts.charge_minor) == (0, 400000)


def test_the_tickers_commission_is_never_negative() -> None:
    # The machine rounds coins to 100 sats: with a 100 % discount they can be worth less than the notes.
    ticker = Decimal("826091.28")
    worth = half_even(Fraction(4000) / Fraction(ticker) * SATS_PER_BTC)
    parts = of(worth - 8, 400000, commission=None, ticker=ticker, method=SplitMethod.TICKER)
    assert (parts.commission_sats, parts.principal_sats) == (0, worth - 8)
    assert parts.charge_minor == 400000


def test_the_ticker_method_needs_no_commission_and_the_recorded_one_no_ticker() -> None:
    of(512400, 400000, commission=None, ticker=Decimal("826091.28"), method=SplitMethod.TICKER)
    of(512400, 400000, ticker=Decimal("NaN"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"commission": None}, "no commission_percentage"),
        ({"commission": Decimal("1.00001")}, "between 0 and 1"),
        ({"commission": Decimal("5.5")}, "between 0 and 1"),
        ({"commission": Decimal("-0.00001")}, "between 0 and 1"),
        ({"commission": Decimal("NaN")}, "between 0 and 1"),
        ({"commission": Decimal("Infinity")}, "between 0 and 1"),
        ({"discount_percent": 101}, "between 0 and 100"),
        ({"discount_percent": -1}, "between 0 and 100"),
        ({"method": SplitMethod.TICKER}, "raw_ticker_price"),
        ({"method": SplitMethod.TICKER, "ticker": Decimal(0)}, "raw_ticker_price"),
        ({"method": SplitMethod.TICKER, "ticker": Decimal(-1)}, "raw_ticker_price"),
        ({"method": SplitMethod.TICKER, "ticker": Decimal("NaN")}, "raw_ticker_price"),
    ],
)
def test_what_the_method_needs_is_never_guessed(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        of(512400, 400000, **changes)


@given(fractions, discounts)
def test_a_discount_only_ever_lowers_the_commission(commission: Decimal, discount: int | None) -> None:
    assert 0 <= effective_commission(commission, discount) <= Fraction(commission)
