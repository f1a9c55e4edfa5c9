"""What a Fixed Mode client buys at one slot of its schedule, and what that is in sats.

Nothing is bought that the day's amount, the operator's maximum, and the client's balance do not all allow; and
never more sats than the fiat pays for at the rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from fractions import Fraction

from dca_daemon.domain.allocation import Share
from dca_daemon.domain.cash_out import MAX_CASH_OUT_SATS
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import SATS_PER_BTC, exact, minor_digits
from dca_daemon.domain.schedule import DailyTimes, Slot
from dca_daemon.domain.text import plain

DEFAULT_MAX_UNITS = 2_000  # a day, where the operator has set nothing else
_LEAST_PER_BTC, _MOST_PER_BTC = Decimal(1), Decimal(10) ** 15  # fiat: any currency's price lies far within
_PLACES = Decimal("1e-8")
GRACE = timedelta(minutes=15)  # how late a slot is still run where missed ones are skipped
# How far ahead of ours another clock may be, of what it says to be new.
_AHEAD = timedelta(minutes=5)


class Missed(StrEnum):
    """What becomes of a slot that nobody ran at its time."""

    CATCH_UP = "catch-up"
    SKIP = "skip"


def open_until(times: DailyTimes, slot: Slot, missed: Missed) -> datetime:
    """Until when a slot that was not run at its time may still be: with catch-up until the date after it ends."""
    if missed is Missed.SKIP:
        return slot.due_at + GRACE
    return times.end_of(slot.local_date + timedelta(days=1))


class RunState(StrEnum):
    """What became of a slot."""

    DONE = "done"
    NOTHING = "nothing"  # it was its time, and nobody had anything to buy for
    SKIPPED = "skipped"  # with the reason


class RateSource(StrEnum):
    """Who said what a bitcoin costs."""

    LNBITS = "lnbits"
    TICKER = "ticker"  # the latest cash-out's raw_ticker_price


@dataclass(frozen=True, slots=True)
class Rate:
    """What a bitcoin costs, in units of a currency; who said so, when, and until when that counts."""

    fiat_per_btc: Decimal
    source: RateSource
    at: datetime
    fresh_until: datetime

    def fresh(self, now: datetime) -> bool:
        """Whether it may still be used. One from the future is a clock's fault, and may not."""
        return self.at - _AHEAD <= now <= self.fresh_until


@dataclass(frozen=True, slots=True)
class Buyer:
    """A client at one slot, in minor units: `bought_minor` is what it has bought for on that date already."""

    client_id: int
    balance_minor: int
    daily_minor: int
    max_minor: int
    bought_minor: int = 0


def usable_price(fiat_per_btc: Decimal) -> Decimal:
    """The price to eight places. Raises `InputError` for what can't be the price of a bitcoin."""
    if not fiat_per_btc.is_finite() or not _LEAST_PER_BTC <= fiat_per_btc <= _MOST_PER_BTC:
        raise InputError(f"{plain(fiat_per_btc)} is not what a bitcoin costs")
    exact(fiat_per_btc, "the price")
    return fiat_per_btc.quantize(_PLACES, rounding=ROUND_HALF_EVEN)


def slot_share(daily_minor: int, number: int, count: int) -> int:
    """Slot `number` of `count`, from 1 on: its part of the day's amount. The parts add up to it."""
    assert daily_minor >= 0 and 1 <= number <= count
    return daily_minor * number // count - daily_minor * (number - 1) // count


def amount_minor(buyer: Buyer, number: int, count: int) -> int:
    """What a client buys for at a slot, in minor units."""
    day_minor = min(buyer.daily_minor, buyer.max_minor)
    left_minor = day_minor - buyer.bought_minor
    return max(0, min(slot_share(day_minor, number, count), left_minor, buyer.balance_minor))


def sats_for(minor: int, fiat_per_btc: Decimal, currency: str) -> int:
    """The whole sats that so many minor units buy, rounded down."""
    units = Fraction(minor, 10 ** minor_digits(currency))
    return int(units * SATS_PER_BTC / exact(fiat_per_btc, "the price"))


def purchases(
    buyers: list[Buyer], *, number: int, count: int, fiat_per_btc: Decimal, currency: str
) -> tuple[Share, ...]:
    """What each client gets at a slot, by client id. Who can't buy a single sat is left out, and not charged.

    Raises `InputError` where the price makes an amount absurd.
    """
    shares: list[Share] = []
    for buyer in sorted(buyers, key=lambda one: one.client_id):
        minor = amount_minor(buyer, number, count)
        sats = sats_for(minor, fiat_per_btc, currency)
        if sats > MAX_CASH_OUT_SATS:
            raise InputError(f"at {fiat_per_btc} {currency} per BTC a client would buy {sats} sats")
        if sats:
            shares.append(Share(buyer.client_id, sats, minor))
    return tuple(shares)
