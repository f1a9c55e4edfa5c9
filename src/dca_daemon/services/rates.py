"""What a bitcoin costs: LNbits' own rate, else the ticker of the latest cash-out, each for a time only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from dca_daemon.domain.errors import InputError, NoRateError, WalletError
from dca_daemon.domain.fixed import Rate, RateSource, usable_price
from dca_daemon.ledger.db import Database, rows


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class PriceFeed(Protocol):
    """Who is asked first: `payouts.lnbits_rates.LnbitsRates`."""

    async def fiat_per_btc(self, currency: str) -> Decimal:
        """What a bitcoin costs now. Raises `WalletError`."""


@dataclass(frozen=True, slots=True)
class RatesConfig:
    """How old a rate may be when it is booked, and how far LNbits' may be from the latest ticker."""

    lnbits_max_age_seconds: float = 300
    ticker_max_age_seconds: float = 86_400
    max_deviation_percent: float = 15


class Rates:
    """Asks anew each time."""

    def __init__(
        self, db: Database, feed: PriceFeed, config: RatesConfig, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._db = db
        self._feed = feed
        self._config = config
        self._now = now

    async def current(self, currency: str) -> Rate:
        """The rate to buy at. Raises `NoRateError` with the reasons, or `DatabaseError`."""
        ticker = await self._ticker(currency)
        at = self._now()
        try:
            price = await self._feed.fiat_per_btc(currency)
        except WalletError as error:
            if ticker is not None:
                return ticker
            raise NoRateError(
                f"there is no fresh rate for {currency}: {error.message}; "
                f"no cash-out in {currency} within {_span(self._config.ticker_max_age_seconds)}",
                remedy=error.remedy or "it is tried again; see docs/fixed-mode.md",
            ) from error
        rate = Rate(price, RateSource.LNBITS, at, at + timedelta(seconds=self._config.lnbits_max_age_seconds))
        if ticker is not None:
            self._refuse_contradiction(rate, ticker, currency)
        return rate

    async def _ticker(self, currency: str) -> Rate | None:
        """The price at which the latest successful cash-out was made: as old as the row, not as its dispense."""
        now = self._now()
        max_age = timedelta(seconds=self._config.ticker_max_age_seconds)
        async with self._db.transaction() as conn:
            found = await rows(conn, _TICKERS, currency=currency, since=now - max_age)
        for row in found:
            try:
                price = usable_price(row.raw_ticker_price)
            except InputError:  # a bad row of the source: the one before may be better
                continue
            rate = Rate(price, RateSource.TICKER, row.created_at, row.created_at + max_age)
            if rate.fresh(now):
                return rate
        return None

    def _refuse_contradiction(self, rate: Rate, ticker: Rate, currency: str) -> None:
        """Raises `NoRateError` when the two are so far apart that one of them must be wrong."""
        apart = abs(Fraction(rate.fiat_per_btc) / Fraction(ticker.fiat_per_btc) - 1) * 100
        if apart > Fraction(self._config.max_deviation_percent):
            raise NoRateError(
                f"LNbits says that a bitcoin costs {rate.fiat_per_btc:,.2f} {currency}, the latest cash-out "
                f"{ticker.fiat_per_btc:,.2f} ({ticker.at:%Y-%m-%d %H:%M} UTC)",
                remedy="find out which is wrong; how far apart they may be is fixed.max_deviation_percent",
            )


# By the index on happened_at: a cash-out is made before its notes come out.
_TICKERS = """
    SELECT raw_ticker_price, created_at FROM cash_out
     WHERE happened_at >= :since AND created_at >= :since AND dispense_confirmed
       AND source <> 'manual' AND fiat_code = :currency AND crypto_code IN ('BTC', 'LN')
       AND raw_ticker_price IS NOT NULL
     ORDER BY created_at DESC LIMIT 5"""


def _span(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"
