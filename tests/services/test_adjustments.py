"""Adjustments: balances and what is owed are corrected, within bounds, and the books say why."""

from __future__ import annotations

from typing import Any

import pytest

from dca_daemon.domain.errors import DcaError
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.services import adjustments, clients
from dca_daemon.services.adjustments import Adjustment, Wish
from tests.ledger.filled import invoice, reserve, settle, submit
from tests.services.builders import client, sql, value


async def adjust(db: Database, client_id: int, **what: Any) -> Adjustment:
    wish = Wish(str(client_id), what.pop("reason", "test"), **what)
    seen = await adjustments.preview(db, wish)
    done = await adjustments.apply(db, wish, actor="os:operator")
    assert (seen.before, seen.after) == (done.before, done.after)
    return done


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def balance(db: Database, client_id: int) -> int:
    return (await clients.show(db, str(client_id))).balances[0].balance_minor


async def test_a_balance_goes_up_and_down_at_the_houses_cost(books: Database) -> None:
    ana = await client(books, "100")
    done = await adjust(books, ana, fiat="+50.25", corrects="deposit 1", reason="counted wrong")
    assert (done.before, done.after, done.amount_minor) == (10_000, 15_025, 5025)
    assert await value(books, "SELECT balance FROM account WHERE name = 'house:fiat:1'") == 5025
    await adjust(books, ana, fiat="-150.25")
    assert await balance(books, ana) == 0
    await adjust(books, ana, fiat="7")
    found = await adjustments.list_all(books, str(ana))
    assert [(a.amount_minor, a.corrects, a.reason) for a in found] == [
        (700, None, "test"),
        (-15_025, None, "test"),
        (5025, "deposit 1", "counted wrong"),
    ]
    audited = "SELECT count(*) FROM audit_log WHERE action = 'client.adjust' AND actor = 'os:operator'"
    assert await value(books, audited) == 3
    await assert_books_hold(books)


async def test_a_client_without_a_deposit_can_be_given_a_balance(books: Database) -> None:
    ana = await client(books)
    await adjust(books, ana, fiat="1")
    assert await balance(books, ana) == 100


async def test_more_sats_are_owed_and_paid_like_any(books: Database) -> None:
    ana = await client(books, "100")
    done = await adjust(books, ana, sats="+1500")
    assert (done.before, done.after) == (0, 1500)
    assert (await clients.show(books, str(ana))).owed_sats == 1500
    payout_id = await reserve(books, ana)
    assert payout_id is not None
    memo = await value(books, "SELECT memo FROM payout")
    assert memo.startswith("DCA 1,500 sats without a price")
    await invoice_and_settle(books, payout_id)
    assert (await clients.show(books, str(ana))).settled_sats == 1500
    await assert_books_hold(books)


async def invoice_and_settle(db: Database, payout_id: str) -> None:
    await invoice(db, payout_id)
    await submit(db, payout_id)
    await settle(db, payout_id)


async def test_what_was_paid_too_much_is_used_up_by_what_is_owed_next(books: Database) -> None:
    ana = await client(books, "100")
    done = await adjust(books, ana, sats="−1000")
    assert (done.amount_sats, done.before, done.after) == (-1000, 0, -1000)
    assert (await clients.show(books, str(ana))).credit_sats == 1000
    await adjust(books, ana, sats="1600")
    assert await reserve(books, ana) is not None
    amounts = "SELECT amount_sats || ' ' || credit_sats FROM payout"
    assert await value(books, amounts) == "600 1000"
    assert (await clients.show(books, str(ana))).credit_sats == 0
    await assert_books_hold(books)


async def test_a_receiver_of_commission_can_be_corrected_in_sats_only(books: Database) -> None:
    wallet = await client(books, mode="commission")
    await adjust(books, wallet, sats="+5")
    with pytest.raises(DcaError, match="no fiat balance"):
        await adjust(books, wallet, fiat="+5")
    await assert_books_hold(books)


BAD_INPUT: tuple[tuple[dict[str, str], str], ...] = (
    ({"fiat": "-100.01"}, "has only 100.00 GTQ"),
    ({"fiat": "0"}, "greater than zero"),
    ({"fiat": "-0"}, "greater than zero"),
    ({"fiat": "+1.005"}, "finer"),
    ({"fiat": "--5"}, "not an amount"),
    ({"fiat": "+-5"}, "not an amount"),
    ({"fiat": "1e5"}, "not an amount"),
    ({"fiat": "99999999999999999"}, "too large"),
    ({"fiat": "5", "pool": "Nowhere"}, "no pool 'Nowhere'"),
    ({"sats": "0"}, "1 to 100,000,000,000 sats"),
    ({"sats": "100000000001"}, "1 to 100,000,000,000 sats"),
    ({"sats": "1.5"}, "not a number of sats"),
    ({"sats": "five"}, "not a number of sats"),
    ({"sats": "5", "pool": "1"}, "in no pool"),
    ({"sats": "5", "fiat": "5"}, "either"),
    ({}, "either"),
    ({"sats": "5", "reason": " "}, "needs a reason"),
)


async def test_bad_input_changes_nothing(books: Database) -> None:
    ana = await client(books, "100")
    for what, words in BAD_INPUT:
        with pytest.raises(DcaError, match=words):
            await adjust(books, ana, **what)
    with pytest.raises(DcaError, match="no client 'Nobody'"):
        await adjustments.apply(books, Wish("Nobody", "test", sats="5"), actor="test")
    assert await value(books, "SELECT count(*) FROM adjustment") == 0
    assert await value(books, "SELECT count(*) FROM journal_entry") == 1


async def test_a_balance_in_another_pool_than_the_default_is_corrected_by_its_name(books: Database) -> None:
    ana = await client(books, "100")
    await sql(books, "INSERT INTO pool (id, name, currency) VALUES (2, 'north', 'USD')")
    done = await adjust(books, ana, fiat="5", pool="North")
    assert done.pool is not None and done.pool.currency == "USD"
    await assert_books_hold(books)
