"""What waiting can mend is told apart from what is wrong."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.ledger import db
from dca_daemon.ledger.db import Database, execute, first_line
from tests.services.builders import sql


@pytest.mark.parametrize("state", ["25006", "25P03", "53100", "57P01", "57P03"])
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
