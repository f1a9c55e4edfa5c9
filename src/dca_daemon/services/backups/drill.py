"""The drill: a backup is made (or taken), restored into a database made for it, verified, and that one dropped.

Without the secret key, which should not be on this computer, a drill makes its backup for a key of its own, known
to nobody else and gone afterwards. That proves everything but that the real key opens the real backups.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import structlog
from psycopg import sql

from dca_daemon.domain.errors import BackupError, DcaError
from dca_daemon.ledger.db import Database, first_line
from dca_daemon.services.backups import folder, keys, make, reading, runs
from dca_daemon.services.backups.make import BackupConfig
from dca_daemon.services.backups.manifest import Manifest
from dca_daemon.services.backups.restore import Restored, Steps, Target, restore_source

log = structlog.get_logger()

SCRATCH_PREFIX = "dca_drill_"


@dataclass(frozen=True, slots=True)
class Drill:
    """What a drill came to. `own_key`: the backup was made for a key of the drill's, not for the recipients."""

    manifest: Manifest
    restored: Restored
    own_key: bool
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillConfig:
    """What a drill takes. `server_dsn`: whoever that is may create databases there."""

    backup: BackupConfig
    server_dsn: str
    identities: Sequence[Any] | None = None  # the secret keys, if they are at hand
    archive: Path | None = None  # a backup that is there already


async def drill(db: Database, config: DrillConfig, *, actor: str) -> Drill:
    """Runs one, and keeps in the books what came of it.

    Raises what `make.make` and `restore.restore` raise; the scratch database is gone either way.
    """
    began_at = datetime.now(UTC)
    try:
        done = await _drill(db, config, began_at, actor)
    except (DcaError, OSError, psycopg.Error) as error:
        reason = error if isinstance(error, DcaError) else BackupError(f"the drill failed: {first_line(error)}")
        log.error("backup.drill-failed", error=str(reason))
        await make.keep_failure(db, runs.Run(kind="drill", began_at=began_at, actor=actor, error=reason.message))
        raise reason from error
    log.info(
        "backup.drilled", archive=done.manifest.archive, seconds={k: round(v, 1) for k, v in done.seconds.items()}
    )
    await runs.save(db, replace(make.run_of(done.manifest, actor=actor), kind="drill", began_at=began_at))
    return done


async def _drill(db: Database, config: DrillConfig, began_at: datetime, actor: str) -> Drill:
    steps = Steps()
    if config.archive is not None:
        source = await asyncio.to_thread(reading.open_backup, config.archive, config.identities)
        reading.check_key(source)
        return await _restored(source, config, steps, own_key=False, actor=actor)
    with tempfile.TemporaryDirectory(prefix=folder.DRILL, dir=config.backup.folder) as scratch:
        place = Path(scratch)
        own_key = config.identities is None and not config.backup.unencrypted
        backup, identities = config.backup, config.identities
        if own_key:
            new = keys.generate(began_at)
            backup, identities = replace(backup, recipients=(new.public,)), keys.read_identities(new.text)
        made = await make.write(db, backup, place, began_at, "drill")
        steps.done("backup")
        source = await asyncio.to_thread(reading.open_backup, place / made.archive, identities)
        return await _restored(source, config, steps, own_key=own_key, actor=actor)


async def _restored(
    source: reading.Source, config: DrillConfig, steps: Steps, *, own_key: bool, actor: str
) -> Drill:
    async with _scratch(config.server_dsn) as dsn:
        steps.done("prepare")
        backup = config.backup
        target = Target(dsn=dsn, pg_bin=backup.pg_bin, timeout_seconds=backup.timeout_seconds)
        db = Database(target.url, pool_size=3, application_name="dca-restore")
        try:
            restored = await restore_source(source, db, target, steps, actor=actor)
        finally:
            await db.close()
    steps.done("drop")
    return Drill(source.manifest, restored, own_key, steps.seconds)


@asynccontextmanager
async def _scratch(server_dsn: str) -> AsyncIterator[str]:
    """A new database on that server, dropped afterwards; its DSN. Raises `BackupError`."""
    name = f"{SCRATCH_PREFIX}{secrets.token_hex(6)}"
    try:
        async with await psycopg.AsyncConnection.connect(
            server_dsn, autocommit=True, connect_timeout=10, application_name="dca-backup"
        ) as conn:
            await conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            try:
                yield with_database(server_dsn, name)
            finally:
                await conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege:
        raise BackupError(
            "the role may not create a database for the drill",
            remedy="ALTER ROLE … CREATEDB, or name a role that may in backup.drill_url",
        ) from None


def with_database(dsn: str, name: str) -> str:
    """The same server and login, another database. `dsn` is a `postgresql://` URL."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{quote(name, safe='')}"))
