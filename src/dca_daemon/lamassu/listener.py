"""Hears of successful cash-outs the moment they are committed. Only a hint: the scanner finds them all the same.

connecting → LISTEN → look at the trigger → probe → listening ⇄ ping; any fault → wait → connecting, without end.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import psycopg
import structlog
from psycopg import AsyncConnection, Notify

from dca_daemon.domain.errors import SourceError
from dca_daemon.lamassu.connection import SourceConfig, connect, notify, source_error
from dca_daemon.lamassu.identifiers import quote_identifier
from dca_daemon.lamassu.outage import Outage
from dca_daemon.lamassu.rows import is_uuid
from dca_daemon.lamassu.trigger import PROBE_PREFIX, inspect
from dca_daemon.ledger.patience import answered

log = structlog.get_logger(__name__)

Mode = Literal["listen", "poll"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenTimes:
    """All in seconds. `quiet`: silence after which the connection is pinged; `check`: how often the trigger is
    looked at again; `recycle`: age at which a connection is replaced, `deaf`: the same for one that hears
    nothing; `probe`: how long our own notification may take to come back."""

    quiet_seconds: float = 3.0
    answer_seconds: float = 3.0
    check_seconds: float = 60.0
    recycle_seconds: float = 1800.0
    deaf_seconds: float = 300.0
    probe_seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """`mode` is `listen` only while notifications are known to get through; `reason` says why it is what it is."""

    mode: Mode
    reason: str
    since: datetime
    reconnects: int = 0
    last_notification_at: datetime | None = None


class Listener:
    """LISTENs on a connection of its own, which nothing else uses.

    `on_ids` gets the ids of new successes. `on_connected` is called after every (re)LISTEN, and when a trigger
    has come back: what happened before is only found by a scan. Both must return at once.
    """

    def __init__(
        self,
        config: SourceConfig,
        on_ids: Callable[[list[str]], None],
        on_connected: Callable[[], None],
        times: ListenTimes | None = None,
    ) -> None:
        self._config = config
        self._on_ids = on_ids
        self._on_connected = on_connected
        self._times = times or ListenTimes()
        self._outage = Outage()
        self._connections = 0
        self._changed = asyncio.Event()
        self.status = ListenerStatus("poll", "not connected yet", datetime.now(UTC))

    @property
    def listening(self) -> bool:
        """Whether notifications can be relied on at this moment."""
        return self.status.mode == "listen"

    async def until(self, mode: Mode) -> None:
        """Returns as soon as this mode holds. For tests and the start of the program: put a timeout around it."""
        while self.status.mode != mode:
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> None:
        """Runs until it is cancelled; no fault of the database ends it."""
        while True:
            try:
                async with self._connected() as conn:
                    await self._serve(conn)
            except SourceError as exc:
                self._lost(str(exc))
                await asyncio.sleep(self._outage.delay_seconds)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        conn = await connect(self._config, listening=True)
        try:
            yield conn
        except (psycopg.Error, OSError, UnicodeDecodeError) as exc:
            raise source_error(exc, self._config) from None
        finally:
            await conn.close()

    async def _serve(self, conn: AsyncConnection) -> None:
        """One connection's life. Returns when it is old enough to be replaced; raises when it is lost."""
        times = self._times
        heard = await self._listen(conn) and await self._probe(conn)
        self._connections += 1
        away_seconds = self._outage.recovered()
        await self._judge(conn, heard, away_seconds)
        self._on_connected()  # after LISTEN: what is committed from now on is notified, what was before is scanned
        age_seconds = times.recycle_seconds if heard else min(times.recycle_seconds, times.deaf_seconds)
        end = time.monotonic() + age_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load
        check_at = time.monotonic() + times.check_seconds
        while time.monotonic() < end:
            slice_seconds = max(0.01, min(times.quiet_seconds, check_at - time.monotonic()))
            quiet = True
            async for notification in conn.notifies(timeout=slice_seconds):
                quiet = False
                self._heard(notification)
            if time.monotonic() >= check_at:
                was_listening = self.listening
                await self._judge(conn, heard, None)
                if self.listening and not was_listening:
                    self._on_connected()
                check_at = time.monotonic() + times.check_seconds
            elif quiet:
                await answered(conn, times.answer_seconds, conn.execute("SELECT 1"))

    async def _listen(self, conn: AsyncConnection) -> bool:
        """False where LISTEN can't work at all: on a standby."""
        statement = f"LISTEN {quote_identifier(self._config.channel)}"
        try:
            await answered(conn, self._times.answer_seconds, conn.execute(statement))
        except psycopg.errors.ReadOnlySqlTransaction:
            return False
        return True

    async def _probe(self, conn: AsyncConnection) -> bool:
        """Notifies itself: a pooler or a proxy may take LISTEN without ever passing anything on."""
        token = PROBE_PREFIX + secrets.token_hex(8)
        await notify(self._config, token)
        end = time.monotonic() + self._times.probe_seconds
        while (left := end - time.monotonic()) > 0:
            async for notification in conn.notifies(timeout=left, stop_after=1):
                if notification.channel == self._config.channel and notification.payload == token:
                    return True
                self._heard(notification)
        return False

    async def _judge(self, conn: AsyncConnection, heard: bool, away_seconds: float | None) -> None:
        """Decides the mode, and tells about a change of it."""
        status = await answered(conn, self._times.answer_seconds, inspect(conn, self._config.channel))
        if not heard:
            self._set("poll", "LISTEN is deaf here: our own notification did not come back")
        elif status.trouble is not None:
            self._set("poll", status.trouble)
        else:
            self._set("listen", "the trigger is installed and notifications get through")
        if away_seconds is not None:
            log.info("listener.recovered", away_seconds=away_seconds, mode=self.status.mode)

    def _heard(self, heard: Notify) -> None:
        if heard.channel != self._config.channel or heard.payload.startswith(PROBE_PREFIX):
            return
        if not is_uuid(heard.payload):
            log.warning("listener.odd-payload", payload=heard.payload[:64], pid=heard.pid)
            return
        self.status = replace(self.status, last_notification_at=datetime.now(UTC))
        self._on_ids([heard.payload])

    def _lost(self, error: str) -> None:
        to_log = self._outage.failed()
        self._set("poll", error, quiet=True)
        if to_log:
            log.warning("listener.lost", error=error, failures=self._outage.failures)

    def _set(self, mode: Mode, reason: str, *, quiet: bool = False) -> None:
        before = self.status
        reconnects = max(0, self._connections - 1)
        if (before.mode, before.reason) == (mode, reason):
            self.status = replace(before, reconnects=reconnects)
            return
        since = before.since if before.mode == mode else datetime.now(UTC)
        self.status = replace(before, mode=mode, reason=reason, since=since, reconnects=reconnects)
        self._changed.set()
        if quiet:
            return
        if mode == "listen":
            log.info("listener.connected", channel=self._config.channel, reconnects=reconnects)
        elif reason.startswith("LISTEN"):
            log.warning("listener.deaf", reason=reason, remedy="set lamassu.listen_dsn to a direct connection")
        else:
            log.warning(
                "listener.trigger-missing", reason=reason, remedy="run `dca-daemon lamassu install-trigger`"
            )
