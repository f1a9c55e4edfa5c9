"""Gathered commission is looked at in time; no fault of it takes anything else down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.runtime import releaser as module
from dca_daemon.runtime.releaser import Releaser

Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(module, "_RETRY_SECONDS", (0.0,))


class Looks:
    """Stands for the look at the books: what each comes to, and how many there were."""

    def __init__(self, *results: list[object] | Exception) -> None:
        self._results = list(results)
        self.number = 0
        self._changed = asyncio.Condition()

    async def __call__(self) -> list[object]:
        async with self._changed:
            self.number += 1
            self._changed.notify_all()
        result = self._results.pop(0) if self._results else []
        if isinstance(result, Exception):
            raise result
        return result

    async def reach(self, number: int) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: self.number >= number)


async def ended(running: asyncio.Task[None]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_it_looks_when_commission_was_booked_and_wakes_the_payer(quick: None) -> None:
    looks, payer_woken = Looks([], [object()], []), 0

    def wake_payer() -> None:
        nonlocal payer_woken
        payer_woken += 1

    releaser = Releaser(looks, wake_payer)
    running = asyncio.create_task(releaser.run())
    await looks.reach(1)
    assert payer_woken == 0
    for number in (2, 3):
        releaser.wake()
        await looks.reach(number)
    assert payer_woken == 1
    await ended(running)


async def test_it_looks_by_itself_too(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    looks = Looks()
    running = asyncio.create_task(Releaser(looks, lambda: None).run())
    await looks.reach(3)
    await ended(running)


async def test_no_fault_ends_it(quick: None, logged: Logged) -> None:
    looks = Looks(RuntimeError("a fault of ours"), DatabaseError("away"))
    running = asyncio.create_task(Releaser(looks, lambda: None).run())
    await looks.reach(3)
    await ended(running)
    fault, away = logged()
    assert (fault["event"], fault["level"]) == ("commission.release-failed", "warning")
    assert (fault["error"], "exception" in fault) == ("a fault of ours", True)
    assert (away["error"], "exception" in away) == ("away", False)
