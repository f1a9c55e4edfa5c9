"""Restores a backup into an empty database: all of it in one transaction, and compared with its manifest.

The restored copy is marked, so that no daemon pays from it before it has searched LNbits for what the backup did
not know yet (`runtime/recoverer.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import structlog
from psycopg.conninfo import conninfo_to_dict

from dca_daemon.domain.errors import BackupError, BooksError
from dca_daemon.ledger import lock_keys, migrate, which_copy
from dca_daemon.ledger.db import Database, rows, scalar
from dca_daemon.ledger.verify import verify
from dca_daemon.services.audit import audit
from dca_daemon.services.backups import archive, contents, programs, reading
from dca_daemon.services.backups.make import server
from dca_daemon.services.backups.manifest import Manifest
from dca_daemon.services.backups.programs import Login, Programs
from dca_daemon.services.backups.reading import Source

log = structlog.get_logger()

_APPLICATION = "dca-restore"  # not a daemon's: those are what must not be there


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The database to restore into (`postgresql://…`), and the means."""

    dsn: str
    pg_bin: Path | None = None
    timeout_seconds: float = 7200

    @property
    def database(self) -> str:
        """Its name."""
        return str(conninfo_to_dict(self.dsn).get("dbname") or "")

    @property
    def url(self) -> str:
        """The same, as SQLAlchemy wants it."""
        return self.dsn.replace("postgresql://", "postgresql+psycopg://", 1)


class Steps:
    """How long each step took, in seconds, in their order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = perf_counter()

    def done(self, name: str) -> None:
        """The step that has just ended."""
        now = perf_counter()
        self.seconds[name] = now - self._since
        self._since = now


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that is in a database now, and was found to be what its manifest says."""

    manifest: Manifest
    revision: str  # of the schema, after it was brought to this program's
    checks: int  # how many of `ledger verify` hold
    seconds: dict[str, float]


async def restore(path: Path, identities: Sequence[Any] | None, target: Target, *, actor: str) -> Restored:
    """Restores it. What is refused is refused before anything is touched.

    Raises `BackupError` when it can't be used, or not there; `BooksError` when what came out is not what went in.
    """
    steps = Steps()
    source = await asyncio.to_thread(reading.open_backup, path, identities)
    db = Database(target.url, pool_size=3, application_name=_APPLICATION)
    try:
        return await restore_source(source, db, target, steps, actor=actor)
    finally:
        await db.close()


async def restore_source(source: Source, db: Database, target: Target, steps: Steps, *, actor: str) -> Restored:
    """The same, of a backup that was opened, with `db` on the target."""
    found = source.manifest
    async with _empty(db, found) as server_major:
        using = await asyncio.to_thread(programs.find, max(found.pg_dump_major, server_major), target.pg_bin)
        await asyncio.to_thread(reading.check_readable, source, using, target.timeout_seconds)
        steps.done("check")
        await asyncio.to_thread(_run, source, using, target)
        await _mark(db)  # at once: whatever is found below, nobody may take it for the books that were paid from
        steps.done("restore")
        await _compare(db, found)
        steps.done("compare")
        if found.contents.revision != migrate.wanted_revision():
            await asyncio.to_thread(migrate.upgrade, target.url, is_leader=True)
            await _mark(db)
            steps.done("upgrade")
        async with db.transaction() as conn:
            after = {"archive": found.archive, "made_at": found.made_at.isoformat(), "sha256": found.sha256}
            await audit(conn, actor=actor, action="books.restore", subject="books", after=after)
        checks = await verify(db)
        broken = [check.name for check in checks if not check.holds]
        if broken:
            raise BooksError(
                f"the backup is restored, but its books do not hold: {', '.join(broken)}",
                remedy="see dca-daemon ledger verify; they did not hold when it was made, either",
            )
        steps.done("verify")
    log.info("backup.restored", archive=found.archive, made_at=found.made_at.isoformat())
    return Restored(found, migrate.wanted_revision(), len(checks), steps.seconds)


@asynccontextmanager
async def _empty(db: Database, found: Manifest) -> AsyncIterator[int]:
    """Holds the daemon's lock on an empty database that takes this backup; the server's major version."""
    async with db.session_lock(lock_keys.LEADER) as held:
        async with db.transaction() as conn:
            others = await rows(
                conn,
                """SELECT application_name AS name FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name LIKE 'dca-daemon%' LIMIT 1""",
            )
            name = str(await scalar(conn, "SELECT current_database()"))
            in_the_way = await contents.anything_in(conn)
            version, major = await server(conn)
            standby = await scalar(conn, "SELECT pg_is_in_recovery()")
        if others or not held:
            raise BackupError(
                f"another dca-daemon is connected to the database {name}",
                remedy="stop it first: systemctl stop dca-daemon dca-console",
            )
        if in_the_way:
            raise BackupError(
                f"the database {name} is not empty ({', '.join(in_the_way)}, …): nothing was changed",
                remedy="restore into a new one: createdb --owner=ROLE dca_restored, and name it in database.url",
            )
        if standby:
            raise BackupError(f"the database {name} is a standby's", remedy="use the primary")
        if major < found.server_major:
            raise BackupError(
                f"the backup is of PostgreSQL {found.server_version}, the server here is {version}",
                remedy=f"restore it into PostgreSQL {found.server_major} or newer",
            )
        yield major


def _run(source: Source, using: Programs, target: Target) -> None:
    login = Login.of(target.dsn)
    command: list[str | Path] = [
        using.restore,
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",  # the roles may be others here
        "--no-privileges",
        "--no-password",
        f"--dbname={login.dbname}",
    ]
    programs.write_to(
        command,
        login,
        target.timeout_seconds,
        lambda pipe: archive.read(source.archive, pipe, source.identities),
    )


async def _mark(db: Database) -> None:
    async with db.transaction() as conn:
        if await scalar(
            conn,
            """SELECT EXISTS (SELECT FROM pg_attribute
                               WHERE attrelid = CAST('installation' AS regclass) AND attname = 'paid_from')""",
        ):  # schemas before 0003 have no place for it
            await which_copy.mark_restored(conn)


async def _compare(db: Database, found: Manifest) -> None:
    async with db.engine.connect() as conn:
        await conn.execution_options(isolation_level="AUTOCOMMIT")
        await conn.exec_driver_sql("ANALYZE")  # or the questions that follow take far longer
    async with db.transaction() as conn:
        differences = found.contents.differences(await contents.read(conn))
    if differences:
        raise BooksError(
            f"what was restored is not what the manifest says: {differences[0]}"
            + (f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""),
            remedy="drop this database, and take another backup",
        )
