"""What somebody was told of by the daemon's notifications: kept so that a new process does not tell it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import Database, execute, rows

_KEPT_DAYS = 30


@dataclass(frozen=True, slots=True)
class KeptAlert:
    """`told_at` is None while nobody knows of it, `calm_at` while it lasts."""

    event: str
    subject: str
    since: datetime
    told_at: datetime | None
    calm_at: datetime | None
    relapses: int


async def load(db: Database) -> list[KeptAlert]:
    """All of them. Raises `DatabaseError`."""
    async with db.transaction() as conn:
        found = await rows(conn, "SELECT event, subject, since, told_at, calm_at, relapses FROM alert")
    return [KeptAlert(r.event, r.subject, r.since, r.told_at, r.calm_at, r.relapses) for r in found]


async def save(db: Database, alerts: Sequence[KeptAlert]) -> None:
    """Keeps these, and forgets what is over for a month. Raises `DatabaseError`."""

    async def work(conn: AsyncConnection) -> None:
        for alert in alerts:
            await execute(
                conn,
                """INSERT INTO alert (event, subject, since, told_at, calm_at, relapses)
                   VALUES (:event, :subject, :since, :told_at, :calm_at, :relapses)
                   ON CONFLICT (event, subject) DO UPDATE
                      SET since = excluded.since, told_at = excluded.told_at, calm_at = excluded.calm_at,
                          relapses = excluded.relapses""",
                event=alert.event,
                subject=alert.subject,
                since=alert.since,
                told_at=alert.told_at,
                calm_at=alert.calm_at,
                relapses=alert.relapses,
            )
        await execute(
            conn,
            "DELETE FROM alert WHERE greatest(since, told_at, calm_at) < now() - make_interval(days => :days)",
            days=_KEPT_DAYS,
        )

    await db.run(work)
