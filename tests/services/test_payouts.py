"""Stepping in by hand: retry, hold, release, and what each may never do."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts import agenda, store
from dca_daemon.services import clients, payouts
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.ledger.filled import fail, invoice, reserve, settle, submit
from tests.services.builders import client, sql, success, value


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def owe(db: Database) -> None:
    await Intake(db, IntakeConfig()).process([success(fiat=Decimal(100), crypto_atoms=Decimal(12800))])


async def opened(db: Database, state: PayoutState) -> tuple[int, str]:
    """A client and a payout of it in that state."""
    client_id = await client(db, "20000")
    await owe(db)
    payout_id = await reserve(db, client_id)
    assert payout_id is not None
    if state is PayoutState.VOID:
        await fail(db, payout_id, state)
    if state in (PayoutState.RESERVED, PayoutState.VOID):
        return client_id, payout_id
    await invoice(db, payout_id)
    if state is PayoutState.EXPIRED:
        await fail(db, payout_id, state)
    if state in (PayoutState.INVOICED, PayoutState.EXPIRED):
        return client_id, payout_id
    await submit(db, payout_id)
    if state is PayoutState.SETTLED:
        await settle(db, payout_id)
    elif state is PayoutState.FAILED:
        await fail(db, payout_id)
    elif state in (PayoutState.UNKNOWN, PayoutState.HELD):
        async with db.transaction() as conn:
            payout = await store.load(conn, payout_id)
            if state is PayoutState.HELD:
                await store.hold(conn, payout, reason="look", detail={})
            else:
                await store.move(conn, payout, state, "unknown")
    return client_id, payout_id


OPEN = [PayoutState.RESERVED, PayoutState.INVOICED, PayoutState.SUBMITTED, PayoutState.UNKNOWN]
ENDED = [PayoutState.SETTLED, PayoutState.FAILED, PayoutState.EXPIRED, PayoutState.VOID]


@pytest.mark.parametrize("state", OPEN)
async def test_retry_makes_an_open_payout_due_and_moves_nothing(books: Database, state: PayoutState) -> None:
    _, payout_id = await opened(books, state)
    await sql(books, "UPDATE payout SET next_attempt_at = now() + interval '9 minutes', failures = 9")
    view = await payouts.retry(books, payout_id[:8], actor="ana")
    assert (view.state, view.failures) == (state, 0)
    async with books.transaction() as conn:
        assert await agenda.due(conn, 5) == [payout_id]
    assert await value(books, "SELECT action FROM audit_log ORDER BY id DESC LIMIT 1") == "payout.retry"


@pytest.mark.parametrize("state", [*ENDED, PayoutState.HELD])
async def test_what_has_ended_or_waits_is_not_retried(books: Database, state: PayoutState) -> None:
    _, payout_id = await opened(books, state)
    words = "is held" if state is PayoutState.HELD else "nothing is left to try"
    with pytest.raises(ConflictError, match=words):
        await payouts.retry(books, payout_id, actor="ana")


@pytest.mark.parametrize("state", OPEN)
async def test_holding_and_releasing(books: Database, state: PayoutState) -> None:
    client_id, payout_id = await opened(books, state)
    held = await payouts.hold(books, payout_id, reason=" the client asked ", actor="ana")
    assert (held.state, held.held_from, held.reason) == (PayoutState.HELD, state, "the client asked")
    await assert_books_hold(books)
    released = await payouts.release(books, payout_id, reason="it is clear", actor="ana")
    owed = (await clients.show(books, str(client_id))).owed_sats
    if state in (PayoutState.RESERVED, PayoutState.INVOICED):
        assert (released.state, owed) == (PayoutState.VOID, 12096)  # never submitted: owed again
        assert await reserve(books, client_id) is not None
    else:
        assert (released.state, owed) == (PayoutState.UNKNOWN, 0)  # it may be paid: only looked up
        await settle(books, payout_id)
    await assert_books_hold(books)
    query = (
        "SELECT string_agg(action || ': ' || reason, ', ' ORDER BY id) FROM audit_log WHERE action LIKE 'payout%'"
    )
    assert await value(books, query) == "payout.hold:  the client asked , payout.release: it is clear"


@pytest.mark.parametrize("state", [*ENDED, PayoutState.HELD])
async def test_only_an_open_payout_can_be_held(books: Database, state: PayoutState) -> None:
    _, payout_id = await opened(books, state)
    with pytest.raises(ConflictError, match="only an open one can be held"):
        await payouts.hold(books, payout_id, reason="x", actor="ana")


@pytest.mark.parametrize("state", [*OPEN, *ENDED])
async def test_only_a_held_payout_can_be_released(books: Database, state: PayoutState) -> None:
    _, payout_id = await opened(books, state)
    with pytest.raises(ConflictError, match="only a held one can be released"):
        await payouts.release(books, payout_id, reason="x", actor="ana")


async def test_a_release_waits_for_the_clients_next_payout(books: Database) -> None:
    """What may have been paid does not stop later purchases: so another payout may be on its way by then."""
    client_id, held = await opened(books, PayoutState.HELD)
    await owe(books)
    other = await reserve(books, client_id)
    assert other is not None
    with pytest.raises(ConflictError, match=f"payout {other} of the same client is on its way"):
        await payouts.release(books, held, reason="x", actor="ana")
    await invoice(books, other)
    await submit(books, other)
    await settle(books, other)
    assert (await payouts.release(books, held, reason="x", actor="ana")).state is PayoutState.UNKNOWN
    await assert_books_hold(books)


async def test_stepping_in_needs_a_reason(books: Database) -> None:
    _, payout_id = await opened(books, PayoutState.HELD)
    for step in (payouts.hold, payouts.release):
        with pytest.raises(InputError, match="needs a reason"):
            await step(books, payout_id, reason="  ", actor="ana")


async def test_payouts_are_found_by_the_beginning_of_their_id(books: Database) -> None:
    _, payout_id = await opened(books, PayoutState.INVOICED)
    view, records, log = await payouts.show(books, payout_id[:4].upper())
    assert (view.payout_id, view.amount_sats, view.records) == (payout_id, 12096, 1)
    assert [(r["sats"], r["state"], r["active"]) for r in records] == [(12096, "in-payout", True)]
    assert [line["event"] for line in log] == ["reserved", "invoiced"]
    for reference in (payout_id[:3], "", "zzzz", "%%%%"):
        with pytest.raises(NotFoundError, match="there is no payout"):
            await payouts.show(books, reference)


async def test_payouts_are_listed_by_state_and_client(books: Database) -> None:
    client_id, payout_id = await opened(books, PayoutState.INVOICED)
    assert [p.payout_id for p in await payouts.list_all(books, states=("invoiced",), client=client_id)] == [
        payout_id
    ]
    assert await payouts.list_all(books, states=("settled",)) == []
    assert await payouts.list_all(books, client=client_id + 1) == []
