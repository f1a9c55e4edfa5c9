"""What came of each backup and drill, kept in the books: how old the last good one is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dca_daemon.ledger.db import Database, execute, one, scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One backup, or one drill. `error` None: it was good. `archive` and what follows it: of a good one."""

    kind: str  # backup, upgrade or drill
    began_at: datetime
    actor: str
    error: str | None = None
    archive: str | None = None
    size_bytes: int | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Last:
    """What is known of the latest ones; None: there was none."""

    good_at: datetime | None
    good_age_seconds: float | None
    failed_at: datetime | None  # only where nothing good came after it
    error: str | None
    drilled_at: datetime | None


async def save(db: Database, run: Run) -> bool:
    """Keeps it, where the schema has a place for it already. Raises `DatabaseError`."""
    async with db.transaction() as conn:
        if await scalar(conn, "SELECT to_regclass('backup_run') IS NULL"):
            return False
        await execute(
            conn,
            """INSERT INTO backup_run (kind, began_at, actor, error, archive, size_bytes, revision)
               VALUES (:kind, :began_at, :actor, :error, :archive, :size_bytes, :revision)""",
            kind=run.kind,
            began_at=run.began_at,
            actor=run.actor,
            error=run.error,
            archive=run.archive,
            size_bytes=run.size_bytes,
            revision=run.revision,
        )
    return True


async def last(db: Database) -> Last:
    """Raises `DatabaseError`."""
    async with db.transaction() as conn:
        found = await one(
            conn,
            """SELECT g.began_at AS good_at,
                      CAST(extract(epoch FROM now() - g.began_at) AS double precision) AS good_age_seconds,
                      f.at AS failed_at, f.error, d.at AS drilled_at
                 FROM (SELECT 1) always
                 LEFT JOIN LATERAL (SELECT id, began_at FROM backup_run WHERE kind <> 'drill' AND error IS NULL
                                     ORDER BY id DESC LIMIT 1) g ON true
                 LEFT JOIN LATERAL (SELECT at, error FROM backup_run
                                     WHERE kind <> 'drill' AND error IS NOT NULL AND id > coalesce(g.id, 0)
                                     ORDER BY id DESC LIMIT 1) f ON true
                 LEFT JOIN LATERAL (SELECT at FROM backup_run WHERE kind = 'drill' AND error IS NULL
                                     ORDER BY id DESC LIMIT 1) d ON true""",
        )
    return Last(**found._mapping)
