"""One distribution, record by record."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.services import distribution_views
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import RowId
from dca_daemon.web.rendering import page

router = APIRouter(prefix="/distributions")


@router.get("/{distribution_id}")
async def show_distribution(request: Request, distribution_id: RowId) -> Response:
    """One, whole."""
    found = await distribution_views.show(desk_of(request).db, distribution_id)
    return page(request, "distribution.html", distribution=found)
