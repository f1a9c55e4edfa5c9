"""Brings our database to the schema that this program needs, one process at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database, first_line, parse_url, scalar

SCHEMA_CODE = "database-schema"


@dataclass(frozen=True, slots=True)
class Revision:
    """Where the schema stands, and where this program needs it."""

    current: str | None
    wanted: str

    @property
    def fits(self) -> bool:
        """Whether the program can work with the schema."""
        return self.current == self.wanted


def _folder() -> Path:
    """The migrations: inside the wheel, or at the top of a source tree."""
    packaged = Path(__file__).parents[1] / "_alembic"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "alembic"


def _known_revisions() -> list[str]:
    """The revisions that ship with this program, in order: their files are numbered, and form one line."""
    return sorted(path.name.partition("_")[0] for path in (_folder() / "versions").glob("[0-9]*_*.py"))


def wanted_revision() -> str:
    """The newest revision that ships with this program."""
    return _known_revisions()[-1]


def upgrade(url: str) -> Revision:
    """Migrates under an advisory lock, so that two at once do it once. Returns the state before.

    Raises `DatabaseError` when the database is away, refuses, or is newer than this program.
    """
    # Only here: Alembic is a tenth of the daemon's memory, and the daemon never migrates.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    engine = create_engine(parse_url(url), poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as guard, engine.connect() as conn:
            guard.execute(text("SELECT pg_advisory_lock(:key)"), {"key": lock_keys.SCHEMA})
            before = _revision(conn)
            _refuse_unknown(before)
            _refuse_foreign(conn, before)
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
    current = None
    if conn.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is not None:
        current = conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    conn.rollback()
    return Revision(current, wanted_revision())


def _refuse_unknown(revision: Revision) -> None:
    if revision.current is not None and revision.current not in _known_revisions():
        raise DatabaseError(
            f"the database is at revision {revision.current}, which this program does not know",
            remedy="it was migrated by a newer dca-daemon: install that version; or it is another program's: "
            "check database.url",
        )


def _refuse_foreign(conn: Connection, revision: Revision) -> None:
    """Lamassu's database, of all, is one that an operator has at hand when database.url is written."""
    if revision.current is not None:
        return
    found = conn.execute(
        text(
            """SELECT c.relname FROM pg_catalog.pg_class c
                WHERE c.relnamespace = pg_catalog.current_schema()::pg_catalog.regnamespace
                  AND c.relkind IN ('r', 'p') AND c.relname <> 'alembic_version'
                  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
                ORDER BY c.relname LIMIT 3"""
        )
    ).scalars()
    tables = ", ".join(found)
    conn.rollback()
    if tables:
        raise DatabaseError(
            f"the database holds another program's tables ({tables}, …): nothing was changed",
            remedy="the books need a database of their own: create an empty one, and name it in database.url",
        )


async def revision(db: Database) -> Revision:
    """Where the schema stands. Raises `DatabaseError` when the database is away."""
    async with db.transaction() as conn:
        return await conn.run_sync(_revision)


async def server_version(db: Database) -> str:
    """Of the PostgreSQL that has our books."""
    async with db.transaction() as conn:
        return str(await scalar(conn, "SHOW server_version"))


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
