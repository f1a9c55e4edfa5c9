"""Who changed what, from what to what, and why: written in the transaction that changes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import Database, execute, rows
from dca_daemon.ledger.pages import Conditions, anchor


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
    until: datetime | None = None,
    limit: int = 50,
    after: int | None = None,
) -> list[AuditEntry]:
    """The newest changes first, from after the change `after` on; made from `since` until before `until`.

    `action` is one, such as `client.add`, or its first word. Raises `NotFoundError` for an `after` that is none.
    """
    conditions = Conditions()
    conditions.given("subject = :subject", subject=subject)
    conditions.given("actor = :actor", actor=actor)
    # Both by an index: every action is a word, a dot, and what was done.
    part = "action" if action is None or "." in action else "split_part(action, '.', 1)"
    conditions.given(f"{part} = :action", action=action)
    conditions.given("at >= :since", since=since)
    conditions.given("at < :until", until=until)
    async with db.transaction() as conn:
        if after is not None:
            last = await anchor(conn, "change", "SELECT at, id FROM audit_log WHERE id = :after", after)
            conditions.always("(at, id) < (:after_at, :after_id)", after_at=last.at, after_id=last.id)
        found = await rows(
            conn,
            f"""SELECT id AS audit_id, at, actor, action, subject, before, after, reason FROM audit_log
                {conditions.where} ORDER BY at DESC, id DESC LIMIT :limit""",  # noqa: S608 - every part stands here
            limit=limit,
            **conditions.values,
        )
        return [AuditEntry(**r._mapping) for r in found]
