"""PgBouncer in transaction mode in front of either database."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from dca_daemon.demo import atm_scenarios
from dca_daemon.demo.postgres import sqlalchemy_url
from dca_daemon.domain.errors import ConfigError, DatabaseError
from dca_daemon.lamassu.check import check_source
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.trigger import install
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database, scalar
from dca_daemon.runtime.leader import LeaderLock
from dca_daemon.services.doctor import Level, Subject, check_books
from tests.e2e.conftest import Installation, get
from tests.faults.pooler import pooled
from tests.fixtures.postgres import LamassuDb, TestDb


async def test_behind_a_pooler_the_listener_is_deaf_and_polling_finds_everything(
    installation: Installation,
) -> None:
    await installation.install_trigger()
    with pooled(installation.lamassu_db.reader_dsn) as dsn:
        first = installation.start(DCA_LAMASSU__DSN=dsn)
        await installation.has_logged("listener.deaf")
        await installation.has_logged("baseline.set")
        atm_scenarios.run(installation.atm, "lightning")
        await installation.distributed(1)
        assert get(f"{installation.url()}/status").json()["mode"] == "poll"
        first.terminate()
        assert await asyncio.to_thread(first.wait, 10) == 0
        # With a direct connection for LISTEN it hears, although it reads through the pooler.
        installation.start(
            DCA_LAMASSU__DSN=dsn,
            DCA_LAMASSU__LISTEN_DSN=installation.lamassu_db.reader_dsn,
            DCA_LAMASSU__SCAN_INTERVAL_SECONDS="3600",
        )
        await installation.has_logged("listener.connected")
        atm_scenarios.run(installation.atm, "lightning")
        await installation.distributed(2)
        await installation.all_settled()
        await installation.assert_agrees()


async def test_the_check_tells_that_a_pooler_makes_listen_deaf(lamassu_db: LamassuDb) -> None:
    await install(lamassu_db.admin_dsn, "dca_cash_out")
    with pooled(lamassu_db.reader_dsn) as dsn:
        found = {f.name: f for f in await check_source(SourceConfig(dsn=dsn))}
        assert found["listen"].ok is None and "deaf" in found["listen"].text
        direct = SourceConfig(dsn=dsn, listen_dsn=lamassu_db.reader_dsn)
        assert {f.name: f for f in await check_source(direct)}["listen"].ok


@pytest.mark.parametrize("more", ["", "ignore_startup_parameters = options"])
async def test_our_own_database_behind_a_pooler_is_refused(books_db: TestDb, more: str) -> None:
    """It is what waiting can't mend: the daemon ends with this line, and systemd starts it again."""
    with pooled(books_db.dsn, more=more) as dsn:
        lock = LeaderLock(dsn, lock_keys.LEADER)
        async with asyncio.timeout(20):
            with pytest.raises(ConfigError, match="leads to a connection pooler"):
                await lock.wait_until_leader()
        await lock.close()


async def test_commands_say_that_a_pooler_answered(books_db: TestDb) -> None:
    with pooled(books_db.dsn) as dsn:
        db = Database(sqlalchemy_url(dsn))
        with pytest.raises(DatabaseError, match="give the address of PostgreSQL itself"):
            await db.run(lambda conn: scalar(conn, "SELECT 1"))
        await db.close()


async def test_doctor_finds_a_pooler_before_our_own_database(books_db: TestDb) -> None:
    with pooled(books_db.dsn, more="ignore_startup_parameters = options") as dsn:
        for url, direct in ((books_db.dsn, True), (dsn, False)):
            db = Database(sqlalchemy_url(url))
            found = {finding.name: finding for finding in await check_books(Subject(books=db))}
            assert (found["direct"].level is Level.OK) is direct
            await db.close()


async def test_through_a_pooler_two_would_hold_the_same_lock(books_db: TestDb) -> None:
    """Why it is refused."""
    take = f"SELECT pg_try_advisory_lock({lock_keys.LEADER})"
    with pooled(books_db.dsn, pool_size=1) as dsn:
        for _ in range(2):
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
                row = await (await conn.execute(take.encode())).fetchone()
                assert row == (True,)
