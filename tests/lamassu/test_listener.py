"""The listener: hears at once, comes back by itself, and knows when it is deaf."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.atm_scenarios import run
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.listener import Listener, ListenTimes
from dca_daemon.lamassu.outage import Outage
from dca_daemon.lamassu.trigger import install, remove
from tests.fixtures.postgres import LamassuDb, PostgresServer

CHANNEL = "dca_cash_out"
SOON_SECONDS = 20  # how long a test waits before it calls something broken
own_server = pytest.mark.skipif(
    "DCA_TEST_POSTGRES_DSN" in os.environ, reason="freezes a backend: only on a server of our own"
)


class Running:
    """A listener at work, with what it has reported."""

    def __init__(self, config: SourceConfig, times: ListenTimes) -> None:
        self.ids: asyncio.Queue[str] = asyncio.Queue()
        self.connections: asyncio.Queue[None] = asyncio.Queue()
        self.listener = Listener(config, self._on_ids, lambda: self.connections.put_nowait(None), times)

    def _on_ids(self, ids: list[str]) -> None:
        for external_id in ids:
            self.ids.put_nowait(external_id)

    async def connected(self) -> None:
        async with asyncio.timeout(SOON_SECONDS):
            await self.connections.get()

    async def next_id(self) -> str:
        async with asyncio.timeout(SOON_SECONDS):
            return await self.ids.get()

    async def mode(self, mode: str) -> None:
        async with asyncio.timeout(SOON_SECONDS):
            await self.listener.until("listen" if mode == "listen" else "poll")


@contextlib.asynccontextmanager
async def listening(config: SourceConfig, times: ListenTimes | None = None) -> AsyncIterator[Running]:
    running = Running(config, times or ListenTimes())
    task = asyncio.create_task(running.listener.run())
    try:
        yield running
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def execute(dsn: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(statement.encode())


async def kill_listener(dsn: str, database: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'dca-daemon listener' AND datname = %s",
            (database,),
        )


class CountedOutage(Outage):
    """Tells when there have been so many failures in a row; tries again at once."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self.reached = asyncio.Event()

    def failed(self) -> bool:
        to_log = super().failed()
        if self.failures >= self._count:
            self.reached.set()
        return to_log

    @property
    def delay_seconds(self) -> float:
        return 0.01


async def test_a_success_is_heard(lamassu_db: LamassuDb, config: SourceConfig, atm: SimulatedAtm) -> None:
    await install(lamassu_db.admin_dsn, CHANNEL)
    async with listening(config) as running:
        await running.connected()
        assert running.listener.listening and running.listener.status.last_notification_at is None
        external_id = await asyncio.to_thread(run, atm, "on-chain")
        assert await running.next_id() == external_id
        assert running.listener.status.last_notification_at is not None


async def test_a_killed_backend_is_replaced_and_a_scan_follows(
    lamassu_db: LamassuDb, config: SourceConfig, atm: SimulatedAtm
) -> None:
    await install(lamassu_db.admin_dsn, CHANNEL)
    with capture_logs() as logs:
        async with listening(config) as running:
            for expected in range(3):
                await running.connected()
                assert running.listener.status.reconnects == expected
                external_id = await asyncio.to_thread(run, atm, "lightning")
                assert await running.next_id() == external_id
                await kill_listener(lamassu_db.admin_dsn, lamassu_db.database)
            await running.connected()
    events = [line["event"] for line in logs]
    assert events.count("listener.lost") == 3 and events.count("listener.recovered") == 3


async def test_without_a_trigger_it_polls_and_notices_its_coming_and_going(
    lamassu_db: LamassuDb, config: SourceConfig, atm: SimulatedAtm
) -> None:
    with capture_logs() as logs:
        async with listening(config, ListenTimes(check_seconds=0.05)) as running:
            await running.connected()
            assert running.listener.status.mode == "poll"
            assert running.listener.status.reason == "the trigger is not installed"
            await install(lamassu_db.admin_dsn, CHANNEL)
            await running.mode("listen")
            await running.connected()  # what was committed before the trigger came must be scanned for
            await remove(lamassu_db.admin_dsn)
            await running.mode("poll")
    events = [line["event"] for line in logs]
    assert events == ["listener.trigger-missing", "listener.connected", "listener.trigger-missing"]


async def test_a_deaf_connection_is_found_out(
    lamassu_db: LamassuDb, config: SourceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler in transaction mode: LISTEN is accepted, and nothing ever comes."""
    await install(lamassu_db.admin_dsn, CHANNEL)
    monkeypatch.setattr("dca_daemon.lamassu.listener.quote_identifier", lambda name: f'"{name}_swallowed"')
    with capture_logs() as logs:
        async with listening(config, ListenTimes(probe_seconds=0.1)) as running:
            await running.connected()
            assert running.listener.status.mode == "poll" and "deaf" in running.listener.status.reason
    assert [line["event"] for line in logs] == ["listener.deaf"]


async def test_a_standby_can_not_listen_and_that_is_no_outage(
    lamassu_db: LamassuDb, config: SourceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await install(lamassu_db.admin_dsn, CHANNEL)
    execute_really = psycopg.AsyncConnection.execute

    async def as_a_standby(conn: psycopg.AsyncConnection, query: str, params: Any = None) -> object:
        if query.startswith("LISTEN"):
            raise psycopg.errors.ReadOnlySqlTransaction("cannot execute LISTEN during recovery")
        return await execute_really(conn, query, params)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", as_a_standby)
    with capture_logs() as logs:
        async with listening(config) as running:
            await running.connected()
            assert running.listener.status.mode == "poll" and "deaf" in running.listener.status.reason
    assert [line["event"] for line in logs] == ["listener.deaf"]


async def test_foreign_and_odd_payloads_are_ignored(
    lamassu_db: LamassuDb, config: SourceConfig, atm: SimulatedAtm
) -> None:
    await install(lamassu_db.admin_dsn, CHANNEL)
    with capture_logs() as logs:
        async with listening(config) as running:
            await running.connected()
            await execute(
                lamassu_db.admin_dsn,
                f"NOTIFY {CHANNEL}; NOTIFY {CHANNEL}, 'nonsense'; NOTIFY {CHANNEL}, 'dca-probe:of-another';"
                " NOTIFY elsewhere, '7d1cb9ce-3b15-4f2d-8b5b-6f0f5b3f4f11'",
            )
            external_id = await asyncio.to_thread(run, atm, "lightning")
            assert await running.next_id() == external_id
    assert [line["event"] for line in logs].count("listener.odd-payload") == 2


async def test_a_quiet_connection_is_pinged_and_recycled(lamassu_db: LamassuDb, config: SourceConfig) -> None:
    await install(lamassu_db.admin_dsn, CHANNEL)
    async with listening(config, ListenTimes(quiet_seconds=0.02, recycle_seconds=0.1)) as running:
        for _ in range(3):
            await running.connected()
        assert running.listener.listening


@own_server
async def test_a_frozen_backend_is_noticed(lamassu_db: LamassuDb, config: SourceConfig) -> None:
    await install(lamassu_db.admin_dsn, CHANNEL)
    async with listening(config, ListenTimes(quiet_seconds=0.1, answer_seconds=0.3)) as running:
        await running.connected()
        async with await psycopg.AsyncConnection.connect(lamassu_db.admin_dsn) as conn:
            found = await (
                await conn.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'dca-daemon listener'"
                    " AND datname = current_database()"
                )
            ).fetchone()
        assert found is not None
        os.kill(found[0], signal.SIGSTOP)
        try:
            await running.mode("poll")
            await running.connected()
            await running.mode("listen")
        finally:
            os.kill(found[0], signal.SIGCONT)


async def test_an_outage_is_told_once_and_ends_by_itself(
    lamassu_db: LamassuDb, config: SourceConfig, postgres_server: PostgresServer
) -> None:
    await install(lamassu_db.admin_dsn, CHANNEL)
    outage = CountedOutage(4)
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = sql.Identifier(lamassu_db.database)
    with capture_logs() as logs:
        async with listening(config) as running:
            running.listener._outage = outage
            await running.connected()
            postgres_server.execute(allow.format(name, sql.SQL("false")))
            await kill_listener(postgres_server.admin_dsn, lamassu_db.database)
            async with asyncio.timeout(SOON_SECONDS):
                await outage.reached.wait()
            assert running.listener.status.mode == "poll" and "can't be reached" in running.listener.status.reason
            postgres_server.execute(allow.format(name, sql.SQL("true")))
            await running.connected()
    events = [line["event"] for line in logs]
    assert events.count("listener.lost") == 1 and events.count("listener.recovered") == 1
