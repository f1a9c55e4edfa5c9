"""How amounts are written, by every door: for people with their unit, for scripts as decimal strings.

The source's own amounts are unchecked: a bad row's NaN or fraction is shown as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dca_daemon.domain.cash_out import BITCOIN_CODES
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import fiat_per_btc, fiat_text, from_minor, sats_text

NOTHING = "–"


def fiat_json(minor: int, currency: str) -> str:
    """A fiat amount for scripts: a decimal string with the currency's digits."""
    return format(from_minor(minor, currency), "f")


def price_json(sats: int, minor: int, currency: str) -> str | None:
    """Fiat per BTC for scripts; None where there is no price."""
    price = fiat_per_btc(sats, minor, currency) if minor else None
    return None if price is None else format(price, "f")


def price_text(sats: int, minor: int, currency: str) -> str | None:
    """Fiat per BTC for people."""
    price = fiat_per_btc(sats, minor, currency) if minor else None
    return None if price is None else f"{price:,} {currency}"


def source_fiat_json(amount: Decimal, currency: str) -> str:
    """The source's own amount, with the currency's digits where it fits them, and as it is where not."""
    if not amount.is_finite():
        return str(amount)
    try:
        digits = len(fiat_json(0, currency).partition(".")[2])
    except InputError:  # a currency that nobody knows is shown as it came
        return format(amount, "f")
    rounded = round(amount, digits)
    return format(rounded if rounded == amount else amount.normalize(), "f")


def source_fiat_text(amount: Decimal, currency: str) -> str:
    """The same for people."""
    text = source_fiat_json(amount, currency)
    return f"{Decimal(text):,} {currency}" if amount.is_finite() else f"{text} {currency}"


def source_sats_json(atoms: Decimal) -> int | str:
    """The source's own number of satoshis: whole, but where a bad row has something else."""
    whole = atoms.is_finite() and atoms == atoms.to_integral_value()
    return int(atoms) if whole else str(atoms)


def source_coins_text(atoms: Decimal, crypto_code: str) -> str:
    """The same for people; of another coin than bitcoin it is that coin's smallest unit, whatever that is."""
    amount = source_sats_json(atoms)
    if crypto_code not in BITCOIN_CODES:
        return f"{amount:,} {crypto_code} atoms" if isinstance(amount, int) else f"{amount} {crypto_code} atoms"
    return sats_text(amount) if isinstance(amount, int) else f"{amount} sats"


def unit_json(amount: int, unit: str) -> int | str:
    """An amount of an account: an integer of msat, or a fiat amount."""
    return amount if unit == "msat" else fiat_json(amount, unit)


def unit_text(amount: int, unit: str) -> str:
    """An amount of an account for people; msat as sats with three digits."""
    return f"{Decimal(amount).scaleb(-3):,} sats" if unit == "msat" else fiat_text(amount, unit)


def detail_text(detail: Mapping[str, Any], currency: str | None = None) -> str | None:
    """The numbers of a log line for people: amounts with their units, as their names tell them."""
    return ", ".join(_named(k, v, currency) for k, v in detail.items() if v is not None) or None


def _named(key: str, value: object, currency: str | None) -> str:
    if key == "text":  # a sentence by itself
        return str(value)
    name, _, unit = key.rpartition("_")
    name = name.replace("_", " ")
    if isinstance(value, int) and unit == "sats":
        return f"{name} {sats_text(value)}"
    if isinstance(value, int) and unit == "msat":
        return f"{name} {unit_text(value, 'msat')}"
    if isinstance(value, int) and unit == "minor" and currency:
        return f"{name} {fiat_text(value, currency)}"
    return f"{key.replace('_', ' ')} {value}"
