"""Has what is over forgotten, every few hours.

A fault of it only makes it try again later: it never takes the daemon down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from dca_daemon.domain.errors import DcaError

log = structlog.get_logger()

START_DELAY_SECONDS = 120.0  # what was missed while the daemon was away is booked first
EVERY_SECONDS = 6 * 3600.0
_RETRY_SECONDS = (300.0, 900.0, 3_600.0)


class Forgetter:
    """`forget` forgets what is over, and tells how much of each kind."""

    def __init__(self, forget: Callable[[], Awaitable[Mapping[str, int]]]) -> None:
        self._forget = forget
        self._failures = 0

    async def run(self) -> None:
        """Runs until it is cancelled."""
        await asyncio.sleep(START_DELAY_SECONDS)
        while True:
            try:
                gone = await self._forget()
            except Exception as error:  # noqa: BLE001 - whatever it is, cash-outs are booked and paid
                await asyncio.sleep(self._failed(error))
                continue
            if gone or self._failures:
                log.info("retention.forgotten", **gone)
            self._failures = 0
            await asyncio.sleep(EVERY_SECONDS)

    def _failed(self, error: Exception) -> float:
        retry_seconds = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1
        # What is none of our own errors is unexpected, so that its traceback belongs into the log.
        trace = None if isinstance(error, DcaError) else error
        log.warning(
            "retention.failed",
            error=str(error) or type(error).__name__,
            retry_seconds=retry_seconds,
            exc_info=trace,
        )
        return retry_seconds
