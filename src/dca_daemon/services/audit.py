"""Who changed what, from what to what, and why: written in the transaction that changes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import Database, execute, rows


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A change by a person. `subject` is like `client:3`; `before` and `after` hold what changed."""

    audit_id: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str | None


async def audit(
    conn: AsyncConnection,
    *,
    actor: str,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Adds one row to the audit log. No secret belongs into `before` or `after`."""
    await execute(
        conn,
        """INSERT INTO audit_log (actor, action, subject, before, after, reason)
           VALUES (:actor, :action, :subject, CAST(:before AS jsonb), CAST(:after AS jsonb), :reason)""",
        actor=actor,
        action=action,
        subject=subject,
        before=None if before is None else json.dumps(before, default=str),
        after=None if after is None else json.dumps(after, default=str),
        reason=reason,
    )


async def list_all(
    db: Database,
    *,
    subject: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[AuditEntry]:
    """The newest changes first. `action` also takes the beginning of one, such as `client`."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            """SELECT id AS audit_id, at, actor, action, subject, before, after, reason FROM audit_log
                WHERE (CAST(:subject AS text) IS NULL OR subject = :subject)
                  AND (CAST(:actor AS text) IS NULL OR actor = :actor)
                  AND (CAST(:action AS text) IS NULL OR action = :action OR starts_with(action, :action || '.'))
                  AND (CAST(:since AS timestamptz) IS NULL OR at >= :since)
                ORDER BY id DESC LIMIT :limit""",
            subject=subject,
            actor=actor,
            action=action,
            since=since,
            limit=limit,
        )
        return [AuditEntry(**r._mapping) for r in found]
