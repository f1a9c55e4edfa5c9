"""The feed of all that happened: for pages that refresh themselves, webhooks, and programs that read along.

Ids are given out in one order and become visible in another: a transaction that took id 7 may commit after one
that took 8. So nobody reads beyond the *mark*: an id up to which no transaction can add one any more. Whoever adds
an event holds a lock on the table from before it takes the id until it has ended; ids up to M are final once all
have ended that held such a lock when M was read. (Comparing transaction ids would do too, but then a long
transaction in any other database of the server, LNbits' for one, would hold up the feed.)
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.ledger.db import Database, one, rows, scalar

PAGE_MAX = 1000
KINDS_MAX = 50
EVERYTHING = "*"
_KIND = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)*")
_SETTLE_SECONDS = 0.5  # how long a reader waits for a transaction that is about to end
_SETTLE_STEP_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `subject` is what it happened to, like `payout:<id>` or `client:3`."""

    event_id: int
    at: datetime
    kind: str
    subject: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of the feed. `next_after`: where to go on, also when nothing came; `oldest_id`: the oldest event
    that is still kept."""

    events: tuple[Event, ...]
    next_after: int
    newest_id: int
    oldest_id: int | None

    @property
    def is_last(self) -> bool:
        """Whether there is nothing more at this moment."""
        return self.next_after >= self.newest_id


class Feed:
    """Reads the feed in the order of ids, and skips none. One for each process: it remembers the mark."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._mark = 0
        self._candidate: int | None = None  # becomes the mark when these have ended:
        self._waits_for: frozenset[str] = frozenset()
        self._looking = asyncio.Lock()

    @property
    def settled(self) -> bool:
        """Whether nobody was adding events when it was last looked."""
        return self._candidate is None

    async def mark(self, conn: AsyncConnection) -> int:
        """The id up to which everything can be read that there will ever be."""
        async with self._looking:
            candidate = self._candidate
            if candidate is None:
                candidate = await newest_id(conn)  # first the id, then the locks
                waits_for = await _adding(conn)
            else:
                waits_for = self._waits_for & await _adding(conn)
            if waits_for:
                self._candidate, self._waits_for = candidate, waits_for
            else:
                self._mark, self._candidate = candidate, None
            return self._mark

    async def newest(self) -> int:
        """Where to go on from to get what comes, and nothing of what was."""
        async with self._db.transaction() as conn:
            mark = await self.mark(conn)
            return mark or self._candidate or 0  # at the start there may be no mark for a while

    async def page(self, after: int, *, limit: int = 100, kinds: Collection[str] = ()) -> EventPage:
        """What came after the event `after`, oldest first, of these kinds or those that begin so (`payout`).

        Raises `InputError` for a kind that can't be one, `ConflictError` when `after` was never given out: the
        books were set back to an earlier state.
        """
        wanted = check_kinds(kinds)
        until = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        while True:
            async with self._db.transaction() as conn:
                mark = await self.mark(conn)
                if mark > after or self.settled or asyncio.get_running_loop().time() > until:
                    return await self._read(conn, after, min(limit, PAGE_MAX), wanted, mark)
            await asyncio.sleep(_SETTLE_STEP_SECONDS)

    async def _read(
        self, conn: AsyncConnection, after: int, limit: int, kinds: Sequence[str], mark: int
    ) -> EventPage:
        if after > mark and after > (newest := await newest_id(conn)):
            raise ConflictError(
                f"there is no event {after} yet: the newest is {newest}",
                remedy="if the books were restored from a backup, read the feed again from 0",
            )
        found = await rows(
            conn,
            """SELECT id AS event_id, at, kind, subject, data FROM event
                WHERE id > :after AND id <= :mark
                  AND (cardinality(CAST(:kinds AS text[])) = 0 OR EXISTS (
                       SELECT FROM unnest(CAST(:kinds AS text[])) k WHERE kind = k OR starts_with(kind, k || '.')))
                ORDER BY id LIMIT :limit""",
            after=after,
            mark=mark,
            kinds=list(kinds),
            limit=limit,
        )
        events = tuple(Event(**r._mapping) for r in found)
        return EventPage(
            events=events,
            next_after=events[-1].event_id if len(events) == limit else max(mark, after),
            newest_id=max(mark, after),
            oldest_id=await scalar(conn, "SELECT min(id) FROM event"),
        )


def check_kinds(kinds: Collection[str]) -> list[str]:
    """The kinds to look for; none for all of them, which may also be written `*`. Raises `InputError`."""
    wanted = list(dict.fromkeys(kinds))
    if EVERYTHING in wanted:
        return []
    if len(wanted) > KINDS_MAX:
        raise InputError(f"these are {len(wanted)} kinds: give at most {KINDS_MAX}", field="kinds")
    for kind in wanted:
        if len(kind) > 60 or not _KIND.fullmatch(kind):
            remedy = "write it like payout or payout.settled"
            raise InputError(f"{kind[:80]!r} is no kind of event", remedy=remedy, field="kinds")
    return wanted


def topic(kind: str) -> str:
    """The first word of a kind: `payout` of `payout.settled`."""
    return kind.partition(".")[0]


async def newest_id(conn: AsyncConnection) -> int:
    """The highest id that was given out, whether its event is there already or not."""
    row = await one(conn, "SELECT last_value, is_called FROM event_id_seq")
    return int(row.last_value) if row.is_called else 0


async def _adding(conn: AsyncConnection) -> frozenset[str]:
    """The transactions that may be adding events at this moment."""
    found = await rows(
        conn,
        """SELECT virtualtransaction FROM pg_locks
            WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
              AND relation = CAST('event' AS regclass)
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND pid IS DISTINCT FROM pg_backend_pid()""",
    )
    return frozenset(r.virtualtransaction for r in found)
