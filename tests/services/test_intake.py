"""Cash-outs into the books: once, whole, and whatever the row looks like."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.ledger import accounts, journal
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.journal import Entry, lines
from dca_daemon.ledger.verify import verify
from dca_daemon.services import cash_outs, clients
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import client, success, value


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def test_the_worked_row_is_split_and_shared_to_the_last_sat(books: Database) -> None:
    first = await client(books, "20000")
    second = await client(books, "10000")
    row = success()
    result = await Intake(books, IntakeConfig()).process([row])
    assert len(result.distributed) == 1
    view = await cash_outs.show(books, row.external_id)
    assert view.split is not None
    assert (view.split.commission_sats, view.split.principal_sats) == (28182, 484218)
    assert view.split.charge_minor == 378000  # 4000 less 5.5 %
    assert [(s.client_id, s.sats, s.fiat_minor) for s in view.shares] == [
        (first, 322812, 252000),
        (second, 161406, 126000),
    ]
    assert [e["event"] for e in view.log] == ["seen", "booked"]
    assert view.summary.state is CashOutState.DISTRIBUTED
    assert (await clients.show(books, str(first))).balances[0].balance_minor == 2000000 - 252000
    await assert_books_hold(books)


async def test_charging_the_dispensed_notes_makes_the_price_the_tickers(books: Database) -> None:
    await client(books, "20000")
    row = success()
    await Intake(books, IntakeConfig(charge=Charge.DISPENSED)).process([row])
    view = await cash_outs.show(books, row.external_id)
    assert view.split is not None and view.split.clients_minor == 400000 and view.split.house_minor == 0


async def test_the_ticker_method_needs_no_commission(books: Database) -> None:
    await client(books, "20000")
    row = success(commission_percentage=None)
    await Intake(books, IntakeConfig(split_method=SplitMethod.TICKER)).process([row])
    view = await cash_outs.show(books, row.external_id)
    assert view.split is not None and view.split.principal_sats == 484208


async def test_a_cash_out_is_booked_once_however_often_it_comes(books: Database) -> None:
    await client(books, "20000")
    row = success()
    intake = Intake(books, IntakeConfig())
    await intake.process([row, row])
    again = await intake.process([row])
    assert again.duplicates == [row.external_id] and not again.distributed
    assert await value(books, "SELECT count(*) FROM distribution") == 1
    assert await value(books, "SELECT duplicates FROM cash_out") == 1
    await assert_books_hold(books)


async def test_many_writers_at_once_book_each_cash_out_once(books: Database) -> None:
    for _ in range(3):
        await client(books, "50000")
    rows = [success() for _ in range(12)]
    intakes = [Intake(books, IntakeConfig()) for _ in range(4)]
    results = await asyncio.gather(*(i.process(rows[n:] + rows[:n]) for n, i in enumerate(intakes)))
    assert sum(len(r.distributed) for r in results) == 12
    assert sum(len(r.duplicates) for r in results) == 36
    assert await value(books, "SELECT count(*) FROM distribution") == 12
    await assert_books_hold(books)


async def test_what_the_balances_do_not_cover_is_the_houses(books: Database) -> None:
    only = await client(books, "1000")
    row = success()
    await Intake(books, IntakeConfig()).process([row])
    view = await cash_outs.show(books, row.external_id)
    assert view.split is not None
    assert view.split.clients_minor == 100000
    assert view.split.uncovered_minor == 278000
    assert view.split.clients_sats == round(484218 * 100000 / 378000)
    assert (await clients.show(books, str(only))).balances[0].balance_minor == 0
    later = success()
    await Intake(books, IntakeConfig()).process([later])
    view = await cash_outs.show(books, later.external_id)
    assert view.shares == () and view.split is not None and view.split.house_sats == 512400
    await assert_books_hold(books)


async def test_only_active_flow_clients_take_part(books: Database) -> None:
    flow = await client(books, "1000")
    await client(books, "1000", mode="fixed")
    away = await client(books, "1000")
    await clients.set_status(books, str(away), clients.Status.INACTIVE, actor="test")
    row = success(fiat=Decimal(100), crypto_atoms=Decimal(12800))
    await Intake(books, IntakeConfig()).process([row])
    assert [s.client_id for s in (await cash_outs.show(books, row.external_id)).shares] == [flow]


async def test_a_failed_row_that_succeeds_later_is_distributed_then(books: Database) -> None:
    await client(books, "20000")
    intake = Intake(books, IntakeConfig())
    failed = success(dispense_confirmed=False, tx_version=4, dispensed_at=None)
    await intake.process([failed])
    assert (await cash_outs.show(books, failed.external_id)).summary.state is CashOutState.FAILED
    done = success(external_id=failed.external_id)
    await intake.process([done])
    view = await cash_outs.show(books, failed.external_id)
    assert view.summary.state is CashOutState.DISTRIBUTED
    assert view.summary.happened_at == done.dispensed_at
    assert [e["event"] for e in view.log] == ["seen", "changed", "booked"]


async def test_a_cash_out_that_is_cancelled_after_it_was_shared_stays_shared(books: Database) -> None:
    await client(books, "20000")
    intake = Intake(books, IntakeConfig())
    row = success()
    await intake.process([row])
    cancelled = success(external_id=row.external_id, error_code="operatorCancel", tx_version=9)
    result = await intake.process([cancelled])
    assert "cancelled" in (result.changed[0].contradiction or "")
    view = await cash_outs.show(books, row.external_id)
    assert view.summary.state is CashOutState.DISTRIBUTED
    assert view.source_row["error_code"] == "operatorCancel"
    await assert_books_hold(books)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"commission_percentage": None}, "commission_percentage"),
    ({"commission_percentage": Decimal("1.5")}, "commission"),
    ({"commission_percentage": Decimal("-0.01")}, "commission"),
    ({"commission_percentage": Decimal("NaN")}, "commission"),
    ({"discount": 101}, "discount"),
    ({"discount": -1}, "discount"),
    ({"crypto_atoms": Decimal(0)}, "crypto_atoms"),
    ({"crypto_atoms": Decimal(-5)}, "crypto_atoms"),
    ({"crypto_atoms": Decimal("NaN")}, "crypto_atoms"),
    ({"crypto_atoms": Decimal(10) ** 29}, "crypto_atoms"),
    ({"fiat": Decimal(0)}, "fiat"),
    ({"fiat": Decimal(-4000)}, "fiat"),
    ({"fiat": Decimal("NaN")}, "not an amount"),
    ({"fiat": Decimal("4000.00500")}, "finer"),
    ({"fiat_code": "USD"}, "the pool is in GTQ"),
    ({"fiat_code": "???"}, "the pool is in GTQ"),
    ({"error": "Operator cancel"}, "cancelled"),
]


@pytest.mark.parametrize(("changes", "words"), BAD)
async def test_a_row_that_cannot_be_processed_waits_for_review(
    books: Database, changes: dict[str, Any], words: str
) -> None:
    await client(books, "20000")
    bad, good = success(**changes), success()
    result = await Intake(books, IntakeConfig()).process([bad, good])
    assert [d.row.external_id for d in result.distributed] == [good.external_id]
    view = await cash_outs.show(books, bad.external_id)
    assert view.summary.state is CashOutState.REVIEW
    assert words in view.summary.reason_text
    await assert_books_hold(books)


async def test_a_row_that_the_books_refuse_is_kept_and_stops_nothing_else(books: Database) -> None:
    await client(books, "20000")
    blocked, good = success(), success()
    # Its journal entry's key is taken by other content: what a bug or tampering could leave behind.
    entry = Entry(
        template="x",
        key=f"cash-out:lamassu:{blocked.external_id}",
        happened_at=blocked.created,
        actor="test",
        cause="test",
        lines=lines((accounts.house_sats(), -5), (accounts.coins_received(), 5)),
    )
    await books.run(lambda conn: journal.post(conn, [entry]))
    result = await Intake(books, IntakeConfig()).process([blocked, good])
    assert [d.row.external_id for d in result.distributed] == [good.external_id]
    view = await cash_outs.show(books, blocked.external_id)
    assert (view.summary.state, view.summary.reason) == (CashOutState.REVIEW, "refused")
    assert "booked already, with other amounts" in view.summary.reason_text
    await assert_books_hold(books)


async def test_other_coins_are_ignored(books: Database) -> None:
    await client(books, "20000")
    eth, btc = success(crypto_code="ETH"), success()
    result = await Intake(books, IntakeConfig()).process([eth, btc])
    assert [d.row.external_id for d in result.distributed] == [btc.external_id]
    assert (await cash_outs.show(books, eth.external_id)).summary.reason == "other-coin"


async def test_ten_thousand_clients_share_in_a_handful_of_statements(books: Database) -> None:
    await client(books, "20000")
    statements: list[str] = []

    def count(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    from sqlalchemy import event

    event.listen(books.engine.sync_engine, "before_cursor_execute", count)
    await Intake(books, IntakeConfig()).process([success()])
    few = len(statements)
    for _ in range(20):
        await client(books, "20000")
    statements.clear()
    await Intake(books, IntakeConfig()).process([success()])
    assert len(statements) <= few + 2 and few < 20


async def test_records_are_numbered_as_cash_outs_happened_and_by_client(books: Database) -> None:
    for _ in range(30):
        await client(books, "20000")
    rows = [success(dispensed_at=success().created + timedelta(minutes=n)) for n in range(5)]
    await Intake(books, IntakeConfig()).process(list(reversed(rows)))
    async with books.transaction() as conn:
        found = (
            await conn.exec_driver_sql(
                """SELECT c.external_id, r.client_id FROM distribution_record r
                     JOIN distribution d ON d.id = r.distribution_id JOIN cash_out c ON c.id = d.cash_out_id
                    ORDER BY r.id"""
            )
        ).all()
    assert [tuple(f) for f in found] == [(row.external_id, n) for row in rows for n in range(1, 31)]
