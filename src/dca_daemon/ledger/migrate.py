"""Brings our database to the schema that this program needs, one process at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.ledger.db import Database, first_line, parse_url

SCHEMA_CODE = "database-schema"
_LOCK_KEY = 0x0DCA_0000_0001


@dataclass(frozen=True, slots=True)
class Revision:
    """Where the schema stands, and where this program needs it."""

    current: str | None
    wanted: str

    @property
    def fits(self) -> bool:
        """Whether the program can work with the schema."""
        return self.current == self.wanted


def _config() -> Config:
    packaged = Path(__file__).parents[1] / "_alembic"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[3] / "alembic"
    config = Config()
    config.set_main_option("script_location", str(folder))
    return config


def wanted_revision() -> str:
    """The newest revision that ships with this program."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def upgrade(url: str) -> Revision:
    """Migrates under an advisory lock, so that two at once do it once. Returns the state before.

    Raises `DatabaseError` when the database is away, refuses, or is newer than this program.
    """
    engine = create_engine(parse_url(url), poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as guard, engine.connect() as conn:
            guard.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
            before = _revision(conn)
            _refuse_newer(before)
            config = _config()
            config.attributes["connection"] = conn
            command.upgrade(config, "head")
            conn.commit()
            return before
    except DBAPIError as error:
        raise DatabaseError(
            f"the database could not be migrated: {first_line(error)}",
            remedy="check database.url and that its role owns the database",
        ) from error
    finally:
        engine.dispose()


def _revision(conn: Connection) -> Revision:
    current = MigrationContext.configure(conn).get_current_revision()
    conn.rollback()
    return Revision(current, wanted_revision())


def _refuse_newer(revision: Revision) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision.current is not None and revision.current not in known:
        raise DatabaseError(
            f"the database is at revision {revision.current}, which this program does not know",
            remedy="it was migrated by a newer dca-daemon: install that version",
        )


async def revision(db: Database) -> Revision:
    """Where the schema stands. Raises `DatabaseError` when the database is away."""
    async with db.transaction() as conn:
        return await conn.run_sync(_revision)


async def check_revision(db: Database) -> None:
    """Raises `DatabaseError`, with what to do, unless the schema is the one that we need."""
    found = await revision(db)
    if not found.fits:
        state = f"at revision {found.current}" if found.current else "empty"
        raise DatabaseError(
            f"the database is {state}, this program needs revision {found.wanted}",
            remedy="run: dca-daemon db upgrade",
            code=SCHEMA_CODE,
        )
