"""The queue between scanner and intake."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.runtime.service_queue import CashOutQueue


def row(external_id: str) -> SourceRow:
    return SourceRow(
        external_id=external_id,
        device_id="d",
        crypto_code="LN",
        crypto_atoms=Decimal(1000),
        fiat=Decimal(10),
        fiat_code="GTQ",
        status="confirmed",
        dispense=True,
        dispense_confirmed=True,
        redeem=False,
        error=None,
        error_code=None,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        confirmed_at=None,
        commission_percentage=Decimal("0.05"),
        discount=None,
        raw_ticker_price=None,
        fixed_fee=None,
        tx_version=1,
    )


async def test_rows_come_out_in_order_and_in_batches() -> None:
    queue = CashOutQueue(10)
    rows = [row(str(number)) for number in range(5)]
    assert await queue.put(rows) == 5
    assert queue.size == 5
    assert await queue.get_batch(3) == rows[:3]
    assert await queue.get_batch(3) == rows[3:]
    assert (queue.size, queue.pending) == (0, 5)


async def test_a_row_is_not_taken_twice_until_it_is_done() -> None:
    queue = CashOutQueue(10)
    first = row("a")
    assert await queue.put([first, first]) == 1
    assert await queue.put([first]) == 0
    batch = await queue.get_batch(10)
    assert await queue.put([first]) == 0, "it is being booked"
    queue.done(batch)
    assert await queue.put([first]) == 1


async def test_a_changed_row_is_another_one() -> None:
    queue = CashOutQueue(10)
    changed = replace(row("a"), tx_version=2)
    assert await queue.put([row("a"), changed]) == 2


async def test_a_full_queue_makes_the_scanner_wait_and_loses_nothing() -> None:
    queue = CashOutQueue(2)
    putting = asyncio.create_task(queue.put(row(str(number)) for number in range(5)))
    seen: list[str] = []
    async with asyncio.timeout(5):
        while len(seen) < 5:
            batch = await queue.get_batch(2)
            assert queue.size <= 2
            seen += [item.external_id for item in batch]
        assert await putting == 5
    assert seen == ["0", "1", "2", "3", "4"]


async def test_a_batch_waits_for_the_first_row() -> None:
    queue = CashOutQueue(2)
    getting = asyncio.create_task(queue.get_batch(2))
    await asyncio.sleep(0)
    assert not getting.done()
    await queue.put([row("a")])
    assert len(await asyncio.wait_for(getting, 5)) == 1


async def test_a_cancelled_put_does_not_leave_its_row_pending() -> None:
    queue = CashOutQueue(1)
    await queue.put([row("a")])
    putting = asyncio.create_task(queue.put([row("b")]))
    await asyncio.sleep(0)
    assert queue.pending == 2
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert queue.pending == 1


async def test_what_waited_when_another_was_active_is_forgotten() -> None:
    queue = CashOutQueue(10)
    await queue.put([row("a"), row("b")])
    queue.clear()
    assert (queue.size, queue.pending) == (0, 0)
    assert await queue.put([row("a")]) == 1
