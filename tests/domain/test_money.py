"""Units of money: exact, or refused."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import (
    MINOR_DIGITS,
    SATS_PER_BTC,
    exact,
    fiat_per_btc,
    fiat_text,
    from_minor,
    minor_digits,
    parse_fiat,
    sats_text,
    to_minor,
)

currencies = st.sampled_from(sorted(MINOR_DIGITS))


@given(st.integers(-(10**18), 10**18), currencies)
def test_minor_units_survive_the_way_there_and_back(minor: int, currency: str) -> None:
    amount = from_minor(minor, currency)
    assert to_minor(amount, currency) == minor
    assert Fraction(amount) * 10 ** minor_digits(currency) == minor
    assert max(0, -int(amount.as_tuple().exponent)) == MINOR_DIGITS[currency]


@given(st.integers(0, 10**14), st.integers(1, 9), st.integers(1, 40), currencies)
def test_an_amount_finer_than_the_minor_unit_is_refused(whole: int, rest: int, deeper: int, currency: str) -> None:
    digits = minor_digits(currency)
    amount = Decimal(f"{whole}.{'0' * (digits + deeper - 1)}{rest}")
    with pytest.raises(InputError, match="finer than the currency's minor unit"):
        to_minor(amount, currency)


@given(st.integers(0, 10**9), currencies)
def test_zeros_beyond_the_minor_unit_are_no_finer_amount(whole: int, currency: str) -> None:
    # Lamassu writes five digits after the point, whatever the currency.
    assert to_minor(Decimal(f"{whole}.00000"), currency) == whole * 10 ** minor_digits(currency)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_no_amount(text: str) -> None:
    with pytest.raises(InputError, match="not an amount"):
        to_minor(Decimal(text), "GTQ")


@pytest.mark.parametrize("currency", ["", "gtq", "BTC", "???", "XXX"])
def test_an_unknown_currency_is_refused_by_name(currency: str) -> None:
    with pytest.raises(InputError, match="unknown currency") as caught:
        minor_digits(currency)
    assert caught.value.remedy is not None and "ISO 4217" in caught.value.remedy


def test_currencies_have_their_own_minor_units() -> None:
    assert [minor_digits(c) for c in ("JPY", "GTQ", "EUR", "BHD", "CLF")] == [0, 2, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "minor"), [("1000", 100000), (" 1000.50 ", 100050), ("0.01", 1), ("007", 700), ("7.10000", 710)]
)
def test_people_type_amounts(text: str, minor: int) -> None:
    assert parse_fiat(text, "GTQ") == minor


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not an amount"),
        ("ten", "is not an amount"),
        ("1,000", "is not an amount"),
        ("1000 GTQ", "is not an amount"),
        ("1e5", "is not an amount"),
        ("1_000", "is not an amount"),
        ("+5", "is not an amount"),
        (".5", "is not an amount"),
        ("5.", "is not an amount"),
        ("\u0661\u0662\u0663", "is not an amount"),
        ("9" * 400, "too large"),
        ("NaN", "is not an amount"),
        ("Infinity", "is not an amount"),
        ("0", "greater than zero"),
        ("-5", "greater than zero"),
        ("-0.00", "greater than zero"),
        ("0.001", "finer"),
        ("1000.000000000000000000000000000000001", "finer"),
        ("1e-400000", "is not an amount"),
        ("10000000000000", "too large"),
        ("1e30", "is not an amount"),
        ("1e999999", "is not an amount"),
        ("-1e999999", "is not an amount"),
        ("1e999999999999", "is not an amount"),
        ("1e-999999999999", "is not an amount"),
    ],
)
def test_what_is_no_deposit_is_refused_with_words(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_fiat(text, "GTQ")


@given(st.integers(1, 21 * 10**14), st.integers(0, 10**15), currencies)
def test_the_price_is_the_exact_quotient_rounded_half_even(sats: int, minor: int, currency: str) -> None:
    price = fiat_per_btc(sats, minor, currency)
    assert price is not None
    exact = Fraction(minor * SATS_PER_BTC, sats)
    assert Fraction(price) * 10 ** minor_digits(currency) == round(exact)


def test_the_price_of_the_worked_row() -> None:
    assert fiat_per_btc(484218, 400000, "GTQ") == Decimal("826074.21")
    assert fiat_per_btc(484218, 378000, "GTQ") == Decimal("780640.12")


def test_nothing_received_has_no_price() -> None:
    assert fiat_per_btc(0, 100, "GTQ") is None


def test_amounts_in_words() -> None:
    assert fiat_text(195050, "GTQ") == "1,950.50 GTQ"
    assert fiat_text(-5, "GTQ") == "-0.05 GTQ"
    assert fiat_text(1500, "JPY") == "1,500 JPY"
    assert [sats_text(n) for n in (0, 1, 484218)] == ["0 sats", "1 sat", "484,218 sats"]


@pytest.mark.parametrize("exponent", [19, 131_071, 10**6, 999_999_999, 10**18 - 1])
def test_no_exponent_is_too_large_to_be_refused_at_once(exponent: int) -> None:
    for number in (f"1E+{exponent}", f"-1.5E+{exponent}", f"1E-{exponent}"):
        with pytest.raises(InputError):
            to_minor(Decimal(number), "GTQ")
    assert to_minor(Decimal(f"0E+{exponent}"), "GTQ") == 0
    if exponent > 10**5:
        for number in (f"1E+{exponent}", f"7.1E-{exponent}"):
            with pytest.raises(InputError, match="too many digits"):
                exact(Decimal(number), "ticker")
