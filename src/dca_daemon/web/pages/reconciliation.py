"""Reconciliation: do the books, LNbits and Lamassu tell the same?"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.services.reconciliation import runs
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, RowId, linked
from dca_daemon.web.rendering import page

router = APIRouter(prefix="/reconciliation")


@router.get("")
async def list_runs(request: Request, after: After = None) -> Response:
    """The newest first."""
    found = await runs.list_all(desk_of(request).db, limit=PAGE + 1, after=after)
    return page(request, "reconciliations.html", listed=linked(request, found, lambda one: one.run_id))


@router.get("/{run_id}")
async def show_run(request: Request, run_id: RowId) -> Response:
    """One comparison, with what to do about what differs."""
    return page(request, "reconciliation.html", run=await runs.show(desk_of(request).db, run_id))
