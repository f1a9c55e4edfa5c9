"""Migrations: once, by one process at a time, and in words that tell what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from dca_daemon.domain.errors import ConfigError, DatabaseError
from dca_daemon.ledger import migrate
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from tests.fixtures.postgres import PostgresServer, TestDb
from tests.services.builders import sql

ROOT = Path(__file__).resolve().parents[2]
AWAY = "postgresql+psycopg://somebody:very-secret@127.0.0.1:1/books"


@pytest.fixture
def empty_db(postgres_server: PostgresServer) -> Iterator[TestDb]:
    """A database without any table."""
    with postgres_server.clone("template0") as database:
        yield TestDb(database, postgres_server.dsn(database))


def stamped(db: TestDb) -> str:
    with psycopg.connect(db.dsn) as conn:
        found = conn.execute("SELECT version_num FROM alembic_version").fetchall()
    assert len(found) == 1
    return str(found[0][0])


def stamp(db: TestDb, revision: str) -> None:
    with psycopg.connect(db.dsn) as conn:
        conn.execute("UPDATE alembic_version SET version_num = %s", (revision,))


def test_from_empty_and_once_more(empty_db: TestDb) -> None:
    wanted = migrate.wanted_revision()
    assert migrate.upgrade(empty_db.sqlalchemy_url) == migrate.Revision(None, wanted)
    assert stamped(empty_db) == wanted
    with psycopg.connect(empty_db.dsn) as conn:
        first = conn.execute("SELECT id FROM installation").fetchall()
    before = migrate.upgrade(empty_db.sqlalchemy_url)
    assert before.fits and before.current == wanted
    with psycopg.connect(empty_db.dsn) as conn:
        assert conn.execute("SELECT id FROM installation").fetchall() == first


RELEASED = Path(__file__).with_name("released")


def upgrade_to(db: TestDb, revision: str) -> None:
    """As an older release of this program would have it."""
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic"))
    engine = create_engine(db.sqlalchemy_url, poolclass=NullPool)
    with engine.connect() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, revision)
        conn.commit()
    engine.dispose()


def load(db: TestDb, release: Path) -> None:
    with psycopg.connect(db.dsn) as conn:
        conn.execute(release.read_bytes())


def content(db: TestDb) -> dict[str, list[dict[str, object]]]:
    """Every row of every table."""
    with psycopg.connect(db.dsn) as conn:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        query = "SELECT to_jsonb(t) FROM {} t ORDER BY to_jsonb(t)::text"
        return {t: [row[0] for row in conn.execute(query.format(t).encode())] for (t,) in tables}


def test_every_released_schema_is_upgraded_from() -> None:
    kept = {path.stem for path in RELEASED.glob("*.sql")}
    numbers = {path.name[:4] for path in (ROOT / "alembic" / "versions").glob("*.py")}
    # 0002 was never released by itself; what is newer than the newest release has no books out there.
    assert {number for number in numbers - kept if number < max(kept)} <= {"0002"}


@pytest.mark.parametrize("release", sorted(RELEASED.glob("*.sql")), ids=lambda path: path.stem)
async def test_books_with_money_in_them_are_upgraded(empty_db: TestDb, release: Path) -> None:
    """From each released schema, with what that release had written: nothing of it changes."""
    await asyncio.to_thread(upgrade_to, empty_db, release.stem)
    load(empty_db, release)
    before = content(empty_db)
    assert len(before["posting"]) > 15
    found = await asyncio.to_thread(migrate.upgrade, empty_db.sqlalchemy_url)
    assert (found.current, found.wanted) == (release.stem, migrate.wanted_revision())
    after = content(empty_db)
    for table in before.keys() - {"alembic_version", "payout_move"}:
        kept = [{key: row[key] for key in old} for old, row in zip(before[table], after[table], strict=True)]
        assert kept == before[table], table
    db = Database(empty_db.sqlalchemy_url)
    await migrate.check_revision(db)
    assert [check for check in await verify(db) if not check.holds] == []
    await db.close()


def test_another_programs_database_is_refused_and_left_alone(empty_db: TestDb) -> None:
    with psycopg.connect(empty_db.dsn) as conn:
        conn.execute("CREATE TABLE cash_out_txs (id uuid PRIMARY KEY)")
    with pytest.raises(DatabaseError, match=r"another program's tables \(cash_out_txs") as refused:
        migrate.upgrade(empty_db.sqlalchemy_url)
    assert "database.url" in str(refused.value.remedy)
    with psycopg.connect(empty_db.dsn) as conn:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == [("cash_out_txs",)]


def test_several_at_once_migrate_once(empty_db: TestDb) -> None:
    with ThreadPoolExecutor(4) as threads:
        before = list(threads.map(migrate.upgrade, [empty_db.sqlalchemy_url] * 4))
    found = sorted(str(revision.current) for revision in before)
    assert found == sorted(["None", *[migrate.wanted_revision()] * 3])


def test_a_table_that_somebody_has_locked_is_not_waited_for(
    books_db: TestDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever queues behind a migration that waits, the daemon above all, would stand still."""
    monkeypatch.setattr(migrate, "_LOCK_SECONDS", 0.1)
    with psycopg.connect(books_db.dsn) as conn:
        conn.execute("LOCK TABLE installation")
        with pytest.raises(
            DatabaseError, match=r"canceling statement due to lock timeout .*run it again, or stop"
        ):
            migrate.upgrade(books_db.sqlalchemy_url)
    assert migrate.upgrade(books_db.sqlalchemy_url).fits


NEWER = (
    "(it was upgraded for a newer dca-daemon: install that version, or restore the backup from before; "
    "or it is another program's, or damaged: check database.url)"
)


@pytest.mark.parametrize("lives_with", [None, "", "9998"])
async def test_a_newer_database_is_refused_and_left_alone(
    books_db: TestDb, books: Database, lives_with: str | None
) -> None:
    stamp(books_db, "9999")
    await sql(books, "UPDATE installation SET lives_with = :it", it=lives_with)
    with pytest.raises(DatabaseError) as caught:
        migrate.upgrade(books_db.sqlalchemy_url)
    unknown = f"the database is at revision 9999, which this program does not know {NEWER}"
    assert str(caught.value) == unknown
    with pytest.raises(DatabaseError) as caught:
        await migrate.check_revision(books)
    assert str(caught.value).endswith(f"this program needs revision {migrate.wanted_revision()} {NEWER}")
    assert stamped(books_db) == "9999"


async def test_a_newer_database_that_lives_with_this_program_is_left_alone(
    books_db: TestDb, books: Database
) -> None:
    stamp(books_db, "9999")
    before = await asyncio.to_thread(migrate.upgrade, books_db.sqlalchemy_url)
    assert before.is_newer and before.fits
    assert (await migrate.check_revision(books)).current == "9999" == stamped(books_db)


async def test_the_right_revision_passes(books: Database) -> None:
    await migrate.check_revision(books)
    assert (await migrate.revision(books)).fits


async def test_another_revision_says_what_to_do(books_db: TestDb, books: Database) -> None:
    stamp(books_db, "0000")
    with pytest.raises(DatabaseError) as caught:
        await migrate.check_revision(books)
    assert caught.value.code == migrate.SCHEMA_CODE
    assert str(caught.value) == (
        f"the database is at revision 0000, this program needs revision {migrate.wanted_revision()} "
        "(run: dca-daemon db upgrade)"
    )


async def test_an_empty_database_says_what_to_do(empty_db: TestDb) -> None:
    db = Database(empty_db.sqlalchemy_url)
    with pytest.raises(DatabaseError, match=r"the database is empty, .* \(run: dca-daemon db upgrade\)"):
        await migrate.check_revision(db)
    await db.close()


def one_line(error: DatabaseError) -> None:
    assert "\n" not in str(error)
    assert "very-secret" not in str(error) and "very-secret" not in repr(error)
    assert error.remedy is not None and "database.url" in error.remedy


def test_a_database_that_is_away_cannot_be_migrated() -> None:
    with pytest.raises(DatabaseError, match="could not be migrated: connection failed") as caught:
        migrate.upgrade(AWAY)
    one_line(caught.value)


async def test_a_database_that_is_away_is_one_clear_line() -> None:
    db = Database(AWAY)
    assert "very-secret" not in db.name
    with pytest.raises(DatabaseError, match="our database is not reachable: connection failed") as caught:
        async with db.transaction():
            pass
    one_line(caught.value)
    with pytest.raises(DatabaseError):
        await migrate.check_revision(db)
    await db.close()


async def test_a_wrong_password_is_one_clear_line(postgres_server: PostgresServer, books_db: TestDb) -> None:
    url = books_db.sqlalchemy_url.replace("://", "://nobody:very-secret@", 1)
    url = url.replace(url.split("@")[1] + "@", "", 1) if url.count("@") > 1 else url
    db = Database(url)
    with pytest.raises(DatabaseError, match="our database is not reachable") as caught:
        async with db.transaction():
            pass
    one_line(caught.value)
    await db.close()


@pytest.mark.parametrize("url", ["", "books", "postgresql+psycopg://host:port/x", "nosuchdb://host/books"])
def test_what_is_no_address_is_a_wrong_setting(url: str) -> None:
    for use in (Database, migrate.upgrade):
        with pytest.raises(ConfigError, match=r"database\.url"):
            use(url)


def test_the_newest_numbered_file_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[2] / "alembic"))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [migrate.wanted_revision()]
