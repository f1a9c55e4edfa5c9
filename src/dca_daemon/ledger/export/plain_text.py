"""What Beancount and hledger have in common: names of accounts, commodities, amounts, and people's texts."""

from __future__ import annotations

from decimal import Decimal

from dca_daemon.domain.money import from_minor, minor_digits
from dca_daemon.domain.text import plain
from dca_daemon.ledger.accounts import MSAT

SAT = "SAT"
_SAT_DIGITS = 3  # so msat are exact
_TEXT_CHARS = 500
_ROOTS = {
    "asset": "Assets",
    "liability": "Liabilities",
    "equity": "Equity",
    "income": "Income",
    "expense": "Expenses",
}


def account_name(name: str, kind: str) -> str:
    """`client:5:fiat:1` → `Liabilities:Client5:Fiat1`, `payouts:in-flight` → `Liabilities:Payouts:In-Flight`."""
    parts = [_ROOTS[kind]]
    for position, word in enumerate(name.split(":")):
        if word.isdecimal():
            parts[-1] += word
        elif position or word != kind:
            parts.append(word.title())
    return ":".join(parts)


def commodity(unit: str) -> str:
    """`SAT`, or the currency's code."""
    return SAT if unit == MSAT else unit


def digits(unit: str) -> int:
    """Digits after the point."""
    return _SAT_DIGITS if unit == MSAT else minor_digits(unit)


def number(amount: int, unit: str) -> str:
    """An exact decimal: sats with three digits, a currency with its own."""
    value = Decimal(amount).scaleb(-_SAT_DIGITS) if unit == MSAT else from_minor(amount, unit)
    return format(value, "f")


def one_line(text: str) -> str:
    """A person's text as one line of printable characters. JSON and CSV keep it as it is."""
    return plain(text, _TEXT_CHARS)
