"""What clients read in their wallets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.domain.money import MAX_SATS
from dca_daemon.payouts.memo import Purchase, memo

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_one_purchase() -> None:
    found = memo([Purchase(12345, 9810, "GTQ", NOON)])
    assert found == "DCA 12,345 sats for 98.10 GTQ (794,653.71 GTQ/BTC), 2026-11-22"


def test_several_purchases_are_summed() -> None:
    found = memo([Purchase(1000, 800, "GTQ", NOON), Purchase(3000, 2400, "GTQ", NOON - timedelta(days=2))])
    assert found == "DCA 4,000 sats for 32.00 GTQ (800,000.00 GTQ/BTC), 2 purchases, 2026-11-20 to 2026-11-22"


def test_several_of_one_day_name_it_once() -> None:
    assert memo([Purchase(1, 1, "GTQ", NOON)] * 3).endswith("3 purchases, 2026-11-22")


def test_several_currencies_have_no_common_price() -> None:
    found = memo([Purchase(1000, 800, "GTQ", NOON), Purchase(1, 800, "EUR", NOON)])
    assert found == "DCA 1,001 sats, 2 purchases, 2026-11-22"


def test_a_single_sat_and_a_currency_without_minor_unit() -> None:
    assert memo([Purchase(1, 15, "JPY", NOON)]) == "DCA 1 sat for 15 JPY (1,500,000,000 JPY/BTC), 2026-11-22"


def test_days_are_utc() -> None:
    guatemala = timezone(timedelta(hours=-6))
    assert memo([Purchase(1, 1, "GTQ", datetime(2026, 11, 21, 23, tzinfo=guatemala))]).endswith("2026-11-22")


purchases = st.builds(
    Purchase,
    sats=st.integers(1, MAX_SATS),
    fiat_minor=st.integers(0, 10**15),
    currency=st.sampled_from(["GTQ", "EUR", "JPY"]),
    happened_at=st.datetimes(timezones=st.just(UTC)),
)


@given(st.lists(purchases, min_size=1, max_size=20))
def test_it_always_fits_into_lnbits_field(of: list[Purchase]) -> None:
    assert len(memo(of)) <= 200


def test_commission_and_corrections_were_not_bought() -> None:
    commission = Purchase(200, 0, "GTQ", NOON, commission=True)
    correction = Purchase(50, 0, "GTQ", NOON)
    assert memo([commission, commission]) == "DCA commission 400 sats, 2026-11-22"
    assert memo([correction]) == "DCA 50 sats without a price, 2026-11-22"
    found = memo([Purchase(1000, 800, "GTQ", NOON), commission, correction], credit_sats=7)
    assert found == (
        "DCA 1,000 sats for 8.00 GTQ (800,000.00 GTQ/BTC), commission 200 sats, 50 sats without a price,"
        " 2026-11-22, less 7 sats that were paid before"
    )
