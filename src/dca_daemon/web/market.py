"""What a bitcoin costs, as pages ask it: LNbits gets a moment to answer.

What was found is kept for two minutes, so that what a preview showed is still true when it is confirmed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from dca_daemon.domain.errors import NoRateError, WalletUnreachableError
from dca_daemon.domain.fixed import Rate
from dca_daemon.runtime.wiring import rates_config
from dca_daemon.services.rates import PriceFeed, Rates, utc_now
from dca_daemon.web.desk import Desk

PATIENCE_SECONDS = 3.0
HELD = timedelta(minutes=2)
NONE_HELD = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class HeldRate:
    """A rate, or why there was none, and when it was asked for."""

    rate: Rate | NoRateError
    asked_at: datetime

    def is_new(self, now: datetime, span: timedelta) -> bool:
        """Whether it was asked for so recently; never where the clock went back."""
        return timedelta(0) <= now - self.asked_at < span


class MarketRates(Rates):
    """The daemon's rates, with little patience. A rate that is too old to be booked is never kept longer."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.db, _Hurried(desk.prices), rates_config(desk.settings))
        self._held = desk.held_rates

    async def current(self, currency: str) -> Rate:
        """Raises `NoRateError` or `DatabaseError`."""
        held, now = self._held.get(currency), utc_now()
        rate = None if held is None or not held.is_new(now, HELD) else held.rate
        if isinstance(rate, Rate) and rate.fresh(now):
            return rate
        rate = await super().current(currency)
        self._held[currency] = HeldRate(rate, now)
        return rate

    async def found(self, currency: str) -> Rate | NoRateError:
        """The same; why there is none is an answer too."""
        try:
            return await self.current(currency)
        except NoRateError as error:
            return error

    async def known(self, currency: str) -> Rate | None:
        """The same for who only wants to show it: nobody waits again for what nobody could tell a moment ago."""
        held, now = self._held.get(currency), utc_now()
        if held is not None and isinstance(held.rate, NoRateError) and held.is_new(now, NONE_HELD):
            return None
        try:
            return await self.current(currency)
        except NoRateError as error:
            self._held[currency] = HeldRate(error, utc_now())
            return None


class _Hurried:
    def __init__(self, feed: PriceFeed) -> None:
        self._feed = feed

    async def fiat_per_btc(self, currency: str) -> Decimal:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._feed.fiat_per_btc(currency)
        except TimeoutError:
            raise WalletUnreachableError(f"LNbits told no rate within {PATIENCE_SECONDS:g} s") from None
