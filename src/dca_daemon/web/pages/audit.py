"""Audit: who changed what, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.services import audit
from dca_daemon.services.audit import AuditEntry
from dca_daemon.web.days import read_days
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, linked
from dca_daemon.web.rendering import NOTHING, page
from dca_daemon.web.subjects import subject_path

router = APIRouter(prefix="/audit")


@router.get("")
async def list_changes(
    request: Request,
    actor: str = "",
    action: str = "",
    subject: str = "",
    since: str = "",
    until: str = "",
    after: After = None,
) -> Response:
    """The newest first; `since` and `until` are days of the pages' zone, both included."""
    desk = desk_of(request)
    days = read_days(since, until, desk.zone)
    found: list[AuditEntry] = []
    if days.wrong is None:
        found = await audit.list_all(
            desk.db,
            actor=actor.strip() or None,
            action=action.strip() or None,
            subject=subject.strip() or None,
            since=days.since,
            until=days.until,
            limit=PAGE + 1,
            after=after,
        )
    return page(
        request,
        "audit.html",
        200 if days.wrong is None else 422,
        listed=linked(request, found, lambda one: one.audit_id),
        changes=changes,
        subject_path=subject_path,
        wrong=days.wrong,
        filters={"actor": actor, "action": action, "subject": subject, "since": since, "until": until},
    )


def changes(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Name, before and after of everything an entry tells of."""
    before, after = entry.before or {}, entry.after or {}
    return [(name, _words(before, name), _words(after, name)) for name in {**before, **after}]


def _words(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
