"""Who is the active daemon: on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.runtime import leader
from dca_daemon.runtime.leader import LeaderLock
from dca_daemon.runtime.logging import count_events_with
from tests.fixtures.postgres import PostgresServer

KEY = 4711
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    with postgres_server.clone("template0") as name:
        yield name


@pytest.fixture
def dsn(postgres_server: PostgresServer, database: str) -> str:
    return postgres_server.dsn(database)


def daemon(dsn: str, key: int = KEY) -> LeaderLock:
    return LeaderLock(dsn, key, poll_seconds=0.01, ping_seconds=0.02, timeout_seconds=0.5)


def backend_pid(server: PostgresServer, database: str) -> int:
    with psycopg.connect(server.admin_dsn, autocommit=True) as conn:
        row = conn.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name = 'dca-daemon leader'",
            (database,),
        ).fetchone()
    assert row is not None
    return int(row[0])


async def test_one_leads_the_other_stands_by_and_takes_over(dsn: str, logged: Lines) -> None:
    standby = asyncio.Event()
    count_events_with(lambda event, _level: standby.set() if event == "leader.standby" else None)
    first, second = daemon(dsn), daemon(dsn)
    async with asyncio.timeout(20):
        await first.wait_until_leader()
        assert first.is_leader
        waiting = asyncio.create_task(second.wait_until_leader())
        await standby.wait()
        assert not second.is_leader and not waiting.done()
        await first.close()
        await waiting
        assert second.is_leader and not first.is_leader
        await second.close()
    assert [line["event"] for line in logged()] == ["leader.acquired", "leader.standby", "leader.acquired"]


async def test_watching_ends_at_once_when_the_connection_is_killed(
    postgres_server: PostgresServer, database: str, dsn: str, logged: Lines
) -> None:
    lock = LeaderLock(dsn, KEY, ping_seconds=60)
    async with asyncio.timeout(10):
        await lock.wait_until_leader()
        watching = asyncio.create_task(lock.watch())
        pid = backend_pid(postgres_server, database)
        postgres_server.execute(sql.SQL("SELECT pg_terminate_backend({})").format(sql.Literal(pid)))
        with pytest.raises(DatabaseError, match="no longer the active one") as caught:
            await watching
    assert caught.value.code == "leader-lost" and not lock.is_leader
    assert logged()[-1]["event"] == "leader.lost"


async def test_watching_ends_when_the_server_freezes(
    postgres_server: PostgresServer, database: str, dsn: str, logged: Lines
) -> None:
    lock = daemon(dsn)
    await lock.wait_until_leader()
    pid = backend_pid(postgres_server, database)
    try:
        os.kill(pid, signal.SIGSTOP)
    except (ProcessLookupError, PermissionError):
        await lock.close()
        pytest.skip("the PostgreSQL server is not a process of this machine's")
    thaw = threading.Timer(8, os.kill, (pid, signal.SIGCONT))  # ends a test that would hang
    thaw.start()
    try:
        started = asyncio.get_running_loop().time()
        with pytest.raises(DatabaseError, match=r"no answer for 0\.5 seconds"):
            await lock.watch()
        assert asyncio.get_running_loop().time() - started < 5
    finally:
        thaw.cancel()
        os.kill(pid, signal.SIGCONT)


async def test_a_stop_while_the_server_is_frozen_does_not_hang(
    postgres_server: PostgresServer, database: str, dsn: str
) -> None:
    lock = LeaderLock(dsn, KEY, ping_seconds=0.02, timeout_seconds=60)
    await lock.wait_until_leader()
    pid = backend_pid(postgres_server, database)
    try:
        os.kill(pid, signal.SIGSTOP)
    except (ProcessLookupError, PermissionError):
        await lock.close()
        pytest.skip("the PostgreSQL server is not a process of this machine's")
    try:
        watching = asyncio.create_task(lock.watch())
        conn = lock._conn
        assert conn is not None
        async with asyncio.timeout(8):
            # libpq has no event for "a query is under way".
            while conn.pgconn.transaction_status != psycopg.pq.TransactionStatus.ACTIVE:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            watching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await watching
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_the_server_is_told_to_notice_a_daemon_that_vanished(dsn: str) -> None:
    """Else it would keep the lock for its dead holder for hours, and no standby could take over."""
    lock = daemon(dsn)
    await lock.wait_until_leader()
    assert lock._conn is not None
    for name, expected in {
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "8000",
        "client_connection_check_interval": "2000",
    }.items():
        query = "SELECT setting FROM pg_settings WHERE name = %s"
        row = await (await lock._conn.execute(query, (name,))).fetchone()
        assert row == (expected,)
    await lock.close()


@pytest.mark.parametrize("key", [KEY, -5, 2**40 + 7, -(2**63), 2**63 - 1])
async def test_a_lock_that_is_gone_is_noticed_whatever_its_key(dsn: str, logged: Lines, key: int) -> None:
    lock = daemon(dsn, key)
    async with asyncio.timeout(10):
        await lock.wait_until_leader()
        assert await lock._fetch_bool(leader._STILL_HELD)
        assert lock._conn is not None
        await lock._conn.execute("SELECT pg_advisory_unlock_all()")
        with pytest.raises(DatabaseError, match="the session no longer has the lock"):
            await lock.watch()


async def test_it_waits_through_an_outage_and_says_so_once(
    postgres_server: PostgresServer, database: str, dsn: str, logged: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "_BACKOFF_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(leader, "_BACKOFF_LAST_SECONDS", 0.02)
    name = sql.Identifier(database)
    postgres_server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
    lock = daemon(dsn)
    attempts = 0
    connect = lock._connect

    async def counted() -> psycopg.AsyncConnection[tuple[Any, ...]]:
        nonlocal attempts
        attempts += 1
        if attempts == 4:
            postgres_server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        return await connect()

    monkeypatch.setattr(lock, "_connect", counted)
    async with asyncio.timeout(20):
        await lock.wait_until_leader()
    await lock.close()
    assert attempts == 4
    assert [line["event"] for line in logged()] == ["leader.database-unreachable", "leader.acquired"]


async def test_other_keys_and_other_databases_do_not_compete(postgres_server: PostgresServer, dsn: str) -> None:
    with postgres_server.clone("template0") as other_database:
        locks = [daemon(dsn), daemon(dsn, KEY + 1), daemon(postgres_server.dsn(other_database))]
        async with asyncio.timeout(10):
            for lock in locks:
                await lock.wait_until_leader()
        for lock in locks:
            await lock.close()
