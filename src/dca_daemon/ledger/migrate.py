"""Brings our database to the schema that this program needs, one process at a time.

A migration only adds, so that a daemon of the version before works on while, and after, it is made (a test
compares the catalogs). One that can't has `BREAKS`, with the reason: it is refused while a daemon is active, and
the database then tells older programs that they can't work with it (`installation.lives_with`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database, first_line, one, parse_url, scalar

if TYPE_CHECKING:
    from alembic.config import Config

SCHEMA_CODE = "database-schema"
_LAST_UNTOLD = "0006"  # the migrations until here did not only add, and programs until here do not ask
_LOCK_SECONDS = 10  # a migration that waits for a table would hold up the daemon behind it
_LOCK_NOT_AVAILABLE = "55P03"
_DAMAGED = "it is another program's, or damaged: check database.url"


@dataclass(frozen=True, slots=True)
class Revision:
    """Where the schema stands, and where this program needs it."""

    current: str | None
    wanted: str
    lives_with: str | None = None  # of a newer schema: the oldest revision whose program may work with it

    @property
    def is_newer(self) -> bool:
        """Whether it was made by a newer program, or by another one."""
        return self.current is not None and self.current > self.wanted

    @property
    def fits(self) -> bool:
        """Whether the program can work with the schema: its own, or a newer one that has only added to it."""
        if self.is_newer:
            return self.lives_with is not None and self.lives_with <= self.wanted
        return self.current == self.wanted

    def require(self) -> None:
        """Raises `DatabaseError`, with what to do, unless it fits."""
        if self.fits:
            return
        state = f"at revision {self.current}" if self.current else "empty"
        raise DatabaseError(
            f"the database is {state}, this program needs revision {self.wanted}",
            remedy=self.remedy,
            code=SCHEMA_CODE,
        )

    @property
    def remedy(self) -> str:
        """What brings program and schema together."""
        if self.is_newer:
            return (
                "it was upgraded for a newer dca-daemon: install that version, or restore the backup from before; "
                f"or {_DAMAGED}"
            )
        return "run: dca-daemon db upgrade"


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


def knows(revision: str) -> bool:
    """Whether this program can bring a schema of that revision to its own."""
    return revision in _known_revisions()


def upgrade(url: str, *, is_leader: bool = False) -> Revision:
    """Migrates under an advisory lock, so that two at once do it once. Returns the state before.

    `is_leader`: the caller holds the active daemon's lock itself, so that none is at work.
    A newer schema that this program can work with is left as it is. Raises `DatabaseError` when the database is
    away, refuses, is of a newer program that this one can't follow, or when an active daemon could not go on.
    """
    # Only here: Alembic is a tenth of the daemon's memory, and the daemon never migrates.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    engine = create_engine(parse_url(url), poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as guard, engine.connect() as conn:
            guard.execute(text("SELECT pg_advisory_lock(:key)"), {"key": lock_keys.SCHEMA})
            before = _revision(conn)
            if not (before.is_newer and before.fits):
                _refuse_unknown(before)
                _refuse_foreign(conn, before)
                _migrate(config, None if is_leader else guard, conn, before)
            return before
    except DBAPIError as error:
        raise DatabaseError(
            f"the database could not be migrated: {first_line(error)}", remedy=_what_to_do(error)
        ) from error
    finally:
        engine.dispose()


def _what_to_do(error: DBAPIError) -> str:
    if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
        return "somebody is at work on that table: run it again, or stop the daemon and the console first"
    return "check database.url and that its role owns the database"


def _migrate(config: Config, guard: Connection | None, conn: Connection, before: Revision) -> None:
    from alembic import command

    lives_with, broken = _compatibility(config, before)
    if broken is not None and guard is not None:
        _refuse_while_active(guard, broken)
    conn.execute(text(f"SET lock_timeout = '{_LOCK_SECONDS}s'"))
    # Before and after: at no moment must an older program take tables that it can't work with for its own.
    _tell(conn, lives_with)
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
    _tell(conn, lives_with)


def _compatibility(config: Config, before: Revision) -> tuple[str, str | None]:
    """The oldest revision whose program lives with the newest schema; which outstanding one breaks the daemon."""
    from alembic.script import ScriptDirectory

    lives_with, broken = _LAST_UNTOLD, None
    for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions())):
        reason = getattr(script.module, "BREAKS", None)
        if reason is not None:
            lives_with = script.revision
        outstanding = before.current is not None and script.revision > before.current
        if outstanding and (reason is not None or script.revision <= _LAST_UNTOLD):
            broken = script.revision
    return lives_with, broken


def _refuse_while_active(guard: Connection, broken: str) -> None:
    """Holds the lock of the active daemon until `guard` is closed, so that none begins meanwhile either."""
    if not guard.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": lock_keys.LEADER}).scalar_one():
        raise DatabaseError(
            f"a daemon is at work, which could not go on with revision {broken}: nothing was changed",
            remedy="stop every daemon and the console, then run it again: systemctl stop dca-daemon",
        )


def _tell(conn: Connection, lives_with: str) -> None:
    if _lives_with(conn) is not None:
        conn.execute(text("UPDATE installation SET lives_with = :it"), {"it": lives_with})
    conn.commit()


def _lives_with(conn: Connection) -> str | None:
    """What the database tells; an empty text where nothing was written yet, None where it has no place for it."""
    told = conn.execute(
        text(
            """SELECT count(*) FROM pg_attribute
                WHERE attrelid = to_regclass('installation') AND attname = 'lives_with' AND NOT attisdropped"""
        )
    ).scalar_one()
    if not told:
        return None
    return str(conn.execute(text("SELECT coalesce(lives_with, '') FROM installation")).scalar_one_or_none() or "")


def _revision(conn: Connection) -> Revision:
    current = lives_with = None
    if conn.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is not None:
        current = conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    wanted = wanted_revision()
    if current is not None and current > wanted:
        lives_with = _lives_with(conn) or None
    conn.rollback()
    return Revision(current, wanted, lives_with)


def _refuse_unknown(revision: Revision) -> None:
    if revision.current is not None and revision.current not in _known_revisions():
        raise DatabaseError(
            f"the database is at revision {revision.current}, which this program does not know",
            remedy=revision.remedy if revision.is_newer else _DAMAGED,
            code=SCHEMA_CODE,
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


async def check_upgradable(db: Database) -> Revision:
    """Where the schema stands, of a database that `upgrade` would take. Raises `DatabaseError` of any other."""
    found = await revision(db)
    if not found.fits:
        _refuse_unknown(found)
        async with db.transaction() as conn:
            await conn.run_sync(_refuse_foreign, found)
    async with db.transaction() as conn:
        where = await one(
            conn,
            """SELECT current_user AS role, pg_catalog.current_database() AS name,
                      pg_catalog.has_schema_privilege(pg_catalog.current_schema(), 'CREATE') AS may""",
        )
    if not where.may:
        raise DatabaseError(
            f"{where.role} may not make tables in {where.name}",
            remedy=f"as a superuser: ALTER DATABASE {where.name} OWNER TO {where.role}",
        )
    return found


async def server_version(db: Database) -> str:
    """Of the PostgreSQL that has our books."""
    async with db.transaction() as conn:
        return str(await scalar(conn, "SHOW server_version"))


async def check_revision(db: Database) -> Revision:
    """Raises `DatabaseError`, with what to do, unless the program can work with the schema."""
    found = await revision(db)
    found.require()
    return found
