"""Webhooks: the list, and one with its deliveries. For admins."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.rights import Role
from dca_daemon.services import webhooks
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, RowId, linked
from dca_daemon.web.rendering import page
from dca_daemon.web.rights import at_least

router = APIRouter(prefix="/webhooks", dependencies=[Depends(at_least(Role.ADMIN))], include_in_schema=False)


@router.get("")
async def list_webhooks(request: Request) -> Response:
    """Those in use first."""
    return page(request, "webhooks.html", webhooks=await webhooks.list_all(desk_of(request).db))


@router.get("/{webhook_id}")
async def show_webhook(request: Request, webhook_id: RowId, after: After = None) -> Response:
    """One, and its deliveries, the newest first."""
    db = desk_of(request).db
    view = await webhooks.show(db, str(webhook_id))
    found = await webhooks.deliveries(db, webhook_id, before=after, limit=PAGE + 1)
    return page(request, "webhook.html", webhook=view, listed=linked(request, found, lambda one: one.delivery_id))
