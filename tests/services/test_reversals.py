"""A distribution of which nothing was paid can be taken back, wholly; one that was paid can't."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dca_daemon.domain.cash_out import CashOutState, SourceRow
from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database, rows
from dca_daemon.ledger.verify import verify
from dca_daemon.services import (
    adjustments,
    cash_outs,
    clients,
    commission_overview,
    distribution_views,
    payouts,
    reversals,
)
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.ledger.filled import invoice, reserve, settle, submit
from tests.services.builders import client, sql, success, value
from tests.services.test_commission import share

BALANCES = """SELECT string_agg(name || ' ' || balance, ', ' ORDER BY name) FROM account WHERE balance <> 0"""


async def distributed(db: Database, **changes: Any) -> tuple[SourceRow, int]:
    """A cash-out, and the id of its distribution."""
    row = success(**changes)
    await process(db, row)
    found = await value(
        db,
        "SELECT d.id FROM distribution d JOIN cash_out c ON c.id = d.cash_out_id WHERE c.external_id = :x",
        x=row.external_id,
    )
    return row, int(found)


async def process(db: Database, row: SourceRow) -> int:
    return len((await Intake(db, IntakeConfig()).process([row])).distributed)


async def take_back(db: Database, distribution_id: int) -> distribution_views.DistributionView:
    return await reversals.reverse(db, distribution_id, reason="test", actor="os:operator")


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def test_everybody_stands_as_if_it_had_not_been(books: Database) -> None:
    ana, wallet = await client(books, "20000"), await client(books, mode="commission")
    await client(books, "0.01")
    await share(books, (ana, "20"), (wallet, "10"))
    before = await value(books, BALANCES)
    row, distribution_id = await distributed(books)
    view = await take_back(books, distribution_id)
    assert await value(books, BALANCES) == before
    assert {r.state for r in view.records} == {"reversed"} and view.reversed_at is not None
    shown = await cash_outs.show(books, row.external_id)
    assert (shown.summary.state, shown.summary.reason) == (CashOutState.REVIEW, "reversed")
    assert shown.split is None and shown.shares == () and shown.summary.clients is None
    assert [e["event"] for e in shown.log] == ["seen", "booked", "reversed"]
    entry = await value(books, "SELECT corrects_entry_id FROM journal_entry WHERE template = 'reversal'")
    assert entry == view.entry_id
    audited = "SELECT count(*) FROM audit_log WHERE action = 'distribution.reverse' AND actor = 'os:operator'"
    assert await value(books, audited) == 1
    await assert_books_hold(books)


async def test_no_scan_distributes_it_again_by_itself(books: Database) -> None:
    await client(books, "20000")
    row, distribution_id = await distributed(books)
    await take_back(books, distribution_id)
    assert await process(books, row) == 0
    assert await process(books, success(external_id=row.external_id, tx_version=9)) == 0
    shown = await cash_outs.show(books, row.external_id)
    assert (shown.summary.state, shown.summary.reason) == (CashOutState.REVIEW, "reversed")


async def test_it_can_be_decided_anew_each_time_with_a_key_of_its_own(books: Database) -> None:
    ana = await client(books, "20000")
    row, first = await distributed(books)
    for turn in range(1, 3):
        await take_back(books, await value(books, "SELECT max(id) FROM distribution"))
        await sql(books, "UPDATE cash_out SET state = 'due'")
        assert await process(books, row) == 1
        keys = [f"cash-out:lamassu:{row.external_id}{n}" for n in ("", ":1", ":2")[: turn + 1]]
        async with books.transaction() as conn:
            found = await rows(
                conn,
                "SELECT idempotency_key FROM journal_entry WHERE template = 'cash-out-distributed' ORDER BY id",
            )
        assert [r.idempotency_key for r in found] == keys
        await assert_books_hold(books)
    shown = await cash_outs.show(books, row.external_id)
    assert shown.summary.state is CashOutState.DISTRIBUTED and len(shown.shares) == 1
    assert (await clients.show(books, str(ana))).balances[0].balance_minor == 2_000_000 - 378_000
    assert [v.distribution_id for v in await distribution_views.list_all(books, reversed_only=True)] == [2, 1]
    assert first == 1


async def test_gathered_commission_goes_too(books: Database) -> None:
    wallet = await client(books, mode="commission")
    await share(books, (wallet, "50"))
    await distributed(books)
    await sql(
        books, "INSERT INTO commission_version (pay, pay_from_sats, actor) VALUES ('from-amount', 1, 'test')"
    )
    await sql(books, "INSERT INTO commission_share (version_id, client_id, basis_points) VALUES (2, 1, 5000)")
    _, second = await distributed(books)
    await take_back(books, second)
    (receiver,) = (await commission_overview.show(books)).receivers
    assert (receiver.gathered_sats, receiver.owed_sats) == (0, 14_091)
    await assert_books_hold(books)


async def test_what_was_paid_is_refused_and_says_what_can_be_done(books: Database) -> None:
    ana = await client(books, "20000")
    await client(books, "10000")
    _, distribution_id = await distributed(books)
    payout_id = await reserve(books, ana)
    assert payout_id is not None
    await invoice(books, payout_id)
    await submit(books, payout_id)
    before = await value(books, BALANCES)
    with pytest.raises(ConflictError, match="submitted, and may have been paid"):
        await take_back(books, distribution_id)
    await payouts.hold(books, payout_id, reason="test", actor="test")
    with pytest.raises(ConflictError, match="held, and may have been paid"):
        await take_back(books, distribution_id)
    assert await value(books, BALANCES) == before
    await payouts.release(books, payout_id, reason="test", actor="test")
    await settle(books, payout_id)
    with pytest.raises(ConflictError, match=r"has been paid.*client adjust"):
        await take_back(books, distribution_id)
    assert await value(books, "SELECT count(*) FROM distribution WHERE reversed_at IS NOT NULL") == 0
    await assert_books_hold(books)


@pytest.mark.parametrize("with_invoice", [False, True])
async def test_a_payout_that_was_never_submitted_is_held_first_and_then_ends(
    books: Database, with_invoice: bool
) -> None:
    ana = await client(books, "20000")
    _, first = await distributed(books)
    _, second = await distributed(books)
    payout_id = await reserve(books, ana)
    assert payout_id is not None
    if with_invoice:
        await invoice(books, payout_id)
    with pytest.raises(ConflictError, match=f"payout hold {payout_id}"):
        await take_back(books, first)
    await payouts.hold(books, payout_id, reason="test", actor="test")
    await take_back(books, first)
    assert (await payouts.show(books, payout_id))[0].state is PayoutState.VOID
    assert (
        await value(books, "SELECT state FROM distribution_record WHERE distribution_id = :d", d=second) == "owed"
    )
    await assert_books_hold(books)


async def test_an_adjustment_can_be_taken_back_too(books: Database) -> None:
    ana = await client(books, "100")
    wish = adjustments.Wish(str(ana), "test", sats="+700")
    await adjustments.apply(books, wish, actor="test")
    before = await value(books, "SELECT count(*) FROM cash_out")
    view = await take_back(books, 1)
    assert (view.kind, view.total_sats, before) == ("adjustment", 700, 0)
    assert (await clients.show(books, str(ana))).owed_sats == 0
    await assert_books_hold(books)


async def test_bad_input_changes_nothing(books: Database) -> None:
    await client(books, "100")
    row, distribution_id = await distributed(books)
    with pytest.raises(InputError, match="reason"):
        await reversals.reverse(books, distribution_id, reason="  ", actor="test")
    with pytest.raises(NotFoundError, match="no distribution 77"):
        await take_back(books, 77)
    await take_back(books, distribution_id)
    with pytest.raises(ConflictError, match="reversed already"):
        await take_back(books, distribution_id)
    with pytest.raises(ConflictError, match="no distribution to reverse"):
        await distribution_views.find_of_cash_out(books, row.external_id)
    assert await value(books, "SELECT count(*) FROM journal_entry WHERE template = 'reversal'") == 1


async def test_of_the_payer_and_the_operator_one_is_first(books: Database) -> None:
    """Whoever comes second sees what the first has done: nothing is both paid and taken back."""
    ana = await client(books, "200000")
    found = [(await distributed(books))[1] for _ in range(6)]

    async def reverse_quietly(distribution_id: int) -> bool:
        try:
            await take_back(books, distribution_id)
        except ConflictError:
            return False
        return True

    results = await asyncio.gather(reserve(books, ana), *(reverse_quietly(d) for d in found))
    reserved = "SELECT coalesce(sum(sats), 0) FROM distribution_record WHERE state = 'in-payout'"
    taken_back = sum(1 for r in results[1:] if r)
    assert await value(books, reserved) == (6 - taken_back) * 484_218 * (results[0] is not None)
    await assert_books_hold(books)
