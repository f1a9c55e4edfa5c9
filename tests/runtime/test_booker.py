"""Batches: as large as they are quick, so that a sign of life is never far."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.runtime import booker
from dca_daemon.runtime.booker import Booker
from dca_daemon.runtime.heartbeats import Heartbeats
from dca_daemon.runtime.metrics import Metrics, Snapshot
from dca_daemon.runtime.service_queue import CashOutQueue
from dca_daemon.services.intake import Intake, IntakeResult
from tests.services.builders import success


class TimedIntake:
    """Books nothing, and takes so long for it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.batches: list[int] = []

    async def process(self, batch: Sequence[SourceRow]) -> IntakeResult:
        self.batches.append(len(batch))
        await asyncio.sleep(self.seconds)
        return IntakeResult()


async def batches(intake: TimedIntake, rows: int) -> list[int]:
    queue = CashOutQueue(1000)
    await queue.put([success() for _ in range(rows)])
    made = Booker(
        queue,
        cast(Intake, intake),
        lambda: None,
        Heartbeats(),
        Metrics(Snapshot, version="test"),
        batch_size=20,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(made.run(stop))
    async with asyncio.timeout(10):
        while queue.pending:  # noqa: ASYNC110 - the queue has no event for it
            await asyncio.sleep(0.005)
    stop.set()
    await running
    return intake.batches


async def test_quick_batches_grow_to_their_limit() -> None:
    assert await batches(TimedIntake(0), 71) == [1, 2, 4, 8, 16, 20, 20]


async def test_slow_batches_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    intake = TimedIntake(0)
    monkeypatch.setattr(booker, "_SLOW_SECONDS", 0.04)
    monkeypatch.setattr(booker, "_QUICK_SECONDS", 0.02)

    async def slower_the_more(batch: Sequence[SourceRow]) -> IntakeResult:
        intake.seconds = 0.008 * len(batch)
        return await TimedIntake.process(intake, batch)

    monkeypatch.setattr(intake, "process", slower_the_more)
    assert max(await batches(intake, 40)) <= 8
