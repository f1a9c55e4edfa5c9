"""What a client reads in its wallet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dca_daemon.domain.money import fiat_per_btc, fiat_text, sats_text


@dataclass(frozen=True, slots=True)
class Purchase:
    """What one distribution record bought, and when. Commission and corrections were not bought."""

    sats: int
    fiat_minor: int
    currency: str
    happened_at: datetime
    commission: bool = False


def memo(purchases: Sequence[Purchase], *, credit_sats: int = 0) -> str:
    """`DCA 12,345 sats for 98.10 GTQ (794,653.71 GTQ/BTC), 2026-11-22`, or the sum of several purchases.

    `credit_sats` of them were paid before, ahead of the books. Dates are UTC. At most about 200 characters;
    LNbits takes 640.
    """
    text = _memo(purchases)
    return f"{text}, less {sats_text(credit_sats)} that were paid before" if credit_sats else text


def _memo(purchases: Sequence[Purchase]) -> str:
    days = sorted({p.happened_at.astimezone(UTC).strftime("%Y-%m-%d") for p in purchases})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    bought = [p for p in purchases if p.fiat_minor]
    commission_sats = sum(p.sats for p in purchases if p.commission)
    corrected_sats = sum(p.sats for p in purchases if not p.fiat_minor and not p.commission)
    parts = [
        *([_bought(bought)] if bought else []),
        *([f"commission {sats_text(commission_sats)}"] if commission_sats else []),
        *([f"{sats_text(corrected_sats)} without a price"] if corrected_sats else []),
    ]
    return f"DCA {', '.join(parts)}, {when}"


def _bought(purchases: Sequence[Purchase]) -> str:
    sats = sum(p.sats for p in purchases)
    many = f", {len(purchases)} purchases" if len(purchases) > 1 else ""
    currencies = {p.currency for p in purchases}
    if len(currencies) != 1:
        return f"{sats_text(sats)}{many}"
    currency = currencies.pop()
    minor = sum(p.fiat_minor for p in purchases)
    price = fiat_per_btc(sats, minor, currency)
    assert price is not None
    return f"{sats_text(sats)} for {fiat_text(minor, currency)} ({price:,} {currency}/BTC){many}"
