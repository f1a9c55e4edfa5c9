"""Services run together, and end together."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from dca_daemon.domain.errors import DcaError, SourceError
from dca_daemon.runtime.supervisor import stop_on_signals, supervise

Lines = Callable[[], list[dict[str, Any]]]


def events(lines: Lines) -> list[tuple[str, str]]:
    return [(line["event"], line["service"]) for line in lines()]


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_stop_lets_the_step_at_hand_finish(logged: Lines) -> None:
    stop, started, finished = asyncio.Event(), asyncio.Event(), []

    async def service() -> None:
        started.set()
        await stop.wait()
        await asyncio.sleep(0)
        finished.append("the step at hand")

    async with asyncio.timeout(5):
        run = asyncio.create_task(supervise({"payer": service}, stop, 5))
        await started.wait()
        stop.set()
        await run
    assert finished
    assert events(logged) == [("service.started", "payer"), ("service.stopped", "payer")]


async def test_who_does_not_stop_is_cancelled_after_the_grace(logged: Lines) -> None:
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(5):
        await supervise({"listener": forever}, stop, 0.01)
    assert ("service.cancelled", "listener") in events(logged)


async def test_a_fault_stops_the_others_and_is_raised(logged: Lines) -> None:
    stop, finished = asyncio.Event(), []

    async def fails() -> None:
        raise SourceError("the database is not Lamassu's")

    async def other() -> None:
        await stop.wait()
        finished.append(True)

    async with asyncio.timeout(5):
        with pytest.raises(SourceError, match="not Lamassu's"):
            await supervise({"scanner": fails, "payer": other, "listener": forever}, stop, 0.01)
    assert finished and stop.is_set()
    failed = next(line for line in logged() if line["event"] == "service.failed")
    assert failed["service"] == "scanner" and failed["code"] == "source" and "exception" not in failed


async def test_a_fault_within_a_services_own_group_keeps_its_sentence(logged: Lines) -> None:
    async def fails() -> None:
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", [SourceError("not Lamassu's")])])

    with pytest.raises(SourceError, match="not Lamassu's"):
        await supervise({"scanner": fails}, asyncio.Event(), 1)
    assert ("service.failed", "scanner") in events(logged)


async def test_a_bug_is_logged_with_its_traceback(logged: Lines) -> None:
    async def crashes() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await supervise({"intake": crashes}, asyncio.Event(), 1)
    crashed = next(line for line in logged() if line["event"] == "service.crashed")
    assert "KeyError" in crashed["exception"]


async def test_a_service_that_ends_by_itself_is_a_fault(logged: Lines) -> None:
    async def ends() -> None:
        return

    with pytest.raises(DcaError, match="the service scanner ended by itself"):
        await supervise({"scanner": ends, "listener": forever}, asyncio.Event(), 0.01)


async def test_a_cancellation_from_within_is_a_fault(logged: Lines) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async with asyncio.timeout(5):
        with pytest.raises(DcaError, match="ended by a cancellation within it"):
            await supervise({"scanner": cancelled, "listener": forever}, asyncio.Event(), 0.01)


async def test_a_fault_while_stopping_is_not_lost(logged: Lines) -> None:
    stop = asyncio.Event()

    async def service() -> None:
        await stop.wait()
        raise SourceError("too late")

    stop.set()
    with pytest.raises(SourceError, match="too late"):
        await supervise({"scanner": service}, stop, 1)


async def test_cancelling_the_supervisor_cancels_all(logged: Lines) -> None:
    started = asyncio.Event()

    async def service() -> None:
        started.set()
        await forever()

    run = asyncio.create_task(supervise({"scanner": service}, asyncio.Event(), 1))
    await started.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert ("service.cancelled", "scanner") in events(logged)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_and_the_second_has_its_ordinary_effect(
    logged: Lines, number: signal.Signals
) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    os.kill(os.getpid(), number)
    await asyncio.wait_for(stop.wait(), 5)
    assert logged()[-1]["event"] == "daemon.signal" and logged()[-1]["signal"] == number.name
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
