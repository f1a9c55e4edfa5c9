"""What a person may conclude about a held payout, and what the books make of it."""

from __future__ import annotations

import pytest

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.services import payouts
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.payout_resolution import Resolution, resolve
from tests.ledger.filled import invoice, reserve, submit
from tests.services.builders import client, success, value

SATS = 484218


async def held(books: Database, *, submitted: bool = True) -> str:
    """A held payout of 484,218 sats."""
    client_id = await client(books, "20000")
    await Intake(books, IntakeConfig()).process([success()])
    payout_id = await reserve(books, client_id)
    assert payout_id is not None
    if submitted:
        await invoice(books, payout_id)
        await submit(books, payout_id)
    await payouts.hold(books, payout_id, reason="torn", actor="test")
    return payout_id


async def balance(books: Database, account: str) -> int:
    found = await value(books, "SELECT balance FROM account WHERE name = :name", name=account)
    return int(found or 0)


async def assert_books_hold(books: Database) -> None:
    assert [check for check in await verify(books) if not check.holds] == []


async def test_settled_by_evidence(books: Database) -> None:
    payout_id = await held(books)
    view = await resolve(books, payout_id, Resolution.SETTLED, reason="Ana showed me her wallet", actor="op")
    assert view.state is PayoutState.SETTLED
    assert await value(books, "SELECT state FROM distribution_record") == "settled"
    assert await balance(books, "coins:source") == -SATS * 1000
    assert (
        await value(books, "SELECT reason FROM audit_log ORDER BY id DESC LIMIT 1") == "Ana showed me her wallet"
    )
    await assert_books_hold(books)


async def test_void_makes_it_owed_again(books: Database) -> None:
    payout_id = await held(books)
    view = await resolve(books, payout_id, Resolution.VOID, reason="the node has no such payment", actor="op")
    assert view.state is PayoutState.VOID
    assert await value(books, "SELECT state FROM distribution_record") == "owed"
    assert await balance(books, "coins:source") == 0
    await assert_books_hold(books)


async def test_written_off_is_a_loss_of_the_house_and_owed_again(books: Database) -> None:
    payout_id = await held(books)
    await resolve(books, payout_id, Resolution.WRITTEN_OFF, reason="left, never arrived", actor="op")
    assert await value(books, "SELECT state FROM distribution_record") == "owed"
    assert await balance(books, "expense:losses") == SATS * 1000
    assert await balance(books, "coins:source") == -SATS * 1000
    await assert_books_hold(books)


@pytest.mark.parametrize("resolution", [Resolution.SETTLED, Resolution.WRITTEN_OFF])
async def test_what_was_never_submitted_can_only_be_void(books: Database, resolution: Resolution) -> None:
    payout_id = await held(books, submitted=False)
    with pytest.raises(ConflictError, match="never submitted"):
        await resolve(books, payout_id, resolution, reason="x", actor="op")
    await resolve(books, payout_id, Resolution.VOID, reason="wrong wallet", actor="op")
    await assert_books_hold(books)


async def test_only_a_held_payout_and_only_with_a_reason(books: Database) -> None:
    payout_id = await held(books)
    with pytest.raises(InputError, match="needs a reason"):
        await resolve(books, payout_id, Resolution.VOID, reason="  ", actor="op")
    await resolve(books, payout_id, Resolution.VOID, reason="sure", actor="op")
    with pytest.raises(ConflictError, match="only a held one"):
        await resolve(books, payout_id, Resolution.VOID, reason="sure", actor="op")
