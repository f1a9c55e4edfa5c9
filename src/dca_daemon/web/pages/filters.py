"""Filters: what is left out."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.services import filters
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, linked
from dca_daemon.web.rendering import page

router = APIRouter(prefix="/filters")


@router.get("")
async def list_filters(request: Request, removed: str = "", after: After = None) -> Response:
    """Those in force, or the former ones too."""
    found = await filters.list_all(desk_of(request).db, removed=removed == "yes", limit=PAGE + 1, after=after)
    listed = linked(request, found, lambda one: one.filter_id)
    return page(request, "filters.html", listed=listed, removed=removed)
