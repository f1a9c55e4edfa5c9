"""Tells many readers in one process that something has happened, with one look at the feed for all of them.

A reader is told what kind of thing changed, not each event: who reads slowly is told less often, and nothing
piles up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterator

import structlog

from dca_daemon.domain.errors import ConflictError, DatabaseError
from dca_daemon.services.events import PAGE_MAX, Feed, topic

log = structlog.get_logger()

ANYTHING = "*"  # after an outage, or at a large step: nobody knows what has changed
_UNSETTLED_SECONDS = 0.2
_PAUSE_SECONDS = 0.1  # at most ten looks a second, however much happens
_AWAY_SECONDS = 2.0
_PAGES_MAX = 5  # more at once are not looked through


class Subscription:
    """What one reader has not been told yet."""

    def __init__(self, topics: Collection[str] = ()) -> None:
        """`topics`: the first words of kinds that the reader asks for; none: all."""
        self._topics = frozenset(topics)
        self._pending: set[str] = set()
        self._woken = asyncio.Event()
        self._end = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self._end.is_set()

    async def ended(self, seconds: float) -> bool:
        """Whether it is over within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end.wait()
        return self.closed

    async def wait(self, seconds: float) -> bool:
        """Whether there is something to be taken, or the end, within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        return self._woken.is_set()

    def take(self) -> list[str]:
        """The topics that have changed since the last time. `*` stands for any of them."""
        taken = sorted(self._pending)
        self._pending.clear()
        if not self.closed:
            self._woken.clear()
        return taken

    def tell(self, topics: Collection[str]) -> None:
        """These have changed."""
        wanted = {t for t in topics if not self._topics or t in self._topics or t == ANYTHING}
        if wanted:
            self._pending |= wanted
            self._woken.set()

    def close(self) -> None:
        """It is over: who waits is woken."""
        self._end.set()
        self._woken.set()


class Subscriptions:
    """All readers of this process. `wake` is what the signals of the database call."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._readers: set[Subscription] = set()
        self._signalled = asyncio.Event()
        self._after: int | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._readers)

    def wake(self) -> None:
        """Something may have happened."""
        self._signalled.set()

    @contextlib.contextmanager
    def subscribed(self, topics: Collection[str] = ()) -> Iterator[Subscription]:
        """A subscription for the length of the block."""
        reader = Subscription(topics)
        if self._closed:
            reader.close()
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def close(self) -> None:
        """Ends all subscriptions, and those to come: the process stops."""
        self._closed = True
        for reader in self._readers:
            reader.close()

    async def run(self, stop: asyncio.Event) -> None:
        """Looks at the feed whenever it is woken, until `stop` is set; then all subscriptions end."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                seconds = await self._look()
                await asyncio.wait({stopping}, timeout=_PAUSE_SECONDS)
                signalled = asyncio.ensure_future(self._signalled.wait())
                await asyncio.wait({stopping, signalled}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                signalled.cancel()
        finally:
            stopping.cancel()
            self.close()

    async def _look(self) -> float | None:
        """Tells the readers what is new; after how many seconds to look again without a signal."""
        self._signalled.clear()
        try:
            changed = await self._changed()
        except DatabaseError as error:
            log.warning("events.unread", error=str(error), retry_seconds=_AWAY_SECONDS)
            self._after = None
            return _AWAY_SECONDS
        except ConflictError:  # the database was set back: by a restored backup, or a standby that lagged behind
            self._after = None
            return 0
        if changed:
            for reader in self._readers:
                reader.tell(changed)
        return None if self._feed.settled else _UNSETTLED_SECONDS

    async def _changed(self) -> set[str]:
        """The topics of what is new; `*` when it can't be told: at the start, after an outage, for too many."""
        if self._after is None:
            self._after = await self._feed.newest()
            return {ANYTHING}
        found: set[str] = set()
        for _ in range(_PAGES_MAX):
            page = await self._feed.page(self._after, limit=PAGE_MAX)
            found |= {topic(event.kind) for event in page.events}
            self._after = page.next_after
            if page.is_last:
                return found
        self._after = page.newest_id
        return {ANYTHING}
