"""Reports say what the books hold; nothing is summed across currencies; what was reversed is shown apart."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from dca_daemon.domain.errors import BooksError, NotFoundError
from dca_daemon.ledger import journal
from dca_daemon.ledger.accounts import Account
from dca_daemon.ledger.db import Database, scalar
from dca_daemon.ledger.postings.reversal import reversal
from dca_daemon.services import deposits, treasury
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.reports import clients as reports
from dca_daemon.services.reports.periods import By, CurrencyPeriod, PeriodReport, periods
from tests.ledger.filled import fill
from tests.services.builders import client, sql, success, value

GUATEMALA = ZoneInfo("America/Guatemala")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


async def cash_out(db: Database, at: datetime, fiat: str = "1000", sats: int = 128_100) -> None:
    row = success(fiat=Decimal(fiat), crypto_atoms=Decimal(sats), dispensed_at=at)
    await Intake(db, IntakeConfig()).process([row])


async def only(db: Database, client_id: int, **span: datetime) -> reports.ClientReport:
    (report,) = (await reports.one_client(db, str(client_id), **span))[0]
    return report


async def test_one_client(books: Database) -> None:
    ana = await client(books, "20000")
    await client(books, "5000")
    await cash_out(books, NOON, "4000", 512_400)
    await cash_out(books, NOON + timedelta(days=1), "1000", 120_000)
    report = await only(books, ana)
    assert (report.deposited_minor, report.converted_minor) == (2_000_000, 302_400 + 75_600)
    assert report.left_minor == 2_000_000 - 378_000 and report.purchases == 2
    assert report.bought_sats == 387_374 + 90_720
    assert report.largest and (report.largest.fiat_minor, report.largest.sats) == (302_400, 387_374)
    assert report.largest.happened_at == NOON
    assert report.last and report.last.happened_at == NOON + timedelta(days=1)
    lines = [line async for line in reports.record_lines(books, str(ana))]
    assert [line.sats for line in lines] == [90_720, 387_374]
    (_, sats) = await reports.one_client(books, str(ana))
    assert sats.owed_sats == report.bought_sats and sats.commission_owed_sats == 0


async def test_a_part_of_the_time_begins_with_what_was_there_before(books: Database) -> None:
    ana = await client(books, "20000")
    await sql(books, "UPDATE deposit SET confirmed_at = :at", at=NOON - timedelta(days=9))
    for n in range(3):
        await cash_out(books, NOON + timedelta(days=n))
    whole = await only(books, ana)
    cut = NOON + timedelta(days=1)
    first, second = await only(books, ana, until=cut), await only(books, ana, since=cut)
    assert first.before_minor == 0 and second.before_minor == first.left_minor
    assert second.left_minor == whole.left_minor
    assert (first.purchases, second.purchases) == (1, 2)
    assert first.converted_minor + second.converted_minor == whole.converted_minor
    middle = await only(books, ana, since=cut, until=cut + timedelta(days=1))
    assert (middle.purchases, middle.deposited_minor) == (1, 0)
    assert len([1 async for _ in reports.record_lines(books, str(ana), since=cut)]) == 2


async def test_all_clients_are_the_same_as_each_by_itself(books: Database) -> None:
    ids = await fill(books)
    every = {report.client_id: report for report in await reports.all_clients(books)}
    assert set(every) == {ids.a, ids.b}  # c has nothing to tell
    for client_id, report in every.items():
        assert report == await only(books, client_id)
    await sql(books, "UPDATE client SET mode = 'fixed' WHERE id = :a", a=ids.a)
    assert len(await reports.all_clients(books)) == 2
    with pytest.raises(NotFoundError):
        await reports.one_client(books, "nobody")


async def test_currencies_are_never_summed(books: Database) -> None:
    ana = await client(books, "20000")
    await sql(books, "INSERT INTO pool (id, name, currency) VALUES (2, 'Tokyo', 'JPY')")
    await sql(books, "INSERT INTO machine (device_id, name, pool_id) VALUES ('tokyo', 'Tokyo', 2)")
    await sql(books, "INSERT INTO deposit (client_id, pool_id, amount_minor) VALUES (:a, 2, 90000)", a=ana)
    await deposits.confirm(books, await value(books, "SELECT max(id) FROM deposit"), actor="test")
    yen = success(fiat=Decimal(5000), fiat_code="JPY", device_id="tokyo", crypto_atoms=Decimal(70_000))
    await Intake(books, IntakeConfig()).process([success(), yen])
    found = (await reports.one_client(books, str(ana)))[0]
    assert [(r.currency, r.deposited_minor) for r in found] == [("GTQ", 2_000_000), ("JPY", 90_000)]
    assert [(r.converted_minor, r.left_minor) for r in found] == [(378_000, 1_622_000), (4725, 85_275)]
    report = await periods(books, by=By.MONTH, zone=GUATEMALA)
    assert [(p.currency, p.fiat_minor) for p in report.currencies] == [("GTQ", 400_000), ("JPY", 5000)]


def totals(report: PeriodReport) -> dict[str, int]:
    names = [name for name in CurrencyPeriod.__slots__ if name not in ("period", "currency")]
    return {name: sum(getattr(p, name) for p in report.currencies) for name in names}


async def test_periods_add_up_to_the_same_whatever_their_length(books: Database) -> None:
    await fill(books)
    for hours in (0, 20, 40, 200, 900):
        await cash_out(books, NOON + timedelta(hours=hours))
    found = {by: await periods(books, by=by, zone=GUATEMALA) for by in By}
    assert totals(found[By.DAY]) == totals(found[By.WEEK]) == totals(found[By.MONTH])
    assert len(found[By.DAY].currencies) == 4 and len(found[By.MONTH].currencies) == 2
    assert all(p.period.weekday() == 0 for p in found[By.WEEK].currencies)
    for report in found.values():
        house = sum(s.house_net_msat for s in report.sats)
        assert house == (await treasury.show(books, reserve_sats=0, zone=GUATEMALA)).totals.kept_msat
    cash = await value(books, "SELECT -balance FROM account WHERE name = 'house:fiat:1'")
    assert totals(found[By.DAY])["clients_minor"] > 0
    assert sum(p.house_minor for p in found[By.DAY].currencies) == cash


async def test_commission_is_told_by_receiver_and_apart_from_what_is_bought(books: Database) -> None:
    """What no balance covers, and commission that is shared, gathered here: as the service for it leaves it."""
    ana = await client(books, "1000")
    await cash_out(books, NOON, "4000", 512_400)
    async with books.transaction() as conn:
        await conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        await conn.exec_driver_sql(
            "UPDATE distribution SET commission_shared_sats = 999, commission_version_id = 1"
        )
        await conn.exec_driver_sql(
            "INSERT INTO distribution_record (distribution_id, client_id, type, sats, fiat_minor, state)"
            f" SELECT id, {ana}, 'commission', 999, 0, 'gathered' FROM distribution"
        )
        for name, msat in (("house:sats", 999_000), (f"client:{ana}:payable", -999_000)):
            await conn.exec_driver_sql(f"UPDATE account SET balance = balance + {msat} WHERE name = '{name}'")
    report = await periods(books, by=By.DAY, zone=GUATEMALA)
    (day,) = report.currencies
    assert (day.commission_sats, day.commission_shared_sats, day.commission_house_sats) == (28_182, 999, 27_183)
    assert day.uncovered_sats == 484_218 - day.clients_sats > 0
    assert [(c.client_id, c.sats) for c in report.commission] == [(ana, 999)]
    seen = (await treasury.show(books, reserve_sats=0, zone=GUATEMALA, since=NOON)).totals
    assert seen.owed.gathered_sats == 999
    assert sum(s.house_net_msat for s in report.sats) == seen.kept_msat
    found, sats = await reports.one_client(books, str(ana))
    assert found[0].bought_sats == day.clients_sats == sats.owed_sats
    assert (found[0].purchases, sats.commission_gathered_sats) == (1, 999)


async def test_a_days_end_is_the_zones(books: Database) -> None:
    await client(books, "20000")
    await cash_out(books, datetime(2026, 11, 2, 5, tzinfo=UTC))  # 23:00 of the day before in Guatemala
    by_zone = {}
    for name in ("UTC", GUATEMALA.key):
        by_zone[name] = (await periods(books, by=By.DAY, zone=ZoneInfo(name))).currencies[0].period
    assert by_zone == {"UTC": date(2026, 11, 2), GUATEMALA.key: date(2026, 11, 1)}
    nothing = await periods(books, by=By.DAY, zone=GUATEMALA, since=datetime(2026, 11, 2, 6, tzinfo=UTC))
    assert nothing.currencies == ()


async def test_what_was_reversed_counts_nowhere_and_is_shown(books: Database) -> None:
    ana = await client(books, "20000")
    await cash_out(books, NOON)
    await cash_out(books, NOON)
    before = await only(books, ana)
    await take_back(books, await value(books, "SELECT max(id) FROM distribution"))
    report = await only(books, ana)
    assert (report.purchases, report.reversed_records) == (1, 1)
    assert report.converted_minor * 2 == before.converted_minor
    (month,) = (await periods(books, by=By.MONTH, zone=GUATEMALA)).currencies
    assert (month.cash_outs, month.reversed, month.sats, month.reversed_sats) == (1, 1, 128_100, 128_100)
    assert (await treasury.show(books, reserve_sats=0, zone=GUATEMALA)).totals.received_msat == 128_100_000


async def take_back(db: Database, distribution_id: int) -> None:
    """As the service for it does: mirror image in the journal, records reversed."""
    async with db.transaction() as conn:
        entry = await scalar(conn, "SELECT entry_id FROM distribution WHERE id = :id", id=distribution_id)
        found = (
            await conn.exec_driver_sql(
                "SELECT a.name, a.unit, a.kind, a.purpose, a.guarded, a.client_id, a.pool_id, p.amount"
                f"  FROM posting p JOIN account a ON a.id = p.account_id WHERE p.entry_id = {entry}"
            )
        ).all()
        lines = tuple(
            journal.Line(Account(r.name, r.unit, r.kind, r.purpose, r.guarded, r.client_id, r.pool_id), r.amount)
            for r in found
        )
        taken = reversal(entry_id=entry, reversed_lines=lines, happened_at=NOON, actor="test", cause="test")
        (back,) = await journal.post(conn, [taken])
        await conn.exec_driver_sql(
            f"UPDATE distribution SET reversed_at = now(), reversal_entry_id = {back} WHERE id = {distribution_id}"
        )
        await conn.exec_driver_sql(
            f"UPDATE distribution_record SET state = 'reversed' WHERE distribution_id = {distribution_id}"
        )


async def test_a_balance_that_the_records_do_not_explain_is_no_report(books: Database) -> None:
    ana = await client(books, "20000")
    async with books.transaction() as conn:
        await conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        await conn.exec_driver_sql("UPDATE account SET balance = balance + 1 WHERE purpose = 'client-fiat'")
    with pytest.raises(BooksError, match=f"client {ana} has"):
        await reports.one_client(books, str(ana))
