"""Deposits: the list, and one."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.services import deposits
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, RowId, linked
from dca_daemon.web.rendering import page

router = APIRouter(prefix="/deposits")

STATES = ("pending", "confirmed", "void")


@router.get("")
async def list_deposits(
    request: Request, client: str = "", state: str = "", pool: str = "", after: After = None
) -> Response:
    """The newest first."""
    db = desk_of(request).db
    found = await deposits.list_all(
        db,
        client=client.strip() or None,
        state=state if state in STATES else None,
        pool=pool.strip() or None,
        limit=PAGE + 1,
        after=after,
    )
    return page(
        request,
        "deposits.html",
        listed=linked(request, found, lambda one: one.deposit_id),
        states=STATES,
        client=client,
        state=state,
        pool=pool,
    )


@router.get("/{deposit_id}")
async def show_deposit(request: Request, deposit_id: RowId) -> Response:
    """One deposit."""
    return page(request, "deposit.html", deposit=await deposits.show(desk_of(request).db, deposit_id))
