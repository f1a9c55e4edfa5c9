"""What a client sees of its own account, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dca_daemon.domain.fixed import Rate, RateSource
from dca_daemon.domain.money import fiat_value
from dca_daemon.ledger.db import Database
from dca_daemon.services import (
    adjustments,
    cash,
    client_account,
    client_series,
    deposits,
    fixed_amounts,
    reversals,
)
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.reports import clients as reports
from tests.services.builders import client, sql, success, value
from tests.services.fixed_bench import Bench

NOON = datetime(2026, 11, 1, 12, 2, tzinfo=UTC)


def rate(price: str, at: datetime = NOON) -> Rate:
    return Rate(Decimal(price), RateSource.LNBITS, at, at + timedelta(minutes=5))


async def test_a_client_of_two_currencies_with_all_that_happens(books: Database) -> None:
    ana = await client(books, "20000")
    bea = await client(books, "5000")
    await sql(books, "INSERT INTO pool (id, name, currency) VALUES (2, 'Tokyo', 'JPY')")
    await sql(books, "INSERT INTO machine (device_id, name, pool_id) VALUES ('tokyo', 'Tokyo', 2)")
    yen = await deposits.record(
        books, client=str(ana), amount="90000", currency=None, note=None, actor="test", pool="Tokyo"
    )
    await deposits.confirm(books, yen.deposit_id, actor="test")
    await deposits.record(books, client=str(ana), amount="700", currency=None, note="x", actor="test")
    intake = Intake(books, IntakeConfig())
    await intake.process([success()])  # 4000 GTQ, 512,400 sats: 3780 and 484,218 to share, 4 of 5 parts to Ana
    later = NOON + timedelta(days=1)
    await intake.process([success(fiat=Decimal(1000), crypto_atoms=Decimal(120_000), dispensed_at=later)])
    await intake.process(
        [
            success(
                fiat=Decimal(5000),
                fiat_code="JPY",
                device_id="tokyo",
                crypto_atoms=Decimal(70_000),
                dispensed_at=later,
            )
        ]
    )
    await intake.process([success(dispensed_at=later)])
    await reversals.reverse(
        books, await value(books, "SELECT max(id) FROM distribution"), reason="wrong", actor="test"
    )
    for change in ({"sats": "+1500"}, {"sats": "-200"}, {"fiat": "-10"}):
        await adjustments.apply(books, adjustments.Wish(client=str(ana), reason="test", **change), actor="test")
    await cash.give_back(books, client=str(ana), amount="90", machine=None, pool=None, reason="x", actor="test")

    account = await client_account.of(books, ana)
    gtq, jpy = account.currencies
    # What is kept is what the records come to.
    summed, _ = await reports.one_client(books, str(ana))
    for kept, report in zip(account.currencies, summed, strict=True):
        assert asdict(kept).items() <= asdict(report).items()
    # 302,400 + 75,600 minor units; 387,374 + 90,720 sats.
    assert (gtq.converted_minor, gtq.bought_sats, gtq.purchases) == (378_000, 478_094, 2)
    assert (gtq.deposited_minor, gtq.pending_minor) == (2_000_000, 70_000)
    assert (gtq.given_back_minor, gtq.adjusted_minor) == (9_000, -1_000)
    assert gtq.left_minor == 2_000_000 - 378_000 - 9_000 - 1_000
    # 70,000 sats less 5.5 % (3850), for 5000 yen less 5.5 % (275).
    assert (jpy.converted_minor, jpy.bought_sats, jpy.left_minor) == (4725, 66_150, 90_000 - 4725)
    assert account.stacked_sats == 478_094 + 66_150 + 1500 - 200
    assert (account.bought_sats, account.corrected_sats, account.commission_sats) == (544_244, 1300, 0)
    assert (account.sats.owed_sats, account.sats.credit_sats) == (545_744, 200)
    assert [(b.pool, b.balance_minor, b.pending_minor) for b in account.balances] == [
        ("default", gtq.left_minor, 70_000),
        ("Tokyo", 85_275, 0),
    ]
    # 3780.00 GTQ for 478,094 sats: 790,639.497… a bitcoin.
    assert client_account.average_price(gtq) == Decimal("790639.50")
    worth = client_account.worth(gtq, rate("800000"))
    assert (worth.value_minor, worth.gain_minor) == (382_475, 4_475)  # 3824.752 GTQ
    assert worth.gain_percent == Decimal("1.18")  # 4475 / 378,000 = 1.1838… %
    assert worth.rate_at == NOON.replace(minute=0)
    loss = client_account.worth(jpy, rate("7000000"))
    assert (loss.value_minor, loss.gain_minor) == (4630, -95)  # 4630.5 yen, to the even one
    assert loss.gain_percent == Decimal("-2.01")

    found = await client_account.purchases(books, ana)
    assert [(p.kind, p.sats, p.fiat_minor, p.currency, p.state) for p in found] == [
        ("adjustment", 1500, 0, "GTQ", "owed"),
        ("cash-out", 387_374, 302_400, "GTQ", "reversed"),
        ("cash-out", 66_150, 4725, "JPY", "owed"),
        ("cash-out", 90_720, 75_600, "GTQ", "owed"),
        ("cash-out", 387_374, 302_400, "GTQ", "owed"),
    ]
    assert found[1].reversed_at is not None and found[-1].happened_at == NOON
    further = await client_account.purchases(books, ana, limit=2, after=found[1].record_id)
    assert [p.record_id for p in further] == [p.record_id for p in found[2:4]]
    stacked = (await client_series.series(books, str(ana))).stacked
    assert stacked[-1].sats == account.stacked_sats
    other = await client_account.of(books, bea)
    assert (other.stacked_sats, len(await client_account.purchases(books, bea))) == (
        96_844 + 22_680,
        3,
    )


async def test_a_client_of_fixed_mode(books: Database) -> None:
    bench = Bench(books, "2026-11-01 13:00")
    await bench.schedule("08:00", "18:00", most="400")
    carl = await bench.buyer("300", "1000", own_max="350")
    await bench.look("2026-11-01 14:00")  # 8 o'clock there: 150 GTQ at 800,000
    await bench.look("2026-11-02 00:00")
    account = await client_account.of(books, carl)
    (gtq,) = account.currencies
    assert (gtq.converted_minor, gtq.bought_sats, gtq.left_minor) == (30_000, 37_500, 70_000)
    assert client_account.average_price(gtq) == Decimal(800_000)
    (terms,) = account.fixed
    assert (terms.daily_minor, terms.max_minor) == (30_000, 35_000)
    assert (terms.times, terms.zone) == (("08:00", "18:00"), "America/Guatemala")
    assert {p.kind for p in await client_account.purchases(books, carl)} == {"fixed"}
    dora = await client(books, "50")
    (before,) = (await client_account.of(books, dora)).fixed
    assert (before.daily_minor, before.max_minor) == (None, 40_000)
    await fixed_amounts.change(books, str(dora), per_day="0", actor="test")
    nothing = await client_account.of(books, await client(books))
    assert (nothing.stacked_sats, nothing.currencies, nothing.balances, nothing.fixed) == (0, (), (), ())


def test_what_sats_are_worth() -> None:
    assert fiat_value(100_000_000, Decimal("812345.67"), "GTQ") == 81_234_567
    assert fiat_value(1, Decimal(1_000_000), "GTQ") == 1
    assert [fiat_value(sats, Decimal(500_000), "GTQ") for sats in (1, 3, 5)] == [0, 2, 2]  # half to even
    assert fiat_value(1000, Decimal(10_000_000), "JPY") == 100
