"""Units of money: satoshis, millisatoshis, and the minor units of ISO 4217 currencies.

Integers everywhere; `Decimal` only where a human or a database column writes a decimal.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from fractions import Fraction

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.text import plain

SATS_PER_BTC = 100_000_000
MSATS_PER_SAT = 1_000
MAX_SATS = 21_000_000 * SATS_PER_BTC
_TYPED = re.compile(r"-?[0-9]+(\.[0-9]+)?")

# The default context keeps 28 digits: it would round away what is finer, and trip over huge exponents.
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
MAX_AMOUNT_MINOR = 10**15 - 1  # of one deposit or cash-out: thousands of them still fit into an account
_MAX_MINOR_DIGITS = 19  # before the point: no account can hold more
_MAX_PLACES = 20_000  # as far as PostgreSQL's numbers go; a Decimal's exponent can be 10**18

# ISO 4217 active codes, grouped by the number of digits of their minor unit.
_MINOR_DIGITS: dict[int, str] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
        "CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
        "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP "
        "MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
        "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS "
        "VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_DIGITS: dict[str, int] = {code: n for n, codes in _MINOR_DIGITS.items() for code in codes.split()}


def minor_digits(currency: str) -> int:
    """Digits after the point of a currency (ISO 4217). Raises `InputError` for an unknown code."""
    try:
        return MINOR_DIGITS[currency]
    except KeyError:
        raise InputError(
            f"unknown currency {plain(currency)!r}", remedy="use an ISO 4217 code such as GTQ, EUR or USD"
        ) from None


def to_minor(amount: Decimal, currency: str) -> int:
    """An amount in the currency's minor unit. Raises `InputError` when it is finer than that unit."""
    digits = minor_digits(currency)
    if not amount.is_finite():
        raise InputError(f"{amount} is not an amount of money")
    if not amount:
        return 0
    if amount.adjusted() + digits >= _MAX_MINOR_DIGITS:
        raise InputError(f"the amount {plain(amount)} is too large to be one")
    scaled = _EXACT.scaleb(amount, digits)
    whole = scaled.to_integral_value()
    if scaled != whole:
        raise InputError(f"{plain(amount)} {currency} is finer than the currency's minor unit ({digits} digits)")
    return int(whole)


def exact(number: Decimal, name: str) -> Fraction:
    """The same number, to calculate with. Raises `InputError` for one that would take all memory, or is none."""
    if not number.is_finite():
        raise InputError(f"{name} {number} is not a number")
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if len(digits) + abs(exponent) > _MAX_PLACES:
        raise InputError(f"{name} {plain(number)} has too many digits")
    return Fraction(number)


def from_minor(minor: int, currency: str) -> Decimal:
    """The decimal amount of so many minor units, with the currency's own number of digits."""
    return _EXACT.scaleb(Decimal(minor), -minor_digits(currency))


def parse_fiat(text: str, currency: str, *, field: str | None = None) -> int:
    """What a person typed ("1000", "1000.50") as a positive number of minor units. Raises `InputError` that names
    the `field` it was typed in."""
    if not _TYPED.fullmatch(text.strip()):  # Decimal itself would take 1e5, 1_000 and other scripts' digits
        raise InputError(f"{plain(text)!r} is not an amount", remedy="write it like 1000 or 1000.50", field=field)
    try:
        minor = to_minor(Decimal(text.strip()), currency)
    except InputError as error:
        error.field = field
        raise
    if minor <= 0:
        raise InputError(f"the amount must be greater than zero, not {plain(text)}", field=field)
    if minor > MAX_AMOUNT_MINOR:
        raise InputError(f"the amount {plain(text)} is too large to be one", field=field)
    return minor


def fiat_text(minor: int, currency: str) -> str:
    """For people: `1,950.50 GTQ`."""
    return f"{from_minor(minor, currency):,} {currency}"


def sats_text(sats: int) -> str:
    """For people: `484,218 sats`."""
    return f"{sats:,} sat" if abs(sats) == 1 else f"{sats:,} sats"


def fiat_per_btc(sats: int, minor: int, currency: str) -> Decimal | None:
    """The price that the exact pair (sats, fiat) stands for, rounded half-even to the minor unit.

    None where nothing was received, so that there is no price.
    """
    if sats <= 0:
        return None
    quotient, remainder = divmod(minor * SATS_PER_BTC, sats)
    if 2 * remainder > sats or (2 * remainder == sats and quotient % 2):
        quotient += 1
    return from_minor(quotient, currency)


def fiat_value(sats: int, per_btc: Decimal, currency: str) -> int:
    """What so many sats are worth at a price of a bitcoin, in minor units, rounded half-even."""
    units = Fraction(sats, SATS_PER_BTC) * exact(per_btc, "the price")
    return round(units * Fraction(10) ** minor_digits(currency))
