"""Hears when an event was added to our own database. Only a hint: the feed is the truth."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import psycopg
import structlog

from dca_daemon.ledger.patience import CLIENT_KEEPALIVES, SERVER_KEEPALIVES, answered

log = structlog.get_logger()

CHANNEL = "dca_event"
Mode = Literal["listen", "poll", "away"]
_BACKOFF_FIRST_SECONDS = 0.5
_BACKOFF_LAST_SECONDS = 10.0

_Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class SignalTimes:
    """All in seconds. `poll`: how often it is looked where LISTEN is deaf; `quiet`: the same where it is not,
    which also tells whether the connection still stands."""

    poll_seconds: float = 2.0
    quiet_seconds: float = 15.0
    answer_seconds: float = 5.0


class Signals:
    """LISTENs on a connection of its own, in autocommit.

    `on_change` must return at once; it is called at least once after every event, and after every (re)connection.
    """

    def __init__(self, dsn: str, on_change: Callable[[], None], times: SignalTimes | None = None) -> None:
        self._dsn = dsn
        self._on_change = on_change
        self._times = times or SignalTimes()
        self.mode: Mode = "away"
        self._failures = 0
        self._newest: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; no fault of the database ends it."""
        stopping = asyncio.ensure_future(stop.wait())
        hearing = asyncio.ensure_future(self._hear())
        try:
            await asyncio.wait({stopping, hearing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            hearing.cancel()
            (ended,) = await asyncio.gather(hearing, return_exceptions=True)
        if not isinstance(ended, asyncio.CancelledError):
            raise ended  # a fault of the program: it never returns by itself

    async def _hear(self) -> NoReturn:
        while True:
            try:
                async with self._connected() as conn:
                    await self._serve(conn)
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._lost(error)
                longest = min(_BACKOFF_LAST_SECONDS, _BACKOFF_FIRST_SECONDS * 2 ** min(self._failures, 10))
                await asyncio.sleep(random.uniform(0.5, 1.0) * longest)  # noqa: S311 - jitter

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Connection]:
        async with asyncio.timeout(self._times.answer_seconds + 1):
            conn = await self._connect()
        try:
            yield conn
        finally:
            await conn.close()

    async def _connect(self) -> _Connection:
        parameters: dict[str, Any] = {
            "autocommit": True,
            "connect_timeout": max(2, int(self._times.answer_seconds)),
            "application_name": "dca-daemon events",
            **CLIENT_KEEPALIVES,
        }
        try:
            return await psycopg.AsyncConnection.connect(self._dsn, options=SERVER_KEEPALIVES, **parameters)
        except psycopg.OperationalError as error:
            if "unsupported startup parameter" not in str(error):
                raise
            return await psycopg.AsyncConnection.connect(self._dsn, **parameters)  # a pooler's way of refusing

    async def _serve(self, conn: _Connection) -> None:
        """One connection's life; raises when it is lost."""
        deaf = await self._listen(conn)
        self._stands("listen" if deaf is None else "poll", deaf)
        self._on_change()  # after LISTEN: what came meanwhile was not heard
        self._newest = await self._look(conn)
        while True:
            if deaf is None:
                async for _ in conn.notifies(timeout=self._times.quiet_seconds, stop_after=1):
                    self._on_change()
            else:
                await asyncio.sleep(self._times.poll_seconds)
            newest = await self._look(conn)
            if newest != self._newest:
                self._newest = newest
                self._on_change()

    async def _listen(self, conn: _Connection) -> str | None:
        """Why notifications can't get through here; None if they do."""
        pid = await self._fetch(conn, "SELECT pg_backend_pid()")
        if pid != conn.info.backend_pid:
            return "a connection pooler is in between"
        try:
            await answered(conn, self._times.answer_seconds, conn.execute(f"LISTEN {CHANNEL}".encode()))
        except psycopg.errors.ReadOnlySqlTransaction:
            return "the database is read-only at present"
        return None

    async def _look(self, conn: _Connection) -> int:
        return int(await self._fetch(conn, "SELECT last_value FROM event_id_seq"))

    async def _fetch(self, conn: _Connection, query: str) -> Any:
        async def fetch() -> Any:
            row = await (await conn.execute(query.encode())).fetchone()
            assert row is not None
            return row[0]

        return await answered(conn, self._times.answer_seconds, fetch())

    def _stands(self, mode: Mode, deaf: str | None) -> None:
        if deaf is not None:
            log.warning("signals.deaf", reason=deaf, poll_seconds=self._times.poll_seconds)
        elif self._failures:
            log.info("signals.recovered", failures=self._failures)
        self.mode, self._failures = mode, 0

    def _lost(self, error: BaseException) -> None:
        self.mode = "away"
        self._failures += 1
        if self._failures == 1:
            log.warning("signals.lost", error=" ".join(str(error).split()) or type(error).__name__)
