"""Deposits: recorded, confirmed once, taken back only while nothing was bought with them."""

from __future__ import annotations

import asyncio

import pytest

from dca_daemon.domain.errors import ConflictError, DcaError, InputError, NotFoundError
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.services import clients, deposits
from dca_daemon.services.deposits import DepositView
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import client, success, value


async def record(db: Database, client_id: int, amount: str, currency: str | None = None) -> DepositView:
    return await deposits.record(
        db, client=str(client_id), amount=amount, currency=currency, note="notes", actor="test"
    )


async def balance(db: Database, client_id: int) -> int:
    return (await clients.show(db, str(client_id))).balances[0].balance_minor


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def test_a_deposit_counts_once_it_is_confirmed(books: Database) -> None:
    client_id = await client(books)
    deposit = await record(books, client_id, "1000.50", "gtq")
    assert (deposit.state, deposit.amount_minor, deposit.currency, deposit.note) == (
        "pending",
        100050,
        "GTQ",
        "notes",
    )
    shown = (await clients.show(books, str(client_id))).balances[0]
    assert (shown.balance_minor, shown.pending_minor, shown.deposited_minor) == (0, 100050, 0)
    change = await deposits.confirm(books, deposit.deposit_id, actor="test")
    assert (change.before_minor, change.after_minor, change.deposit.state) == (0, 100050, "confirmed")
    second = await record(books, client_id, "1")
    change = await deposits.confirm(books, second.deposit_id, actor="test")
    assert (change.before_minor, change.after_minor) == (100050, 100150)
    shown = (await clients.show(books, str(client_id))).balances[0]
    assert (shown.balance_minor, shown.pending_minor, shown.deposited_minor) == (100150, 0, 100150)
    await assert_books_hold(books)


async def test_a_deposit_is_confirmed_once_also_by_several_at_once(books: Database) -> None:
    client_id = await client(books)
    deposit = await record(books, client_id, "1000")
    found = await asyncio.gather(
        *(deposits.confirm(books, deposit.deposit_id, actor="test") for _ in range(5)), return_exceptions=True
    )
    refused = [f for f in found if isinstance(f, ConflictError)]
    assert len(refused) == 4
    assert str(refused[0]) == f"deposit {deposit.deposit_id} is confirmed, only a pending one can be confirmed"
    assert await balance(books, client_id) == 100000
    await assert_books_hold(books)


async def test_a_pending_deposit_is_voided_without_a_posting(books: Database) -> None:
    client_id = await client(books)
    deposit = await record(books, client_id, "1000")
    change = await deposits.void(books, deposit.deposit_id, reason=" typed twice ", actor="test")
    assert (change.deposit.state, change.deposit.void_reason) == ("void", "typed twice")
    assert await value(books, "SELECT count(*) FROM journal_entry") == 0
    with pytest.raises(ConflictError, match="is void, only a pending one"):
        await deposits.confirm(books, deposit.deposit_id, actor="test")
    with pytest.raises(ConflictError, match="is void already"):
        await deposits.void(books, deposit.deposit_id, reason="again", actor="test")


async def test_a_confirmed_deposit_is_reversed_by_an_entry_that_points_at_it(books: Database) -> None:
    client_id = await client(books, "500")
    deposit = await record(books, client_id, "1000")
    await deposits.confirm(books, deposit.deposit_id, actor="test")
    change = await deposits.void(books, deposit.deposit_id, reason="false notes", actor="test")
    assert (change.before_minor, change.after_minor) == (150000, 50000)
    query = """SELECT o.idempotency_key FROM journal_entry r JOIN journal_entry o ON o.id = r.corrects_entry_id
                WHERE r.template = 'reversal'"""
    assert await value(books, query) == f"deposit:{deposit.deposit_id}:confirmed"
    await assert_books_hold(books)


async def test_what_has_bought_bitcoin_cannot_be_voided(books: Database) -> None:
    client_id = await client(books)
    deposit = await record(books, client_id, "5000")
    await deposits.confirm(books, deposit.deposit_id, actor="test")
    await Intake(books, IntakeConfig()).process([success()])
    with pytest.raises(ConflictError) as caught:
        await deposits.void(books, deposit.deposit_id, reason="too late", actor="test")
    words = str(caught.value)
    assert "5,000.00 GTQ can't be voided" in words and "only 1,220.00 GTQ left" in words
    assert (await deposits.show(books, deposit.deposit_id)).state == "confirmed"
    assert await balance(books, client_id) == 122000
    await assert_books_hold(books)


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        ("1000", "USD", "is in GTQ, not in USD"),
        ("", None, "is not an amount"),
        ("1,000", None, "is not an amount"),
        ("NaN", None, "is not an amount"),
        ("-1000", None, "greater than zero"),
        ("0", None, "greater than zero"),
        ("0.001", None, "finer"),
        ("1e5", None, "is not an amount"),
        ("99999999999999", None, "too large"),
    ],
)
async def test_what_is_no_deposit_is_refused(
    books: Database, amount: str, currency: str | None, words: str
) -> None:
    client_id = await client(books)
    with pytest.raises(InputError, match=words):
        await record(books, client_id, amount, currency)
    assert await deposits.list_all(books) == []
    assert await value(books, "SELECT count(*) FROM audit_log") == 0


async def test_what_names_nothing_is_not_found(books: Database) -> None:
    with pytest.raises(NotFoundError, match="there is no client 'nobody'"):
        await deposits.record(books, client="nobody", amount="1", currency=None, note=None, actor="test")
    for attempt in (
        deposits.show(books, 77),
        deposits.confirm(books, 77, actor="test"),
        deposits.void(books, 77, reason="x", actor="test"),
    ):
        with pytest.raises(NotFoundError, match="there is no deposit 77"):
            await attempt


async def test_voiding_needs_a_reason(books: Database) -> None:
    deposit = await record(books, await client(books), "5")
    with pytest.raises(DcaError, match="needs a reason"):
        await deposits.void(books, deposit.deposit_id, reason=" ", actor="test")


async def test_deposits_are_listed_newest_first(books: Database) -> None:
    first, second = await client(books), await client(books)
    a, b, c = [await record(books, who, "5") for who in (first, second, first)]
    await deposits.confirm(books, a.deposit_id, actor="test")
    assert [d.deposit_id for d in await deposits.list_all(books)] == [c.deposit_id, b.deposit_id, a.deposit_id]
    assert [d.deposit_id for d in await deposits.list_all(books, client=str(first), state="pending")] == [
        c.deposit_id
    ]


async def test_every_step_is_in_the_audit_log(books: Database) -> None:
    deposit = await record(books, await client(books), "5")
    await deposits.confirm(books, deposit.deposit_id, actor="ana")
    await deposits.void(books, deposit.deposit_id, reason="wrong", actor="ana")
    query = "SELECT string_agg(actor || ' ' || action || ' ' || subject, ', ' ORDER BY id) FROM audit_log"
    subject = f"deposit:{deposit.deposit_id}"
    assert await value(books, query) == (
        f"test deposit.record {subject}, ana deposit.confirm {subject}, ana deposit.void {subject}"
    )
