"""One distribution, record by record."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.services import distribution_views
from dca_daemon.web.desk import desk_of
from dca_daemon.web.rendering import page
from dca_daemon.web.wishes import MAX_ID

router = APIRouter(prefix="/distributions")


@router.get("/{distribution_id}")
async def show_distribution(request: Request, distribution_id: Annotated[int, Path(ge=1, le=MAX_ID)]) -> Response:
    """One, whole."""
    found = await distribution_views.show(desk_of(request).db, distribution_id)
    return page(request, "distribution.html", distribution=found)
