"""Which of several daemons is the active one: the holder of a session advisory lock in our own database.

The lock lives on a connection of its own that does nothing else, so it is gone the moment that connection
is. A daemon that lost it must stop: `watch` raises. Even two active daemons break no invariant (the
database sees to that), so the moments between losing the lock and noticing are harmless.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, LiteralString

import psycopg
import structlog

from dca_daemon.domain.errors import ConfigError, DatabaseError
from dca_daemon.ledger.patience import CLIENT_KEEPALIVES, SERVER_KEEPALIVES, answered

log = structlog.get_logger()

_BACKOFF_FIRST_SECONDS = 0.5
_BACKOFF_LAST_SECONDS = 4.0  # with what a connection takes: well within ten seconds of the database's return

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
            except (psycopg.Error, OSError) as error:
                await self.close()
                if "unsupported startup parameter" in str(error):
                    raise _through_pooler() from None
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
        except (psycopg.Error, OSError, DatabaseError) as error:
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
            conn = await psycopg.AsyncConnection.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=max(2, int(self._timeout_seconds)),
                application_name="dca-daemon leader",
                options=SERVER_KEEPALIVES,
                **CLIENT_KEEPALIVES,
            )
        try:
            await self._refuse_pooler(conn)
        except BaseException:
            await conn.close()
            raise
        return conn

    async def _refuse_pooler(self, conn: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
        """A pooler lends the same session to another daemon, which then has our lock as well. It gives itself
        away: the process that it announces is not the one that answers."""
        if await self._fetch_one(conn, "SELECT pg_backend_pid()") != conn.info.backend_pid:
            raise _through_pooler()

    async def _sleep_until_ping(self) -> None:
        """Reads the (silent) connection meanwhile, so that its end is noticed at once."""
        assert self._conn is not None
        async for _ in self._conn.notifies(timeout=self._ping_seconds):
            pass

    async def _fetch_bool(self, query: LiteralString) -> bool:
        assert self._conn is not None
        return bool(await self._fetch_one(self._conn, query, self._key))

    async def _fetch_one(
        self, conn: psycopg.AsyncConnection[tuple[Any, ...]], query: LiteralString, *parameters: object
    ) -> Any:
        async def fetch() -> Any:
            row = await (await conn.execute(query, parameters)).fetchone()
            return None if row is None else row[0]

        return await answered(conn, self._timeout_seconds, fetch())


def _through_pooler() -> ConfigError:
    return ConfigError(
        "database.url leads to a connection pooler, through which two daemons may hold the same lock",
        remedy="give the address of PostgreSQL itself",
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
