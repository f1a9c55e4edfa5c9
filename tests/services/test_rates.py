"""Which rate is used: LNbits', else the latest cash-out's ticker; each for a time, and not if they contradict."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dca_daemon.domain.errors import NoRateError
from dca_daemon.domain.fixed import RateSource
from dca_daemon.ledger.db import Database
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.rates import Rates, RatesConfig
from tests.services.builders import sql, success
from tests.services.fixed_bench import Feed, at

NOW = at("2026-11-01T14:00")


async def cash_out(books: Database, ticker: str | None, made: str, **more: Any) -> None:
    created = at(f"2026-11-01T{made}")
    row = success(
        raw_ticker_price=None if ticker is None else Decimal(ticker),
        created=created,
        dispensed_at=created + timedelta(minutes=5),
        **more,
    )
    await Intake(books, IntakeConfig()).process([row])


def rates(books: Database, feed: Feed, **config: float) -> Rates:
    return Rates(books, feed, RatesConfig(**config), now=lambda: NOW)


async def test_lnbits_comes_first(books: Database) -> None:
    await cash_out(books, "826091.28", "13:00")
    rate = await rates(books, Feed(Decimal("830000.5"))).current("GTQ")
    assert (rate.fiat_per_btc, rate.source, rate.at) == (Decimal("830000.5"), RateSource.LNBITS, NOW)
    assert rate.fresh_until == NOW + timedelta(seconds=300)


async def test_else_the_latest_successful_cash_out_in_that_currency(books: Database) -> None:
    await cash_out(books, "826091.28", "12:00")
    await cash_out(books, "1", "13:01", dispense_confirmed=False)
    await cash_out(books, "2", "13:02", crypto_code="ETH")
    await cash_out(books, "3", "13:03", fiat_code="USD")
    await cash_out(books, None, "13:04")
    await cash_out(books, "0", "13:05")
    await cash_out(books, "825000", "11:00", external_id="00000000-0000-4000-8000-000000000001")
    rate = await rates(books, Feed(None)).current("GTQ")
    assert (rate.fiat_per_btc, rate.source) == (Decimal("826091.28"), RateSource.TICKER)
    assert rate.at == at("2026-11-01T12:00"), "when the price was made, not when the notes came out"
    assert rate.fresh_until == at("2026-11-02T12:00")


async def test_a_ticker_that_is_too_old_or_from_the_future_is_none(books: Database) -> None:
    await cash_out(books, "826091.28", "12:00")
    with pytest.raises(NoRateError, match="LNbits knows no rate for GTQ; no cash-out in GTQ within 1 h"):
        await rates(books, Feed(None), ticker_max_age_seconds=3600).current("GTQ")
    with pytest.raises(NoRateError, match="within 60 s"):
        await rates(books, Feed(None), ticker_max_age_seconds=60).current("GTQ")
    await sql(books, "UPDATE cash_out SET created_at = created_at + interval '2 hours 6 minutes'")
    with pytest.raises(NoRateError):
        await rates(books, Feed(None)).current("GTQ")
    with pytest.raises(NoRateError):
        await rates(books, Feed(None)).current("EUR")


@pytest.mark.parametrize(
    ("price", "good"), [("920000", True), ("680000", True), ("920000.01", False), ("6800", False)]
)
async def test_two_that_contradict_each_other_are_none(books: Database, price: str, good: bool) -> None:
    await cash_out(books, "800000", "13:00")
    asked = rates(books, Feed(Decimal(price)))
    if good:
        assert (await asked.current("GTQ")).source is RateSource.LNBITS
        return
    with pytest.raises(NoRateError, match=r"the latest cash-out 800,000\.00"):
        await asked.current("GTQ")
    rate = await rates(books, Feed(Decimal(price)), max_deviation_percent=1000).current("GTQ")
    assert rate.fiat_per_btc == Decimal(price)
