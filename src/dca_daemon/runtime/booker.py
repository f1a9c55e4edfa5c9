"""Takes cash-outs off the queue and has the intake book them, batch by batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import DatabaseError
from dca_daemon.runtime.heartbeats import Heartbeats
from dca_daemon.runtime.metrics import Metrics
from dca_daemon.runtime.service_queue import CashOutQueue
from dca_daemon.runtime.tasks import pause
from dca_daemon.services.intake import Intake

log = structlog.get_logger()

SILENT_SECONDS = 180.0  # longer than any single call that a service waits for
_BEAT_SECONDS = 5.0
_RETRY_SECONDS = 2.0
_QUICK_SECONDS = 0.5
_SLOW_SECONDS = 2.0


class Booker:
    """The consumer of the queue. That our database is away only makes it wait.

    Batches grow while they are quick: shared among thousands of clients, a full one would take minutes, in
    which we would show no sign of life, be killed, and begin the same batch again.
    """

    def __init__(
        self,
        queue: CashOutQueue,
        intake: Intake,
        on_booked: Callable[[], None],
        heartbeats: Heartbeats,
        metrics: Metrics,
        *,
        batch_size: int,
    ) -> None:
        self._queue = queue
        self._intake = intake
        self._on_booked = on_booked
        self._heartbeats = heartbeats
        self._metrics = metrics
        self._max_batch_size = batch_size
        self._batch_size = 1
        self._waited = False  # for our database

    async def run(self, stop: asyncio.Event) -> None:
        """Books until `stop` is set; the batch at hand is finished."""
        self._heartbeats.register("intake", SILENT_SECONDS)
        while not stop.is_set():
            self._heartbeats.beat("intake")
            batch = await self._next_batch(stop)
            try:
                while batch and not await self._book(batch) and not stop.is_set():
                    await pause(stop, _RETRY_SECONDS)
                    self._heartbeats.beat("intake")
            finally:
                self._queue.done(batch)

    async def _next_batch(self, stop: asyncio.Event) -> list[SourceRow]:
        get = asyncio.create_task(self._queue.get_batch(self._batch_size))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({get, stopped}, timeout=_BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return get.result() if get.done() else []
        finally:
            get.cancel()
            stopped.cancel()

    async def _book(self, batch: list[SourceRow]) -> bool:
        began = time.monotonic()
        try:
            result = await self._intake.process(batch)
        except DatabaseError as error:
            self._waited = True
            log.warning("intake.waits", rows=len(batch), error=str(error))
            return False
        if self._waited:
            self._waited = False
            log.info("intake.resumed")
        self._adapt(time.monotonic() - began)
        for distributed in result.distributed:
            self._metrics.observe_distribution_latency(self._queue.age_seconds(distributed.row))
        if result.distributed:
            self._on_booked()
        return True

    def _adapt(self, seconds: float) -> None:
        if seconds < _QUICK_SECONDS:
            self._batch_size = min(2 * self._batch_size, self._max_batch_size)
        elif seconds > _SLOW_SECONDS:
            self._batch_size = max(1, self._batch_size // 2)
