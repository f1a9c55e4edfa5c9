"""Each step of a payout's life, in the books."""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal

import pytest
from sqlalchemy.exc import IntegrityError

from dca_daemon.domain.errors import ConflictError, NotFoundError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database, constraint
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts import agenda, store
from dca_daemon.payouts.store import Payout, SupersededError
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.ledger.filled import fail, invoice, made_up_invoice, reserve, settle, submit
from tests.services.builders import client, sql, success, value


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def owed_client(db: Database, cash_outs: int = 1) -> int:
    """A client that is owed its share of so many cash-outs of 100 GTQ, 12,800 sats each."""
    client_id = await client(db, "20000")
    rows = [success(fiat=Decimal(100), crypto_atoms=Decimal(12800)) for _ in range(cash_outs)]
    await Intake(db, IntakeConfig()).process(rows)
    return client_id


async def load(db: Database, payout_id: str) -> Payout:
    async with db.transaction() as conn:
        return await store.load(conn, payout_id)


async def balance_msat(db: Database, account: str) -> int:
    return int(await value(db, "SELECT balance FROM account WHERE name = :name", name=account) or 0)


async def reserved(db: Database, client_id: int) -> str:
    payout_id = await reserve(db, client_id)
    assert payout_id is not None
    return payout_id


async def test_all_that_is_owed_goes_into_one_payout(books: Database) -> None:
    client_id = await owed_client(books, 3)
    payout = await load(books, await reserved(books, client_id))
    assert (payout.state, payout.amount_sats) == (PayoutState.RESERVED, 3 * 12096)
    assert "3 purchases" in payout.memo
    assert await balance_msat(books, f"client:{client_id}:payable") == 0
    assert await balance_msat(books, "payouts:in-flight") == -3 * 12096 * 1000
    assert await reserve(books, client_id) is None
    await assert_books_hold(books)


async def test_a_payout_takes_records_up_to_the_limit_and_one_above_it_alone(books: Database) -> None:
    client_id = await owed_client(books, 3)

    async def up_to(max_sats: int) -> int:
        found = await books.run(lambda c: store.reserve(c, client_id, max_sats=max_sats, actor="test"))
        assert found is not None
        await submitless_void(books, found[0])
        return len(found[1])

    assert [await up_to(n) for n in (1, 12096, 24191, 24192, 10**9)] == [1, 1, 1, 2, 3]
    await assert_books_hold(books)


async def submitless_void(db: Database, payout_id: str) -> None:
    await fail(db, payout_id, PayoutState.VOID)


async def test_a_payout_settles(books: Database) -> None:
    client_id = await owed_client(books)
    payout_id = await reserved(books, client_id)
    await invoice(books, payout_id)
    await submit(books, payout_id)
    await settle(books, payout_id, fee_msat=7)
    assert (await load(books, payout_id)).state is PayoutState.SETTLED
    assert await value(books, "SELECT state FROM distribution_record") == "settled"
    assert await balance_msat(books, "payouts:in-flight") == 0
    assert await balance_msat(books, "coins:source") == -(12096 * 1000 + 7)
    assert await balance_msat(books, "expense:fees") == 7
    events = await value(books, "SELECT string_agg(event, ' ' ORDER BY id) FROM payout_log")
    assert events == "reserved invoiced submitted settled"
    await assert_books_hold(books)


@pytest.mark.parametrize("outcome", [PayoutState.FAILED, PayoutState.EXPIRED, PayoutState.VOID])
async def test_a_payout_that_paid_nothing_leaves_its_records_owed(books: Database, outcome: PayoutState) -> None:
    client_id = await owed_client(books, 2)
    payout_id = await reserved(books, client_id)
    if outcome is not PayoutState.VOID:
        await invoice(books, payout_id)
    if outcome is PayoutState.FAILED:
        await submit(books, payout_id)
    await fail(books, payout_id, outcome)
    assert await balance_msat(books, f"client:{client_id}:payable") == -2 * 12096 * 1000
    await assert_books_hold(books)
    again = await load(books, await reserved(books, client_id))
    assert again.amount_sats == 2 * 12096 and again.payout_id != payout_id
    await assert_books_hold(books)


async def test_a_step_of_a_payout_that_has_moved_on_is_superseded(books: Database) -> None:
    payout_id = await reserved(books, await owed_client(books))
    seen_reserved = await load(books, payout_id)
    await invoice(books, payout_id)
    seen_invoiced = await load(books, payout_id)
    with pytest.raises(SupersededError):
        await books.run(lambda c: store.invoiced(c, seen_reserved, made_up_invoice("another")))
    await submit(books, payout_id)
    seen_submitted = await load(books, payout_id)
    with pytest.raises(SupersededError):
        await books.run(lambda c: store.submitting(c, seen_invoiced))
    await settle(books, payout_id)
    with pytest.raises(SupersededError):
        await books.run(lambda c: store.submitting(c, seen_submitted))
    with pytest.raises(SupersededError):
        await books.run(
            lambda c: store.release(c, seen_submitted, PayoutState.FAILED, reason="late", actor="test")
        )
    with pytest.raises(SupersededError):
        await books.run(lambda c: store.settle(c, seen_submitted, fee_msat=0, evidence={}, actor="test"))
    assert (await load(books, payout_id)).bolt11 == made_up_invoice(payout_id).bolt11
    await assert_books_hold(books)


@pytest.mark.parametrize(
    ("new", "code"),
    [(PayoutState.SUBMITTED, "reserved-to-submitted"), (PayoutState.FAILED, "reserved-to-failed")],
)
async def test_a_move_that_there_is_none_is_refused_by_name(books: Database, new: PayoutState, code: str) -> None:
    payout = await load(books, await reserved(books, await owed_client(books)))
    with pytest.raises(ConflictError) as caught:
        await books.run(lambda c: store.move(c, payout, new, "test"))
    assert caught.value.code == f"payout-{code}"


async def test_resubmitting_counts_and_keeps_the_invoice(books: Database) -> None:
    payout_id = await reserved(books, await owed_client(books))
    await invoice(books, payout_id)
    for _ in range(3):
        await submit(books, payout_id)
    payout = await load(books, payout_id)
    assert (payout.submits, payout.state, payout.payment_hash) == (
        3,
        PayoutState.SUBMITTED,
        made_up_invoice(payout_id).payment_hash,
    )
    events = await value(books, "SELECT string_agg(event, ' ' ORDER BY id) FROM payout_log")
    assert events == "reserved invoiced submitted resubmitted resubmitted"


async def test_held_stops_everything_and_keeps_the_records(books: Database) -> None:
    client_id = await owed_client(books)
    payout_id = await reserved(books, client_id)
    payout = await load(books, payout_id)
    await books.run(lambda c: store.hold(c, payout, reason="look", detail={}))
    assert await value(books, "SELECT state FROM distribution_record") == "in-payout"
    async with books.transaction() as conn:
        assert await agenda.due(conn, 10) == []
    await assert_books_hold(books)


async def owed_clients(db: Database) -> list[int]:
    async with db.transaction() as conn:
        return await agenda.owed_clients(conn, 10)


async def test_a_client_waits_while_a_payout_of_its_is_on_the_way(books: Database) -> None:
    first = await owed_client(books)
    second = await client(books, "20000")
    await Intake(books, IntakeConfig()).process([success(), success()])
    assert await owed_clients(books) == [first, second]
    payout_id = await reserved(books, first)
    await Intake(books, IntakeConfig()).process([success()])
    assert await owed_clients(books) == [second]
    with pytest.raises(IntegrityError) as caught:
        await reserve(books, first)
    assert constraint(caught.value) == "payout_one_open"
    payout = await load(books, payout_id)
    await books.run(lambda c: store.hold(c, payout, reason="no invoice", detail={}))
    assert await owed_clients(books) == [second]  # a new one would meet the same obstacle


async def test_what_may_have_been_paid_does_not_stop_later_purchases(books: Database) -> None:
    client_id = await owed_client(books)
    payout_id = await reserved(books, client_id)
    await invoice(books, payout_id)
    await submit(books, payout_id)
    payout = await load(books, payout_id)
    await books.run(lambda c: store.hold(c, payout, reason="look", detail={}))
    await Intake(books, IntakeConfig()).process([success()])
    assert await owed_clients(books) == [client_id]
    assert (await load(books, await reserved(books, client_id))).amount_sats == 484218
    await assert_books_hold(books)


async def test_of_many_payers_at_once_one_reserves(books: Database) -> None:
    client_id = await owed_client(books, 5)
    found = await asyncio.gather(*(reserve(books, client_id) for _ in range(8)), return_exceptions=True)
    assert len([f for f in found if isinstance(f, str)]) == 1
    for other in found:
        assert isinstance(other, str | None) or constraint(other) == "payout_one_open"
    await assert_books_hold(books)


async def test_postponed_payouts_are_due_later(books: Database) -> None:
    payout_id = await reserved(books, await owed_client(books))
    async with books.transaction() as conn:
        assert await agenda.due(conn, 10) == [payout_id]
        assert await agenda.seconds_to_next(conn) == 0
    payout = await load(books, payout_id)
    await books.run(lambda c: store.postpone(c, payout, seconds=60, reason="away"))
    async with books.transaction() as conn:
        assert await agenda.due(conn, 10) == []
        wait = await agenda.seconds_to_next(conn)
    assert wait is not None and 50 < wait <= 60
    assert (await load(books, payout_id)).failures == 1
    await books.run(lambda c: store.postpone(c, payout, seconds=0, reason="short", failed=False))
    assert (await load(books, payout_id)).failures == 1


async def test_a_clock_set_back_holds_no_postponed_payout_up(books: Database) -> None:
    """Its next attempt was written by the clock of tomorrow."""
    payout_id = await reserved(books, await owed_client(books))
    payout = await load(books, payout_id)
    await books.run(lambda c: store.postpone(c, payout, seconds=300, reason="away"))
    async with books.transaction() as conn:
        assert await agenda.due(conn, 10) == []
    await sql(books, "UPDATE payout SET next_attempt_at = next_attempt_at + interval '1 hour'")
    async with books.transaction() as conn:
        assert await agenda.due(conn, 10) == [payout_id]


async def test_an_invoice_close_to_its_end_is_expiring(books: Database) -> None:
    payout_id = await reserved(books, await owed_client(books))
    await invoice(books, payout_id)
    assert not (await load(books, payout_id)).expiring
    await sql(books, "UPDATE payout SET submit_until = now() - interval '1 second'")
    assert (await load(books, payout_id)).expiring


async def test_what_is_unpaid(books: Database) -> None:
    client_id = await owed_client(books)

    async def unpaid() -> int:
        async with books.transaction() as conn:
            return await agenda.unpaid_sats(conn)

    assert await unpaid() == 12096
    payout_id = await reserved(books, client_id)
    assert await unpaid() == 12096
    await invoice(books, payout_id)
    await submit(books, payout_id)
    assert await unpaid() == 0  # its money may have left already
    payout = await load(books, payout_id)
    await books.run(lambda c: store.postpone(c, payout, seconds=1, reason=agenda.SHORT_OF_FUNDS))
    assert await unpaid() == 12096
    await settle(books, payout_id)
    assert await unpaid() == 0


async def test_an_unknown_payout_is_not_found(books: Database) -> None:
    with pytest.raises(NotFoundError, match="there is no payout"):
        await load(books, str(uuid.uuid4()))


async def test_nothing_owed_reserves_nothing(books: Database) -> None:
    assert await reserve(books, await client(books, "100")) is None


async def test_after_failures_a_client_waits_ever_longer_for_the_next_payout(books: Database) -> None:
    client_id = await owed_client(books)
    for waits_seconds in (10, 20, 40):
        payout_id = await reserved(books, client_id)
        await invoice(books, payout_id)
        await submit(books, payout_id)
        await fail(books, payout_id)
        for ago_seconds, expected in ((waits_seconds - 1, []), (waits_seconds + 1, [client_id])):
            await sql(
                books,
                """UPDATE payout SET next_attempt_at = now() - make_interval(secs => :ago +
                          CASE WHEN id = CAST(:id AS uuid) THEN 0 ELSE 600 END)""",
                id=payout_id,
                ago=ago_seconds,
            )
            async with books.transaction() as conn:
                assert await agenda.owed_clients(conn, 10) == expected
    await assert_books_hold(books)


async def test_a_failure_of_a_clock_set_back_since_holds_no_client_up(books: Database) -> None:
    client_id = await owed_client(books)
    payout_id = await reserved(books, client_id)
    await invoice(books, payout_id)
    await submit(books, payout_id)
    await fail(books, payout_id)
    async with books.transaction() as conn:
        assert await agenda.owed_clients(conn, 10) == []
    await sql(books, "UPDATE payout SET next_attempt_at = next_attempt_at + interval '1 day'")
    async with books.transaction() as conn:
        assert await agenda.owed_clients(conn, 10) == [client_id]


async def test_each_client_that_is_owed_is_found_once_the_longest_waiting_first(books: Database) -> None:
    later = await client(books)
    first = await owed_client(books, 2)
    await sql(books, "UPDATE client SET status = 'inactive' WHERE id = :id", id=first)
    await sql(books, "UPDATE client SET status = 'active' WHERE id = :id", id=later)
    third = await owed_client(books, 2)
    async with books.transaction() as conn:
        assert await agenda.owed_clients(conn, 10) == [first, third]
        assert await agenda.owed_clients(conn, 1) == [first]


async def test_a_client_owed_less_than_its_destination_takes_waits_for_more(books: Database) -> None:
    client_id = await client(books, "20000")
    await sql(books, "UPDATE destination SET min_sats = 600000")
    await Intake(books, IntakeConfig()).process([success()])
    async with books.transaction() as conn:
        assert await agenda.owed_clients(conn, 10) == []
    await Intake(books, IntakeConfig()).process([success()])
    async with books.transaction() as conn:
        assert await agenda.owed_clients(conn, 10) == [client_id]
