"""Has gathered commission released when its time, or its amount, has come.

A fault of it only makes it try again later: it never takes the daemon down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from dca_daemon.domain.errors import DcaError

log = structlog.get_logger()

LOOK_SECONDS = 15.0  # at the latest so long after a set time
_LEAST_SECONDS = 1.0  # between two looks, however many cash-outs are booked
_RETRY_SECONDS = (15.0, 30.0, 60.0, 300.0)


class Releaser:
    """`look` releases what is due, and gives what it released; `on_released` is told when that was anything."""

    def __init__(self, look: Callable[[], Awaitable[Sequence[object]]], on_released: Callable[[], None]) -> None:
        self._look = look
        self._on_released = on_released
        self._woken = asyncio.Event()
        self._failures = 0

    def wake(self) -> None:
        """Commission was booked: an amount may have been reached."""
        self._woken.set()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            try:
                released = await self._look()
            except Exception as error:  # noqa: BLE001 - whatever it is, cash-outs are booked and paid
                await asyncio.sleep(self._failed(error))
                continue
            self._failures = 0
            if released:
                self._on_released()
            await asyncio.sleep(_LEAST_SECONDS)
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS - _LEAST_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    def _failed(self, error: Exception) -> float:
        retry_seconds = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1
        # What is none of our own errors is unexpected, so that its traceback belongs into the log.
        trace = None if isinstance(error, DcaError) else error
        log.warning(
            "commission.release-failed",
            error=str(error) or type(error).__name__,
            retry_seconds=retry_seconds,
            exc_info=trace,
        )
        return retry_seconds
