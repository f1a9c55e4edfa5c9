"""Machines, pools, and the cash that should be in them."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.services import cash_report, machines
from dca_daemon.web.api.machines import AfterDevice
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, linked
from dca_daemon.web.rendering import page

router = APIRouter()


@router.get("/machines")
async def list_machines(request: Request, awaiting: str = "", after: AfterDevice = None) -> Response:
    """By pool and name."""
    found = await machines.list_all(
        desk_of(request).db, awaiting_only=awaiting == "yes", limit=PAGE + 1, after=after
    )
    listed = linked(request, found, lambda one: one.device_id)
    return page(request, "machines.html", listed=listed, awaiting=awaiting)


@router.get("/pools")
async def list_pools(request: Request) -> Response:
    """All of them, with their cash."""
    return page(request, "pools.html", pools=await cash_report.report(desk_of(request).db))


@router.get("/cash")
async def report_cash(request: Request, pool: str = "") -> Response:
    """What should be in each machine, and whose it is."""
    found = await cash_report.report(desk_of(request).db, pool.strip() or None)
    return page(request, "cash.html", pools=found, pool=pool)
