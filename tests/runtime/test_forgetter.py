"""What is over is forgotten by and by; no fault of it takes anything else down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.runtime import forgetter as module
from dca_daemon.runtime.forgetter import Forgetter

Logged = Callable[[], list[dict[str, Any]]]


async def test_it_goes_on_after_a_fault(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    for name, value in (("START_DELAY_SECONDS", 0.0), ("EVERY_SECONDS", 0.0), ("_RETRY_SECONDS", (0.0, 0.001))):
        monkeypatch.setattr(module, name, value)
    answers: list[dict[str, int] | Exception] = [DatabaseError("away"), KeyError("x"), {"sessions": 3}, {}]
    done = asyncio.Event()

    async def forget() -> dict[str, int]:
        if not answers:
            done.set()
            await asyncio.sleep(60)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    running = asyncio.create_task(Forgetter(forget).run())
    await asyncio.wait_for(done.wait(), 30)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    told = [line for line in logged() if str(line["event"]).startswith("retention.")]
    assert [line["event"] for line in told] == ["retention.failed", "retention.failed", "retention.forgotten"]
    assert "exception" not in told[0] and "exception" in told[1] and told[2]["sessions"] == 3
    assert [line.get("retry_seconds") for line in told] == [0.0, 0.001, None]
