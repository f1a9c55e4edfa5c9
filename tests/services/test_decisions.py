"""What a person decides about a cash-out is decided once, and no scan undoes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dca_daemon.domain.cash_out import CashOutState, SourceRow
from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.split import SplitMethod
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.services import baseline, cash_outs, cash_report, decisions, filters, reversals
from dca_daemon.services.cash_outs import CashOutView
from dca_daemon.services.filters import FilterKind
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import client, sql, success, value
from tests.services.test_baseline import FakeSource
from tests.services.test_cash_outs import FINGERPRINT
from tests.services.test_manual_cash_outs import enter, settling


async def process(db: Database, *rows: SourceRow) -> None:
    await Intake(db, IntakeConfig()).process(rows)


async def distribute(db: Database, reference: str, *, rehearse: bool = False, **config: Any) -> CashOutView:
    return await decisions.distribute(
        db, Intake(db, IntakeConfig(**config)), reference, reason="asked", actor="ana", rehearse=rehearse
    )


async def ignore(db: Database, reference: str) -> CashOutView:
    return await decisions.ignore(db, reference, reason="a test of the machine", actor="ana")


async def state(db: Database, row: SourceRow) -> CashOutState:
    return (await cash_outs.show(db, row.external_id)).summary.state


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def test_what_waits_is_distributed_on_demand(books: Database) -> None:
    await client(books, "20000")
    cancelled = success(error="Operator cancel")
    await process(books, cancelled)
    before = await value(books, FINGERPRINT)
    seen = await distribute(books, cancelled.external_id, rehearse=True)
    assert await value(books, FINGERPRINT) == before
    done = await distribute(books, cancelled.external_id)
    assert done.split == seen.split and done.summary.state is CashOutState.DISTRIBUTED
    assert (done.summary.reason, done.summary.reason_text) == ("operator", "by hand, ana: asked")
    assert done.summary.happened_at == cancelled.dispensed_at
    assert done.source_row["digest"] == cancelled.digest  # so that the next scan has nothing to say
    assert await value(books, "SELECT before ->> 'reason' FROM audit_log WHERE reason = 'asked'") == (
        "paid-and-cancelled"
    )
    assert await value(books, "SELECT DISTINCT type FROM distribution_record") == "flow"
    with pytest.raises(ConflictError, match="is distributed already"):
        await distribute(books, cancelled.external_id)
    await assert_books_hold(books)


async def test_what_cant_be_used_or_was_not_dispensed_stays(books: Database) -> None:
    await client(books, "20000")
    bare, failed = success(commission_percentage=None), success(dispense_confirmed=False)
    eth = success(crypto_code="ETH")
    await process(books, bare, failed, eth)
    for row, words in ((bare, "no commission"), (failed, "cash-out add"), (eth, "ETH is not bitcoin")):
        with pytest.raises(InputError, match=words):
            await distribute(books, row.external_id)
    with pytest.raises(InputError, match="needs a reason"):
        await decisions.ignore(books, bare.external_id, reason=" ", actor="x")
    assert await value(books, "SELECT count(*) FROM distribution") == 0
    # A setting makes it usable, and then it is distributed on demand too.
    done = await distribute(books, bare.external_id, split_method=SplitMethod.TICKER)
    assert done.split is not None and done.split.method == SplitMethod.TICKER


async def test_what_is_ignored_stays_so_when_it_succeeds(books: Database) -> None:
    await client(books, "20000")
    failed = success(dispense_confirmed=False, tx_version=4)
    await process(books, failed)
    view = await ignore(books, failed.external_id)
    assert (view.summary.state, view.summary.reason) == (CashOutState.IGNORED, "operator")
    now = success(external_id=failed.external_id)
    result = await Intake(books, IntakeConfig()).process([now])
    assert [m.succeeded_after_all for m in result.changed] == [True]
    assert await state(books, failed) is CashOutState.IGNORED
    assert await value(books, "SELECT count(*) FROM distribution") == 0
    with pytest.raises(ConflictError, match="is ignored by hand already"):
        await ignore(books, failed.external_id)
    # Who ignored it may think better of it.
    await distribute(books, failed.external_id)
    with pytest.raises(ConflictError, match="is distributed already"):
        await ignore(books, failed.external_id)
    await assert_books_hold(books)


async def test_what_was_before_the_baseline_is_distributed_only_on_demand(books: Database) -> None:
    await client(books, "20000")
    row = success()
    await baseline.ensure(books, FakeSource(row), actor="test")
    await process(books, row)
    assert await state(books, row) is CashOutState.BEFORE_BASELINE
    await distribute(books, row.external_id)
    assert await state(books, row) is CashOutState.DISTRIBUTED
    await assert_books_hold(books)


async def take_back(db: Database, reference: str) -> None:
    shown = await cash_outs.show(db, reference)
    query = "SELECT id FROM distribution WHERE cash_out_id = :id AND reversed_at IS NULL"
    found = await value(db, query, id=shown.summary.cash_out_id)
    await reversals.reverse(db, found, reason="wrong amounts", actor="ana")


@pytest.mark.parametrize("by_hand", [False, True], ids=["lamassu's", "entered"])
@pytest.mark.parametrize("way", ["distribute", "ignore", "enter"])
async def test_what_was_taken_back_waits_for_a_person_who_may_decide_each_way(
    books: Database, way: str, by_hand: bool
) -> None:
    await client(books, "20000")
    row = success(dispense_confirmed=not by_hand)
    await process(books, row)
    reference = row.external_id
    if by_hand:
        reference = (await enter(books, settling(row.external_id, reference="first"))).summary.external_id
    await take_back(books, reference)
    await process(books, success(external_id=row.external_id, tx_version=9))  # no scan decides it
    waits = (await cash_outs.show(books, reference)).summary
    assert (waits.state, waits.reason) == (CashOutState.REVIEW, "reversed")
    assert await value(books, "SELECT count(*) FROM distribution WHERE reversed_at IS NULL") == 0
    if way == "distribute":
        assert (await distribute(books, reference)).summary.state is CashOutState.DISTRIBUTED
        await take_back(books, reference)
        assert (await distribute(books, reference)).split is not None  # any number of times
    elif way == "ignore":
        assert (await ignore(books, reference)).summary.state is CashOutState.IGNORED
    else:
        again = settling(reference, reference="second", fiat="1900")
        assert (await enter(books, again)).summary.settles_id == waits.cash_out_id
        assert (await cash_outs.show(books, reference)).summary.state is CashOutState.SETTLED_BY_HAND
        with pytest.raises(ConflictError, match="is settled-by-hand already"):
            await distribute(books, reference)
    await process(books, success(external_id=row.external_id, tx_version=10))
    in_force = 0 if way == "ignore" else 1
    assert await value(books, "SELECT count(*) FROM distribution WHERE reversed_at IS NULL") == in_force
    (report,) = await cash_report.report(books)
    notes = {"distribute": 200_000 if by_hand else 400_000, "ignore": 0, "enter": 190_000}[way]
    assert report.cash_minor == 2_000_000 - notes
    await assert_books_hold(books)


async def test_what_a_filter_left_out_is_the_past_until_somebody_wants_it(books: Database) -> None:
    await client(books, "20000")
    await process(books, success(dispense_confirmed=False))
    added = [
        await filters.add(books, kind, which, reason="why", actor="ana")
        for kind, which in ((FilterKind.COIN, "ln"), (FilterKind.MACHINE, "antigua"), (FilterKind.POOL, "default"))
    ]
    ln, failed = success(crypto_code="LN"), success(dispense_confirmed=False, tx_version=4)
    cancelled = success(error="Operator cancel")
    await process(books, ln, failed, cancelled)
    reasons = {row: (await cash_outs.show(books, row.external_id)).summary for row in (ln, failed, cancelled)}
    assert [s.reason for s in reasons.values()] == ["filter-coin", "dispense-unconfirmed", "filter-machine"]
    assert reasons[ln].reason_text == f"filter {added[0].filter_id} leaves out the coin LN"
    await filters.remove(books, added[1].filter_id, reason="repaired", actor="ana")
    other = success()
    await process(books, other)
    assert (await cash_outs.show(books, other.external_id)).summary.reason == "filter-pool"
    assert [f.left_out for f in await filters.list_all(books)] == [1, 1]
    for f in (added[0], added[2]):
        await filters.remove(books, f.filter_id, reason="no longer", actor="ana")
    # Of the past nothing is distributed by itself; what had not succeeded yet is no past.
    await process(books, success(external_id=ln.external_id, crypto_code="LN", tx_version=9))
    await process(books, success(external_id=failed.external_id))
    assert [await state(books, row) for row in (ln, failed)] == [CashOutState.IGNORED, CashOutState.DISTRIBUTED]
    found = await cash_outs.left_out(books)
    assert {c.external_id for c in found} == {ln.external_id, cancelled.external_id, other.external_id}
    assert await cash_outs.left_out(books, since=datetime(2026, 12, 1, tzinfo=UTC)) == []
    await sql(books, "UPDATE cash_out SET commission_percentage = NULL WHERE crypto_code = 'LN'")
    ids = [c.cash_out_id for c in found]
    done = await decisions.distribute_several(
        books, Intake(books, IntakeConfig()), ids, reason="let them in", actor="ana"
    )
    assert done.distributed == 2 and [text for _, text in done.refused] == ["the row has no commission_percentage"]
    await assert_books_hold(books)


async def test_filters_are_refused_where_they_name_nothing(books: Database) -> None:
    for kind, which, words in (
        (FilterKind.COIN, "ETH", "no coin to filter"),
        (FilterKind.MACHINE, "x", "no machine"),
        (FilterKind.POOL, "x", "no pool"),
    ):
        with pytest.raises(InputError, match=words):
            await filters.add(books, kind, which, reason="why", actor="ana")
    with pytest.raises(InputError, match="needs a reason"):
        await filters.add(books, FilterKind.COIN, "LN", reason=" ", actor="ana")
    added = await filters.add(books, FilterKind.COIN, "LN", reason="why", actor="ana")
    with pytest.raises(ConflictError, match="left out already"):
        await filters.add(books, FilterKind.COIN, "LN", reason="why", actor="ana")
    await filters.remove(books, added.filter_id, reason="why", actor="ana")
    with pytest.raises(ConflictError, match="was removed by ana already"):
        await filters.remove(books, added.filter_id, reason="why", actor="ana")
    assert await filters.list_all(books) == []
    assert [f.removed_by for f in await filters.list_all(books, removed=True)] == ["ana"]


DEEDS = ("scan", "distribute", "ignore", "enter")


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(deeds=st.lists(st.sampled_from(DEEDS), min_size=2, max_size=5), cancelled=st.booleans())
async def test_whoever_decides_at_once_it_is_decided_once(
    books: Database, deeds: list[str], cancelled: bool
) -> None:
    """Scans and persons, all at the same cash-out at the same time: at most one distribution comes of it."""
    if not await value(books, "SELECT count(*) FROM client"):
        await client(books, "900000")
    row = success(error="Operator cancel" if cancelled else None)
    await process(books, success(external_id=row.external_id, dispense_confirmed=False, tx_version=4))
    if cancelled:
        await process(books, row)

    def begin(number: int, deed: str) -> Awaitable[Any]:
        if deed == "scan":
            return process(books, row)
        if deed == "distribute":
            return distribute(books, row.external_id)
        if deed == "ignore":
            return ignore(books, row.external_id)
        return enter(books, settling(row.external_id, reference=f"{row.external_id[:8]}-{number}"))

    found = await asyncio.gather(*(begin(n, d) for n, d in enumerate(deeds)), return_exceptions=True)
    for one in found:
        assert not isinstance(one, BaseException) or isinstance(one, InputError), one
    shown = await cash_outs.show(books, row.external_id)
    distributed = shown.summary.state is CashOutState.DISTRIBUTED
    settled = shown.summary.state is CashOutState.SETTLED_BY_HAND
    assert (shown.split is not None) == distributed
    assert (shown.summary.settled_by_id is not None) == settled
    await process(books, success(external_id=row.external_id, tx_version=7))  # whatever comes later
    after = await cash_outs.show(books, row.external_id)
    if distributed or settled or shown.summary.reason == "operator":
        assert after.summary.state is shown.summary.state
    await assert_books_hold(books)
