"""Keeps our calls below LNbits' rate limit, which counts per client address and exact path.

LNbits counts in fixed windows of 60 s. We never send more than the set number in *any* 60 s, so it holds
wherever its windows begin, after a restart of either side too. Should it refuse nevertheless (another
program behind the same address), everything on that path waits.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

WINDOW_SECONDS = 60.0
MARGIN_SECONDS = 0.5  # for what a request may take longer on its way than the one before
MIN_PAUSE_SECONDS = 1.0
SHORTEST_SLEEP_SECONDS = 0.001  # so that rounding can't make us spin
MAX_PAUSE_SECONDS = 600.0


@dataclass(slots=True)
class _Path:
    """What is known of one path; times by the injected clock."""

    sent_at: deque[float] = field(default_factory=deque)  # within the last window, oldest first
    paused_until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # first come, first served


class Pacer:
    """At most `requests_per_minute` on each path; 0 means without a limit of ours."""

    def __init__(
        self,
        requests_per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._limit = requests_per_minute
        self._clock = clock
        self._sleep = sleep
        self._paths: defaultdict[str, _Path] = defaultdict(_Path)

    async def wait_turn(self, path: str) -> None:
        """Returns when a request on that path may be sent, and counts it."""
        state = self._paths[path]
        async with state.turn:
            while (seconds := self._seconds_to_wait(state)) > 0:
                await self._sleep(max(seconds, SHORTEST_SLEEP_SECONDS))
            if self._limit:
                state.sent_at.append(self._clock())

    def refused(self, path: str, retry_after_seconds: float | None) -> float:
        """A 429 came back: pauses the path, and returns for how many seconds.

        Without a Retry-After for the rest of the window, which our oldest request in it may have begun.
        """
        state = self._paths[path]
        now = self._clock()
        self._forget_old(state, now)
        if retry_after_seconds is None:
            began_at = state.sent_at[0] if state.sent_at else now
            retry_after_seconds = began_at + WINDOW_SECONDS + MARGIN_SECONDS - now
        pause_seconds = min(max(retry_after_seconds, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS)
        state.paused_until = max(state.paused_until, now + pause_seconds)
        return pause_seconds

    def _seconds_to_wait(self, state: _Path) -> float:
        now = self._clock()
        self._forget_old(state, now)
        ready_at = state.paused_until
        if self._limit and len(state.sent_at) >= self._limit:
            ready_at = max(ready_at, state.sent_at[0] + WINDOW_SECONDS + MARGIN_SECONDS)
        return ready_at - now

    def _forget_old(self, state: _Path, now: float) -> None:
        while state.sent_at and state.sent_at[0] + WINDOW_SECONDS + MARGIN_SECONDS <= now:
            state.sent_at.popleft()


class SlowerPacer(Pacer):
    """A slower pace within another's: what is sent here counts there too, and leaves the most of it free."""

    def __init__(self, requests_per_minute: int, within: Pacer) -> None:
        super().__init__(requests_per_minute, clock=within._clock, sleep=within._sleep)
        self._within = within

    async def wait_turn(self, path: str) -> None:
        """Returns when a request may be sent at both paces, and counts it in both."""
        await super().wait_turn(path)
        await self._within.wait_turn(path)

    def refused(self, path: str, retry_after_seconds: float | None) -> float:
        """A 429 came back: everybody on that path waits."""
        return self._within.refused(path, retry_after_seconds)
