"""The backup that `db upgrade` makes before it changes the schema: it is the way back to the older version."""

from __future__ import annotations

from dca_daemon.domain.errors import BackupError, ConfigError
from dca_daemon.ledger import migrate
from dca_daemon.ledger.db import Database, scalar
from dca_daemon.services.backups import runs
from dca_daemon.services.backups.make import Backup, BackupConfig, make, run_of

_OR = "or go without one: dca-daemon db upgrade --no-backup"


async def is_needed(db: Database) -> bool:
    """Whether there is something to upgrade, and something to lose by it."""
    found = await migrate.revision(db)
    if found.current is None or found.fits or not migrate.knows(found.current):
        return False
    async with db.transaction() as conn:
        return bool(
            await scalar(
                conn,
                """SELECT EXISTS (SELECT FROM client) OR EXISTS (SELECT FROM cash_out)
                       OR EXISTS (SELECT FROM journal_entry)""",
            )
        )


async def make_first(db: Database, config: BackupConfig, *, actor: str) -> Backup:
    """Makes it. Raises `BackupError` that says how to go on."""
    try:
        return await make(db, config, actor=actor, cause="upgrade")
    except (BackupError, ConfigError) as error:
        remedy = f"{error.remedy}; {_OR}" if error.remedy else _OR
        raise BackupError(
            f"nothing was upgraded, since no backup could be made before: {error.message}", remedy=remedy
        ) from error


async def record(db: Database, made: Backup, *, actor: str) -> None:
    """Writes it into the upgraded books, where the older schema had no place for it."""
    if not made.recorded:
        await runs.save(db, run_of(made.manifest, actor=actor))
