"""`/api/v1/audit`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.services import audit
from dca_daemon.services.audit import AuditEntry
from dca_daemon.web.api.values import Next, Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, Since, Until, cut
from dca_daemon.web.rights import scoped

Text = Annotated[str | None, Query(max_length=200)]


class ChangeOut(Out):
    """A change by a person; `before` and `after` hold what changed."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None

    @classmethod
    def of(cls, entry: AuditEntry) -> ChangeOut:
        return cls.from_view(entry, id=entry.audit_id)


class ChangesOut(Out):
    """A page of changes, the newest first."""

    changes: list[ChangeOut]
    next: Next


router = APIRouter(prefix="/audit", tags=["audit"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="List changes by people")
async def list_changes(
    request: Request,
    actor: Text = None,
    action: Annotated[
        str | None, Query(max_length=200, description="One, such as client.add, or its first word.")
    ] = None,
    subject: Annotated[str | None, Query(max_length=200, description="Such as client:3.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = PAGE,
    after: After = None,
) -> ChangesOut:
    """The newest first."""
    found = await audit.list_all(
        desk_of(request).db,
        actor=actor,
        action=action,
        subject=subject,
        since=since,
        until=until,
        limit=limit + 1,
        after=after,
    )
    page = cut(found, limit, lambda one: one.audit_id)
    return ChangesOut(changes=[ChangeOut.of(one) for one in page.items], next=page.next)
