"""The treasury adds up, whatever happened, and agrees with the ledger."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dca_daemon.domain.errors import BooksError, InputError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.services import treasury
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.payout_resolution import Resolution, resolve
from dca_daemon.services.payouts import hold
from tests.fixtures.postgres import TestDb
from tests.ledger.filled import fail, fill, invoice, reserve, settle, submit
from tests.services.builders import client, success, value

UTC = ZoneInfo("UTC")
GUATEMALA = ZoneInfo("America/Guatemala")


async def whole(db: Database, zone: ZoneInfo = UTC) -> treasury.Treasury:
    return await treasury.show(db, reserve_sats=1000, zone=zone)


async def test_of_what_was_received_everything_is_accounted_for(books: Database) -> None:
    await fill(books)
    view = await whole(books, GUATEMALA)
    totals = view.totals
    assert totals.received_msat == 2 * 512_400_000
    assert totals.fees_msat == 7
    assert totals.kept_msat == 2 * 28_182_000 - 7
    assert totals.accounted_msat == totals.received_msat
    owed = totals.owed
    assert owed.to_pay_sats == owed.clients_sats + owed.in_flight_sats > 0
    assert view.to_move_sats(0) == owed.to_pay_sats + 1000
    assert view.to_move_sats((owed.to_pay_sats + 1000) * 1000) == 0
    assert view.to_move_sats((owed.to_pay_sats + 1000) * 1000 - 1) == 1  # a millisatoshi short: a whole sat
    assert sum(day.owed_more_msat for day in view.days) == totals.owed_msat


async def test_a_move_and_back_changes_both_wallets_only(books: Database) -> None:
    await fill(books)
    before = (await whole(books)).totals
    shown = await treasury.preview(books, sats=5000, fee_sats=20)
    assert shown.atm_after_msat == shown.atm_before_msat - 5_020_000 and shown.last is None
    await treasury.move(books, sats=5000, fee_sats=20, reason=" on-chain ", actor="test")
    await treasury.move(books, sats=-1000, fee_sats=3, reason="back", actor="test")
    after = (await whole(books)).totals
    assert after.moved_msat == 4_000_000
    assert after.fees_msat == before.fees_msat + 23_000
    assert after.kept_msat == before.kept_msat - 23_000  # the house pays for it
    assert (after.received_msat, after.owed) == (before.received_msat, before.owed)
    assert [m.reason for m in await treasury.moves(books)] == ["back", "on-chain"]
    assert await value(books, "SELECT count(*) FROM audit_log WHERE action = 'treasury.move'") == 2
    assert all(check.holds for check in await verify(books))


@pytest.mark.parametrize(("sats", "fee"), [(0, 0), (10, 10), (-10, 10), (10, -1), (10**18, 0)])
async def test_a_move_that_makes_no_sense_is_refused(books: Database, sats: int, fee: int) -> None:
    with pytest.raises(InputError):
        await treasury.move(books, sats=sats, fee_sats=fee, reason="x", actor="test")
    with pytest.raises(InputError, match="reason"):
        await treasury.move(books, sats=10, fee_sats=0, reason=" ", actor="test")
    assert await value(books, "SELECT count(*) FROM treasury_move") == 0


async def test_a_treasury_that_does_not_add_up_says_so(books: Database) -> None:
    await fill(books)
    async with books.transaction() as conn:
        await conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        await conn.exec_driver_sql("UPDATE account SET balance = balance + 1 WHERE name = 'coins:received'")
    with pytest.raises(BooksError, match="coins-received"):
        await whole(books)


STEPS = st.lists(
    st.tuples(st.sampled_from(("cash-out", "settle", "fail", "lose", "move", "back")), st.integers(1, 400_000)),
    min_size=3,
    max_size=12,
)


@given(STEPS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_identity_holds_whatever_happens(books_db: TestDb, steps: list[tuple[str, int]]) -> None:
    """One growing book: each example goes on where the one before ended."""

    async def session() -> None:
        db = Database(books_db.sqlalchemy_url)
        try:
            for what, amount in steps:
                await _step(db, what, amount)
            view = await whole(db)
            assert view.totals.accounted_msat == view.totals.received_msat
            assert sum(day.owed_more_msat for day in view.days) == (
                view.totals.owed_msat - view.totals.owed.credits_sats * 1000
            )
        finally:
            await db.close()

    asyncio.run(session())


async def _step(db: Database, what: str, amount: int) -> None:
    if what == "cash-out":
        if not await value(db, "SELECT count(*) FROM client"):
            await client(db, "90000")
            await client(db, "12345.67")
        await Intake(db, IntakeConfig()).process([success(crypto_atoms=Decimal(amount))])
    elif what in ("move", "back"):
        sats = amount if what == "move" else -amount
        await treasury.move(db, sats=sats, fee_sats=amount // 3, reason="x", actor="test")
    else:
        owed = await value(db, "SELECT min(client_id) FROM distribution_record WHERE state = 'owed'")
        payout_id = None if owed is None else await reserve(db, owed)
        if payout_id is None:
            return
        await invoice(db, payout_id)
        await submit(db, payout_id)
        if what == "settle":
            await settle(db, payout_id, fee_msat=amount)
        elif what == "fail":
            await fail(db, payout_id, PayoutState.FAILED)
        else:
            await hold(db, payout_id, reason="x", actor="test")
            await resolve(db, payout_id, Resolution.WRITTEN_OFF, reason="x", actor="test")


async def test_nothing_yet(books: Database) -> None:
    view = await whole(books)
    assert view.totals.received_msat == 0 and view.days == ()
