"""Which of several daemons is the active one: the holder of a session advisory lock in our own database.

The lock lives on a connection of its own that does nothing else, so it is gone the moment that connection
is. A daemon that lost it must stop: `watch` raises. Even two active daemons break no invariant (the
database sees to that), so the moments between losing the lock and noticing are harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import Coroutine
from typing import Any, LiteralString, TypeVar

import psycopg
import structlog

from dca_daemon.domain.errors import DatabaseError

log = structlog.get_logger()

T = TypeVar("T")

_BACKOFF_FIRST_SECONDS = 0.5
_BACKOFF_LAST_SECONDS = 15.0

_TRY: LiteralString = "SELECT pg_try_advisory_lock(%s)"
# The session still is the one that took the lock, and still has it (a pooler could have swapped it).
_STILL_HELD: LiteralString = """
SELECT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32 | objid::bigint) = %s
)"""


class LeaderLock:
    """The lock `lock_key` (a bigint) in the database at `dsn` (psycopg's spelling)."""

    def __init__(
        self,
        dsn: str,
        lock_key: int,
        *,
        poll_seconds: float = 1.0,
        ping_seconds: float = 2.0,
        timeout_seconds: float = 5.0,
    ) -> None:
        self._dsn = dsn
        self._key = lock_key
        self._poll_seconds = poll_seconds
        self._ping_seconds = ping_seconds
        self._timeout_seconds = timeout_seconds
        self._conn: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self._held = False

    @property
    def is_leader(self) -> bool:
        """Whether the lock was held when last looked at."""
        return self._held

    async def wait_until_leader(self) -> None:
        """Returns once the lock is ours; waits through outages of the database for as long as they take."""
        standby = outage = False
        backoff_seconds = _BACKOFF_FIRST_SECONDS
        while True:
            try:
                if await self._try_once():
                    log.info("leader.acquired", lock_key=self._key)
                    return
            except (psycopg.Error, OSError, TimeoutError) as error:
                await self.close()
                if not outage:
                    log.warning("leader.database-unreachable", error=_one_line(error))
                outage = True
                await asyncio.sleep(random.uniform(0.5, 1.0) * backoff_seconds)  # noqa: S311 - jitter
                backoff_seconds = min(2 * backoff_seconds, _BACKOFF_LAST_SECONDS)
                continue
            if not standby:
                log.info("leader.standby", lock_key=self._key)
            standby, outage, backoff_seconds = True, False, _BACKOFF_FIRST_SECONDS
            await asyncio.sleep(self._poll_seconds)

    async def watch(self) -> None:
        """Never returns. Raises `DatabaseError` as soon as the lock, or the connection, is lost."""
        assert self._held, "watch() comes after wait_until_leader()"
        try:
            while True:
                await self._sleep_until_ping()
                if not await self._fetch_bool(_STILL_HELD):
                    raise DatabaseError("the session no longer has the lock", code="leader-lost")
        except (psycopg.Error, OSError, TimeoutError, DatabaseError) as error:
            log.error("leader.lost", lock_key=self._key, error=_one_line(error))
            raise DatabaseError(
                f"this daemon is no longer the active one: {_one_line(error)}",
                remedy="it stops, and stands by when it is started again",
                code="leader-lost",
            ) from None
        finally:
            await self.close()

    async def close(self) -> None:
        """Gives the lock back, by closing its connection."""
        self._held = False
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()

    async def _try_once(self) -> bool:
        if self._conn is None:
            self._conn = await self._connect()
        self._held = await self._fetch_bool(_TRY)
        return self._held

    async def _connect(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        async with asyncio.timeout(self._timeout_seconds + 1):
            return await psycopg.AsyncConnection.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=max(2, int(self._timeout_seconds)),
                application_name="dca-daemon leader",
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
                tcp_user_timeout=15_000,
            )

    async def _sleep_until_ping(self) -> None:
        """Reads the (silent) connection meanwhile, so that its end is noticed at once."""
        assert self._conn is not None
        async for _ in self._conn.notifies(timeout=self._ping_seconds):
            pass

    async def _fetch_bool(self, query: LiteralString) -> bool:
        conn = self._conn
        assert conn is not None

        async def fetch() -> bool:
            row = await (await conn.execute(query, (self._key,))).fetchone()
            return row is not None and bool(row[0])

        return await _within(self._timeout_seconds, conn, fetch())


async def _within(
    timeout_seconds: float, conn: psycopg.AsyncConnection[tuple[Any, ...]], step: Coroutine[Any, Any, T]
) -> T:
    """`step`, or `TimeoutError`. Not by cancelling: psycopg answers a cancellation by waiting for the server
    to confirm it, which a frozen server never does. Hanging up ends the wait."""
    task = asyncio.create_task(step)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_seconds)
        if done:
            return task.result()
        raise TimeoutError(f"no answer for {timeout_seconds:g} seconds")
    finally:
        if not task.done():
            _hang_up(conn)
            with contextlib.suppress(psycopg.Error, OSError):
                await task


def _hang_up(conn: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
    """Shuts the socket down under the connection, which sees the end of it and fails."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(conn.fileno())) as sock:
        sock.shutdown(socket.SHUT_RDWR)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
