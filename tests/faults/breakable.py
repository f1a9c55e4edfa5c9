"""An installation whose databases may be stopped and killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dca_daemon.demo.lamassu_schema import create_schema
from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.demo.postgres import EmbeddedPostgres
from tests.e2e.conftest import Installation, set_up
from tests.fixtures.books import prepare_books
from tests.fixtures.postgres import LamassuDb, TestDb


@pytest.fixture
async def breakable(
    tmp_path: Path, own_postgres: EmbeddedPostgres, lamassu_postgres: EmbeddedPostgres, lnbits: LnbitsAdmin
) -> AsyncIterator[Installation]:
    """An installation whose two PostgreSQL servers are this test's own, to be stopped and killed."""
    own_postgres.create_database("books")
    lamassu_postgres.create_database("lamassu")
    books_db = TestDb("books", own_postgres.dsn("books"))
    lamassu_dsn = lamassu_postgres.dsn("lamassu")
    await asyncio.to_thread(prepare_books, books_db.dsn)
    create_schema(lamassu_dsn)
    lamassu_db = LamassuDb(database="lamassu", admin_dsn=lamassu_dsn, reader_dsn=lamassu_dsn)
    async with set_up(tmp_path, books_db, lamassu_db, lnbits) as made:
        yield made
