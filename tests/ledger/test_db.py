"""What waiting can mend is told apart from what is wrong."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.ledger import db
from dca_daemon.ledger.db import Database, execute, first_line, scalar
from tests.fixtures.postgres import TestDb
from tests.services.builders import sql

own_server = pytest.mark.skipif(
    "DCA_TEST_POSTGRES_DSN" in os.environ, reason="freezes a backend: only on a server of our own"
)


AWAY = {
    "read-only": "25006",
    "idle in a transaction for too long": "25P03",
    "disk full": "53100",
    "out of memory": "53200",
    "too many connections": "53300",
    "lock not available in time": "55P03",
    "ended by an administrator": "57P01",
    "crashed": "57P02",
    "starting": "57P03",
    "statement too slow": "57014",
    "outcome of the commit unknown": "40003",
    "disk does not answer": "58030",
    "damaged page": "XX001",
    "damaged index": "XX002",
}


@pytest.mark.parametrize("state", AWAY.values(), ids=AWAY.keys())
async def test_a_database_that_can_not_be_used_now_is_away(books: Database, state: str) -> None:
    with pytest.raises(DatabaseError, match="not reachable"):
        await sql(books, f"DO $$ BEGIN RAISE 'so it is' USING ERRCODE = '{state}'; END $$")


async def test_a_database_that_became_a_standby_is_away(books: Database) -> None:
    with pytest.raises(DatabaseError, match="read-only transaction"):
        async with books.transaction() as conn:
            await execute(conn, "SET TRANSACTION READ ONLY")
            await execute(conn, "UPDATE pool SET name = name")


async def test_what_is_wrong_is_no_absence(books: Database) -> None:
    with pytest.raises(IntegrityError):
        await sql(books, "INSERT INTO pool (id, name, currency) VALUES (1, 'again', 'GTQ')")
    with pytest.raises(DBAPIError):
        await sql(books, "SELECT 1 / 0")


async def test_what_is_too_large_is_a_fault_of_the_row(books: Database) -> None:
    """Waiting would never mend it: taken for an absence, one row would hold up all others for ever."""
    with pytest.raises(DBAPIError, match="index row"):
        await sql(
            books,
            """INSERT INTO machine (device_id, pool_id)
               SELECT string_agg(md5(n::text), ''), 1 FROM generate_series(1, 1000) n""",
        )


async def test_no_session_that_was_read_only_is_used_again(books: Database) -> None:
    """The first that is met costs an attempt; the others of that time would each cost another."""
    async with books.engine.connect() as one, books.engine.connect() as other, books.engine.connect() as third:
        for conn in (one, other, third):
            await conn.exec_driver_sql("SET default_transaction_read_only = on")
            await conn.commit()
    with pytest.raises(DatabaseError, match="read-only"):
        await sql(books, "UPDATE installation SET id = id")
    for _ in range(3):
        await sql(books, "UPDATE installation SET id = id")


async def test_transactions_are_read_committed_and_durable_whatever_the_server_says(books: Database) -> None:
    async with books.transaction() as conn:
        database = await scalar(conn, "SELECT current_database()")
        await execute(conn, f"ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'")
        await execute(conn, f"ALTER DATABASE {database} SET synchronous_commit = off")
    await books.close()
    async with books.transaction() as conn:
        assert await scalar(conn, "SHOW transaction_isolation") == "read committed"
        assert await scalar(conn, "SHOW synchronous_commit") == "on"


async def test_why_work_had_to_wait_is_known_until_it_is_done(books: Database) -> None:
    async def full(conn: AsyncConnection) -> None:
        await execute(conn, "DO $$ BEGIN RAISE 'no space left' USING ERRCODE = '53100'; END $$")

    with pytest.raises(DatabaseError):
        await books.run(full)
    assert books.work_error and "no space left" in books.work_error
    await books.run(lambda conn: execute(conn, "SELECT 1"))
    assert books.work_error is None


async def test_deadlocks_without_end_are_no_refusal(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "RETRIES_MAX", 2)
    tries = []

    async def deadlocked(conn: AsyncConnection) -> None:
        tries.append(conn)
        await execute(conn, "DO $$ BEGIN RAISE 'deadlock detected' USING ERRCODE = '40P01'; END $$")

    with pytest.raises(DatabaseError, match="deadlock detected"):
        await books.run(deadlocked)
    assert len(tries) == 2


def test_an_error_without_words_has_its_name() -> None:
    assert first_line(AssertionError()) == "AssertionError"
    assert first_line(ValueError("one\ntwo")) == "one"


def _pid(db: Database) -> Any:
    return db.run(lambda conn: scalar(conn, "SELECT pg_backend_pid()"))


@pytest.fixture
async def impatient(books_db: TestDb, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """With one connection, hung up on after 0.6 s; the server itself would end a statement after 0.3 s."""
    monkeypatch.setattr(db, "_GRACE_SECONDS", 0.3)
    made = Database(books_db.sqlalchemy_url, pool_size=1, statement_timeout_seconds=0.3)
    yield made
    await made.close()


async def test_a_slow_statement_is_ended_by_the_server(books_db: TestDb) -> None:
    made = Database(books_db.sqlalchemy_url, pool_size=1, statement_timeout_seconds=0.3)
    with pytest.raises(DatabaseError, match="statement timeout"):
        await sql(made, "SELECT pg_sleep(60)")
    await made.close()


@own_server
async def test_a_frozen_server_is_hung_up_on(impatient: Database) -> None:
    """SIGSTOP: no answer, no error, not even to a cancellation. The next work has a new connection."""
    frozen = await _pid(impatient)
    os.kill(frozen, signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):
            with pytest.raises(DatabaseError, match=r"no answer for 0\.6 seconds"):
                await sql(impatient, "SELECT 1")
            assert await _pid(impatient) != frozen
    finally:
        os.kill(frozen, signal.SIGCONT)


@own_server
async def test_a_cancellation_does_not_wait_for_a_frozen_server(books: Database) -> None:
    frozen = await _pid(books)
    os.kill(frozen, signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await sql(books, "SELECT 1")
            assert await _pid(books) != frozen
    finally:
        os.kill(frozen, signal.SIGCONT)
