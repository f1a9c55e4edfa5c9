"""Who changed what, from what to what, and why: written in the transaction that changes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import execute


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
