"""Between scanner and intake: cash-outs that were read and wait to be booked.

Bounded, so a backlog of any size needs little memory: the scanner waits. Losing the queue loses nothing, the
next scan reads the same rows again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from dca_daemon.domain.cash_out import SourceRow

_Key = tuple[str, str, str]


class CashOutQueue:
    """At most `maxsize` rows wait. A row is pending from `put` until `done`; the same row, unchanged, is not
    taken twice meanwhile, whatever the number of notifications and scans."""

    def __init__(self, maxsize: int) -> None:
        self._queue: asyncio.Queue[SourceRow] = asyncio.Queue(maxsize)
        self._pending: dict[_Key, float] = {}  # since when, by a monotonic clock

    @property
    def size(self) -> int:
        """How many rows wait."""
        return self._queue.qsize()

    @property
    def pending(self) -> int:
        """How many rows wait or are being booked."""
        return len(self._pending)

    async def put(self, rows: Iterable[SourceRow]) -> int:
        """Adds the rows that are not pending already, waiting for room; how many those were."""
        added = 0
        for row in rows:
            key = _key(row)
            if key in self._pending:
                continue
            self._pending[key] = time.monotonic()
            try:
                await self._queue.put(row)
            except asyncio.CancelledError:
                self._pending.pop(key, None)
                raise
            added += 1
        return added

    async def get_batch(self, max_items: int) -> list[SourceRow]:
        """Waits for a row, then takes what is there, at most `max_items`, in order of arrival.

        Call `done` with them afterwards, also when booking them failed."""
        rows = [await self._queue.get()]
        while len(rows) < max_items and not self._queue.empty():
            rows.append(self._queue.get_nowait())
        return rows

    def done(self, rows: Iterable[SourceRow]) -> None:
        """The rows are booked, or given up until the next scan: they may be put again."""
        for row in rows:
            self._pending.pop(_key(row), None)

    def clear(self) -> None:
        """Forgets all that waits: when we become active again, another may have booked newer states meanwhile."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._pending.clear()

    def age_seconds(self, row: SourceRow) -> float:
        """How long ago a pending row was put."""
        return time.monotonic() - self._pending.get(_key(row), time.monotonic())


def _key(row: SourceRow) -> _Key:
    return (row.source, row.external_id, row.digest)
