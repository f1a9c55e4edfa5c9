"""Makes a backup: one consistent snapshot of the books, counted and dumped, encrypted, on the disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import BackupError, ConfigError, DcaError
from dca_daemon.ledger import which_copy
from dca_daemon.ledger.db import Database, first_line, scalar
from dca_daemon.services.backups import archive, contents, folder, keys, programs, runs
from dca_daemon.services.backups.manifest import Manifest
from dca_daemon.services.backups.programs import Login, Programs
from dca_daemon.services.backups.rotation import Keep

log = structlog.get_logger()

_LOCK_WAIT = "60s"  # a migration that is under way holds what pg_dump must read


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupConfig:
    """Where backups go, and how. `dsn` is the books' own; `recipients` empty: not encrypted."""

    dsn: str
    folder: Path | None
    recipients: tuple[str, ...] = ()
    unencrypted: bool = False
    keep: Keep = field(default_factory=Keep)
    pg_bin: Path | None = None
    timeout_seconds: float = 7200
    program_version: str = "unknown"

    def place(self) -> Path:
        """The folder. Raises `ConfigError` unless everything is there that a backup takes."""
        if self.folder is None:
            raise ConfigError(
                "setting backup.folder is missing: where backups go",
                remedy='add folder = "/var/lib/dca-backup" to [backup]; see docs/backup.md',
            )
        if not self.recipients and not self.unencrypted:
            raise ConfigError(
                "setting backup.recipients is missing: the public keys of those who may read the backups",
                remedy="make a key with dca-daemon backup new-key; see docs/backup.md",
            )
        return self.folder


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was just made. `deleted`: those that had to go for it."""

    path: Path
    manifest: Manifest
    seconds: float
    deleted: tuple[str, ...]
    recorded: bool  # in the books; an older schema has no place for it


async def make(db: Database, config: BackupConfig, *, actor: str, cause: str = "backup") -> Backup:
    """Makes one, and sorts the older ones out. What came of it is kept in the books.

    Raises `BackupError`, `ConfigError` or `DatabaseError`; then nothing of it is left.
    """
    began_at = datetime.now(UTC)
    try:
        place = config.place()
        with folder.writing(place):
            made = await write(db, config, place, began_at, cause)
            deleted = folder.sort_out(place, config.keep, datetime.now(UTC), made.contents.installation_id)
    except (DcaError, DBAPIError, OSError) as error:
        reason = error if isinstance(error, DcaError) else BackupError(f"the backup failed: {first_line(error)}")
        log.error("backup.failed", cause=cause, error=str(reason))
        await keep_failure(db, runs.Run(kind=cause, began_at=began_at, actor=actor, error=reason.message))
        raise reason from error
    seconds = (datetime.now(UTC) - began_at).total_seconds()
    log.info(
        "backup.done", cause=cause, archive=made.archive, size_bytes=made.size_bytes, seconds=round(seconds, 1)
    )
    for name in deleted:
        log.info("backup.deleted", backup=name)
    recorded = await runs.save(db, run_of(made, actor=actor))
    return Backup(place / made.archive, made, seconds, tuple(deleted), recorded)


def run_of(made: Manifest, *, actor: str) -> runs.Run:
    """What is kept of a good one."""
    return runs.Run(
        kind=made.cause,
        began_at=made.made_at,
        actor=actor,
        archive=made.archive,
        size_bytes=made.size_bytes,
        revision=made.contents.revision,
    )


async def keep_failure(db: Database, run: runs.Run) -> None:
    """Where the books can be written to; the fault itself is what counts."""
    try:
        await runs.save(db, run)
    except DcaError as error:
        log.warning("backup.not-recorded", error=str(error))


async def write(db: Database, config: BackupConfig, place: Path, began_at: datetime, cause: str) -> Manifest:
    """The two files, in that folder. Raises as `make` does."""
    recipients = keys.read_recipients(config.recipients) or None
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        snapshot = str(await scalar(conn, "SELECT pg_export_snapshot()"))
        made_at: datetime = await scalar(conn, "SELECT now()")
        found = await contents.read(conn)
        book = await which_copy.fingerprint(conn)
        version, major = await server(conn)
        using = await asyncio.to_thread(programs.find, major, config.pg_bin)
        stem = folder.free_stem(place, began_at)
        name = f"{stem}{folder.PLAIN if recipients is None else folder.ENCRYPTED}"
        part = place / f"{name}{folder.PART}"
        try:
            written = await asyncio.to_thread(_dump, config, using, snapshot, part, recipients)
            made = Manifest(
                program_version=config.program_version,
                made_at=made_at,
                cause=cause,
                archive=name,
                encryption="none" if recipients is None else "age",
                recipients=config.recipients,
                size_bytes=written.size_bytes,
                sha256=written.sha256,
                server_version=version,
                server_major=major,
                pg_dump_major=using.major,
                book=book,
                contents=found,
            )
            folder.publish(place, stem, made)
        finally:
            part.unlink(missing_ok=True)
    return made


def _dump(
    config: BackupConfig, using: Programs, snapshot: str, part: Path, recipients: list[object] | None
) -> archive.Sink:
    login = Login.of(config.dsn)
    command: list[str | Path] = [
        using.dump,
        "--format=custom",
        "--compress=1",  # a fifth larger than the default of 6, in a third of the time
        "--no-password",
        f"--lock-wait-timeout={_LOCK_WAIT}",
        f"--snapshot={snapshot}",
        f"--dbname={login.dbname}",
    ]
    return programs.read_from(
        command, login, config.timeout_seconds, lambda source: archive.write(part, source, recipients)
    )


async def server(conn: AsyncConnection) -> tuple[str, int]:
    """The version of the PostgreSQL at the other end: as it says it, and its first number."""
    version = str(await scalar(conn, "SHOW server_version"))
    number = int(await scalar(conn, "SELECT current_setting('server_version_num')::integer"))
    return version, number // 10_000
