"""How one cash-out splits into principal and commission: `commission + principal = crypto_atoms`, exactly.

Sources of the formulas: docs/arithmetic.md. Fractions and integers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import SATS_PER_BTC, exact
from dca_daemon.domain.text import plain


class SplitMethod(StrEnum):
    """Where the commission is taken from."""

    RECORDED = "recorded"  # the row's own commission_percentage and discount
    TICKER = "ticker"  # formula-free: what the fiat was worth at the row's raw_ticker_price


class Charge(StrEnum):
    """What the clients pay for the principal, in fiat."""

    PRINCIPAL = "principal"  # fiat less its commission part
    DISPENSED = "dispensed"  # all the notes that left the machine


@dataclass(frozen=True, slots=True)
class Split:
    """One cash-out, split. Sats are whole satoshis, `charge_minor` is minor units of its currency."""

    total_sats: int
    principal_sats: int
    commission_sats: int
    charge_minor: int
    commission_fraction: Fraction

    def __post_init__(self) -> None:
        assert self.principal_sats + self.commission_sats == self.total_sats
        assert self.principal_sats >= 0 and self.commission_sats >= 0 and self.charge_minor >= 0


def effective_commission(commission: Decimal, discount_percent: int | None) -> Fraction:
    """`c' = commission × (1 − discount/100)`.

    Raises `InputError` unless 0 ≤ commission ≤ 1 and 0 ≤ discount ≤ 100.
    """
    if not commission.is_finite() or not 0 <= commission <= 1:
        raise InputError(f"commission {plain(commission)} is not a fraction between 0 and 1")
    discount = 0 if discount_percent is None else discount_percent
    if not 0 <= discount <= 100:
        raise InputError(f"discount {discount} is not a whole percentage between 0 and 100")
    return exact(commission, "commission") * Fraction(100 - discount, 100)


def split(
    *,
    total_sats: int,
    fiat_minor: int,
    fiat: Decimal,
    commission: Decimal | None,
    discount_percent: int | None,
    ticker: Decimal | None,
    method: SplitMethod = SplitMethod.RECORDED,
    charge: Charge = Charge.PRINCIPAL,
) -> Split:
    """Splits a cash-out of `total_sats` for `fiat` (the same amount as `fiat_minor`).

    `ticker` is fiat per whole coin, without commission. Raises `InputError` when what the method
    needs is missing or out of range: a missing commission is never taken for 0.
    """
    if method is SplitMethod.RECORDED:
        if commission is None:
            raise InputError(
                "the row has no commission_percentage",
                remedy='decide by hand, or set lamassu.split_method = "ticker"',
            )
        fraction = effective_commission(commission, discount_percent)
        commission_sats = round(total_sats * fraction)  # Fraction rounds half to even
    else:
        if ticker is None or not ticker.is_finite() or ticker <= 0:
            raise InputError(
                "the row has no usable raw_ticker_price",
                remedy='decide by hand, or set lamassu.split_method = "recorded"',
            )
        principal = round(exact(fiat, "fiat") / exact(ticker, "raw_ticker_price") * SATS_PER_BTC)
        # Machines round coins to 100 sats, so a fully discounted commission can come out slightly negative.
        commission_sats = max(0, total_sats - principal)
        fraction = Fraction(commission_sats, total_sats)
    charge_minor = fiat_minor if charge is Charge.DISPENSED else fiat_minor - round(fiat_minor * fraction)
    return Split(
        total_sats=total_sats,
        principal_sats=total_sats - commission_sats,
        commission_sats=commission_sats,
        charge_minor=charge_minor,
        commission_fraction=fraction,
    )
