"""Posting: balanced, chained, once, and in an order in which writers never wait for each other in a ring."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from dca_daemon.domain.errors import BooksError, ConflictError, NotFoundError
from dca_daemon.domain.payout import MOVES
from dca_daemon.ledger import accounts, journal, reports
from dca_daemon.ledger.accounts import Account
from dca_daemon.ledger.db import Database, rows
from dca_daemon.ledger.journal import Entry, Line, lines
from dca_daemon.ledger.postings.reversal import reversal
from dca_daemon.ledger.verify import verify
from tests.services.builders import value

WHEN = datetime(2026, 11, 1, tzinfo=UTC)
COINS, HOUSE, FEES = accounts.coins_received(), accounts.house_sats(), accounts.fees()


def entry(key: str, *pairs: tuple[Account, int], template: str = "test") -> Entry:
    return Entry(template=template, key=key, happened_at=WHEN, actor="test", cause="test", lines=lines(*pairs))


async def post(db: Database, *entries: Entry) -> list[int]:
    return await db.run(lambda conn: journal.post(conn, entries))


async def balance(db: Database, account: Account) -> tuple[int, int]:
    """What the account keeps: balance (debits less credits) and version."""
    async with db.transaction() as conn:
        (found,) = await rows(conn, "SELECT balance, version FROM account WHERE name = :n", n=account.name)
    return found.balance, found.version


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def test_balances_and_versions_are_kept(books: Database) -> None:
    await post(books, entry("a", (COINS, 5), (HOUSE, -5)), entry("b", (COINS, -2), (HOUSE, 2)))
    await post(books, entry("c", (COINS, 10), (HOUSE, -7), (FEES, -3)))
    assert await balance(books, COINS) == (13, 3)
    assert await balance(books, HOUSE) == (-10, 3)
    assert await balance(books, FEES) == (-3, 1)
    _, newest_first = await reports.statement(books, "coins:received")
    assert [(line.amount, line.balance_after) for line in newest_first] == [(10, 13), (-2, 3), (5, 5)]
    shown = {b.name: b.balance for b in await reports.balances(books, unit="msat")}
    assert shown == {"coins:received": 13, "expense:fees": -3, "house:sats": 10}
    await assert_books_hold(books)


async def test_a_key_is_posted_once(books: Database) -> None:
    first = await post(books, entry("a", (COINS, 5), (HOUSE, -5)))
    again = await post(books, entry("a", (HOUSE, -5), (COINS, 5)))
    assert first == again
    assert await balance(books, COINS) == (5, 1)


async def test_a_key_in_one_batch_twice_is_posted_once(books: Database) -> None:
    same = entry("a", (COINS, 5), (HOUSE, -5))
    ids = await post(books, same, entry("b", (COINS, 1), (HOUSE, -1)), same)
    assert ids[0] == ids[2] != ids[1]
    assert await balance(books, COINS) == (6, 2)
    await assert_books_hold(books)


async def test_a_key_in_one_batch_twice_with_other_content_is_refused(books: Database) -> None:
    with pytest.raises(ConflictError, match="with other amounts"):
        await post(books, entry("a", (COINS, 5), (HOUSE, -5)), entry("a", (COINS, 6), (HOUSE, -6)))
    assert await value(books, "SELECT count(*) FROM journal_entry") == 0


@pytest.mark.parametrize(
    "other",
    [
        entry("a", (COINS, 6), (HOUSE, -6)),
        entry("a", (COINS, 5), (FEES, -5)),
        entry("a", (COINS, 5), (HOUSE, -5), template="other"),
    ],
)
async def test_a_key_with_other_content_is_refused(books: Database, other: Entry) -> None:
    await post(books, entry("a", (COINS, 5), (HOUSE, -5)))
    with pytest.raises(ConflictError, match="a is booked already, with other amounts"):
        await post(books, entry("b", (COINS, 1), (HOUSE, -1)), other)
    assert await balance(books, COINS) == (5, 1)
    assert await value(books, "SELECT count(*) FROM journal_entry") == 1


@pytest.mark.parametrize(
    "bad",
    [
        entry("a", (COINS, 5), (HOUSE, -4)),
        entry("a", (COINS, 5), (accounts.cash(1, "GTQ"), -5)),
        entry("a"),
        entry("a", (COINS, 0)),
        entry("a", (COINS, 5), (COINS, -5)),
    ],
)
async def test_what_does_not_balance_is_refused_before_anything_is_written(books: Database, bad: Entry) -> None:
    with pytest.raises(BooksError, match="journal entry a does not balance"):
        await post(books, entry("good", (COINS, 5), (HOUSE, -5)), bad)
    assert await value(books, "SELECT count(*) FROM journal_entry") == 0


async def test_a_reversal_points_at_what_it_takes_back(books: Database) -> None:
    original = entry("a", (COINS, 5), (HOUSE, -5))
    (entry_id,) = await post(books, original)
    undo = reversal(
        entry_id=entry_id, reversed_lines=original.lines, happened_at=WHEN, actor="test", cause="a mistake"
    )
    await post(books, undo)
    await post(books, undo)
    assert await balance(books, COINS) == (0, 2)
    assert await value(books, "SELECT corrects_entry_id FROM journal_entry ORDER BY id DESC LIMIT 1") == entry_id


async def test_many_posters_in_opposite_orders_never_lock_each_other_out(books: Database) -> None:
    """Neither while the accounts are being opened, nor afterwards."""
    wallets = [accounts.client_fiat(n, 1, "GTQ") for n in range(1, 9)]
    plain = [Account(f"test:{w.name}", "msat", "asset", "test") for w in wallets]
    total = Account("test:total", "msat", "equity", "test")

    async def poster(number: int) -> None:
        order = random.Random(number).sample(plain, len(plain))
        for step in range(6):
            pairs = [(account, step + 1) for account in order]
            await post(books, entry(f"{number}:{step}", *pairs, (total, -(step + 1) * len(order))))

    with capture_logs() as logged:
        await asyncio.gather(*(poster(number) for number in range(10)))
    assert [line for line in logged if line["event"] == "database.retry"] == []
    assert await balance(books, total) == (-10 * 21 * 8, 60)
    for account in plain:
        assert await balance(books, account) == (10 * 21, 60)
    await assert_books_hold(books)


async def test_many_posters_of_the_same_key_post_it_once(books: Database) -> None:
    ids = await asyncio.gather(*(post(books, entry("a", (COINS, 5), (HOUSE, -5))) for _ in range(10)))
    assert len({found for (found,) in ids}) == 1
    assert await balance(books, COINS) == (5, 1)


async def test_accounts_that_are_not_there_have_no_statement(books: Database) -> None:
    with pytest.raises(NotFoundError, match="there is no account 'x'"):
        await reports.statement(books, "x")


async def test_the_database_allows_the_payout_moves_that_the_domain_does(books: Database) -> None:
    async with books.transaction() as conn:
        found = {(r.from_state, r.to_state) for r in await rows(conn, "SELECT * FROM payout_move")}
    assert found == {(str(old), str(new)) for old, to in MOVES.items() for new in to}


@given(st.permutations([(COINS, 5), (HOUSE, -3), (FEES, -2)]))
def test_the_order_of_lines_is_no_other_content(pairs: list[tuple[Account, int]]) -> None:
    assert entry("a", *pairs).input_hash == entry("b", (COINS, 5), (HOUSE, -3), (FEES, -2)).input_hash


def test_empty_lines_are_left_out() -> None:
    assert lines((COINS, 0), (HOUSE, 5)) == (Line(HOUSE, 5),)
