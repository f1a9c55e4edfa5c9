"""An event loop whose clock moves only when nothing is left to do: a day takes milliseconds, and every run of
the same program on the same seed is the same run."""

from __future__ import annotations

import asyncio
import itertools
from asyncio.base_events import BaseEventLoop
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class StuckError(AssertionError):
    """Nothing will ever happen any more, or too much has happened: somebody spins."""


class _Task(asyncio.Task[Any]):
    """Hashes by number: sets of tasks are walked in the same order each time."""

    _numbers = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(_Task._numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


class _Time:
    """Takes the place of the selector: waiting moves the clock."""

    def __init__(self, loop: SimulatedLoop, max_turns: int) -> None:
        self._loop = loop
        self._turns_left = max_turns

    def select(self, timeout: float | None) -> list[object]:
        self._turns_left -= 1
        if self._turns_left < 0:
            raise StuckError("too many turns of the event loop: something spins")
        if timeout is None:
            raise StuckError("everybody waits, and no timer runs")
        self._loop.now_seconds += timeout
        return []

    def close(self) -> None:
        """Nothing to close."""


class SimulatedLoop(BaseEventLoop):
    """Timers and tasks only: no sockets, threads or processes."""

    def __init__(self, max_turns: int = 200_000) -> None:
        super().__init__()
        self.now_seconds = 0.0
        self._selector = _Time(self, max_turns)
        self._clock_resolution = 1e-6
        self.set_task_factory(lambda loop, coro, **more: _Task(coro, loop=loop, **more))

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self.now_seconds

    def _process_events(self, event_list: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody else could wake us."""


def simulate(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` on a loop of its own."""
    _Task._numbers = itertools.count()
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)
