"""Reading cash-outs from Lamassu's database: points by id, digests of a window, all successes.

Two connections, opened when first needed: a notified cash-out never waits behind a scan. Each statement is its own
transaction (autocommit, READ COMMITTED, read only); nothing is locked. Everything raises `SourceError` only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from dca_daemon.domain.cash_out import BITCOIN_CODES, SourceRow
from dca_daemon.domain.errors import SourceError
from dca_daemon.lamassu.connection import TIMEOUT_CODE, SourceConfig, connect, patience_seconds, source_error
from dca_daemon.lamassu.rows import RowDigest, is_uuid, to_digest, to_row
from dca_daemon.lamassu.shape import Queries, Shape, build_queries, read_shape
from dca_daemon.ledger.patience import answered

__all__ = ["LamassuSource", "RowDigest", "SourceConfig"]

log = structlog.get_logger(__name__)

_LIFETIME_SECONDS = 1800.0  # a new connection looks the columns up again, and follows a moved server
_DIGEST_PAGE = 5_000
_ROW_PAGE = 500
_FEW = 32  # so many rows at once still count as notified; more are a scan's


class _Lane:
    """One connection, used by one statement at a time; opened when needed, replaced when it breaks."""

    def __init__(self, config: SourceConfig) -> None:
        self._config = config
        self._lock = asyncio.Lock()
        self._conn: AsyncConnection | None = None
        self._queries: Queries | None = None
        self._opened_seconds = 0.0
        self.shape: Shape | None = None

    async def run(self, query: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of one statement; `query` is the name of one of `Queries`.

        A connection that turns out to be dead is replaced once: reading twice harms nobody.
        """
        async with self._lock:
            reused = await self._ready()
            try:
                return await self._execute(query, parameters)
            except (psycopg.OperationalError, psycopg.ProgrammingError, OSError) as exc:
                await self._drop()
                if not reused or isinstance(exc, psycopg.errors.QueryCanceled):
                    raise source_error(exc, self._config) from None
            except psycopg.Error as exc:
                raise source_error(exc, self._config) from None
            await self._ready()
            try:
                return await self._execute(query, parameters)
            except (psycopg.Error, OSError) as exc:
                await self._drop()
                raise source_error(exc, self._config) from None

    async def open(self) -> None:
        async with self._lock:
            await self._ready()

    async def close(self) -> None:
        async with self._lock:
            await self._drop()

    async def _execute(self, query: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        assert self._conn is not None and self._queries is not None
        text = query if query not in Queries.__slots__ else getattr(self._queries, query)
        return await answered(self._conn, patience_seconds(self._config), _fetch(self._conn, text, parameters))

    async def _ready(self) -> bool:
        """Makes sure that there is a connection. Tells whether it had been used before."""
        if self._conn is not None and (
            self._conn.closed or time.monotonic() - self._opened_seconds > _LIFETIME_SECONDS
        ):
            await self._drop()
        if self._conn is not None:
            return True
        conn = await connect(self._config)
        try:
            shape = await answered(conn, patience_seconds(self._config), read_shape(conn))
            shape.require()
        except (psycopg.Error, OSError) as exc:
            await conn.close()
            raise source_error(exc, self._config) from None
        except BaseException:
            await conn.close()
            raise
        self._conn, self.shape, self._queries = conn, shape, build_queries(shape)
        self._opened_seconds = time.monotonic()
        return False

    async def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()


async def _fetch(conn: AsyncConnection, query: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    return await (await conn.execute(query, parameters)).fetchall()


def _uuids(ids: Sequence[str]) -> list[str]:
    """Each once, in order; what can be no id of a cash-out is left out."""
    wanted = [external_id for external_id in dict.fromkeys(ids) if is_uuid(external_id)]
    if len(wanted) < len(set(ids)):
        log.warning("source.odd-ids", ignored=len(set(ids)) - len(wanted))
    return wanted


class LamassuSource:
    """The reader of Lamassu's database. Safe for several tasks at once."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._points = _Lane(config)
        self._scans = _Lane(config)

    async def open(self) -> None:
        """Connects, and checks the needed columns and rights. Optional: the first use does the same."""
        await self._points.open()

    async def close(self) -> None:
        """Closes the connections. May be used again afterwards."""
        await self._points.close()
        await self._scans.close()
        await self.config.close()

    async def now(self) -> datetime:
        """The time by Lamassu's clock."""
        rows = await self._points.run("SELECT pg_catalog.clock_timestamp()", ())
        moment = rows[0][0]
        assert isinstance(moment, datetime)
        return moment

    async def fetch(self, ids: Sequence[str]) -> list[SourceRow]:
        """The rows with these ids, as they are now; those that do not exist are left out.

        One round trip for one fresh cash-out. `dispensed_at` is the newest `dispense` action's time.
        """
        wanted = _uuids(ids)
        if not wanted:
            return []
        if len(wanted) == 1:
            found = await self._points.run("point", (wanted[0],))
        else:
            lane = self._points if len(wanted) <= _FEW else self._scans
            found = await lane.run("rows", (wanted, wanted))
        return await self._with_dispense_times([to_row(values) for values in found])

    async def look_up(self, ids: Sequence[str]) -> list[SourceRow]:
        """The same without `dispensed_at`: nothing but the primary key is read, whatever the rows' age."""
        wanted = _uuids(ids)
        return [to_row(values) for values in await self._scans.run("plain_rows", (wanted,))] if wanted else []

    async def digests(self, since: timedelta, *, wide: bool = False) -> AsyncIterator[list[RowDigest]]:
        """Digests, in pages, of rows created or confirmed within `since` of Lamassu's clock.

        `wide`: and of every success, however old. Rows that appear behind the page that is read are for the next
        scan. Nothing is held open between two pages.
        """
        window: tuple[Any, ...] = (since, wide)
        page = await self._scans.run("digests_first", (*window, _DIGEST_PAGE))
        while page:
            yield [to_digest(values) for values in page]
            if len(page) < _DIGEST_PAGE:
                return
            page = await self._scans.run("digests_next", (*window, page[-1][0], _DIGEST_PAGE))

    async def all_successes(self, page_rows: int = _ROW_PAGE) -> AsyncIterator[list[SourceRow]]:
        """Every successful bitcoin cash-out, in pages by id: for the baseline. Without `dispensed_at`."""
        page = await self._scans.run("successes_first", (page_rows,))
        while page:
            yield [to_row(values) for values in page]
            if len(page) < page_rows:
                return
            page = await self._scans.run("successes_next", (page[-1][0], page_rows))

    async def newest_successes(self, limit: int) -> list[SourceRow]:
        """The successful bitcoin cash-outs that were created last, the newest first. Without `dispensed_at`."""
        return [to_row(values) for values in await self._scans.run("newest", (limit,))]

    async def _with_dispense_times(self, rows: list[SourceRow]) -> list[SourceRow]:
        """Looks through all actions for those dispenses that are not among the newest."""
        shape = self._points.shape or self._scans.shape
        late = [
            row.external_id
            for row in rows
            if row.dispense_confirmed and row.dispensed_at is None and row.crypto_code in BITCOIN_CODES
        ]
        if not late or shape is None or not shape.has_actions:
            return rows
        try:
            times = dict(await self._scans.run("dispenses", (late,)))
        except SourceError as exc:
            if exc.code != TIMEOUT_CODE:
                raise
            # Without an index on tx_id this can take too long; a missing time must not hold up the money.
            log.warning("source.dispense-times-unread", rows=len(late), error=str(exc))
            return rows
        return [
            replace(row, dispensed_at=times.get(row.external_id)) if row.dispensed_at is None else row
            for row in rows
        ]
