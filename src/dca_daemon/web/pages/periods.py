"""The report by day, week or month: the last ones."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.services import treasury
from dca_daemon.services.reports import periods
from dca_daemon.services.reports.periods import By
from dca_daemon.web.desk import desk_of
from dca_daemon.web.rendering import page

router = APIRouter(prefix="/treasury")

_DAYS_BACK = {By.DAY: 31, By.WEEK: 13 * 7, By.MONTH: 122}


@router.get("/periods")
async def show_periods(request: Request, by: str = "month") -> Response:
    """The newest first: a month of days, a quarter of weeks, four months. The API has any span."""
    desk = desk_of(request)
    wanted = By(by) if by in list(By) else By.MONTH
    since = treasury.midnight(_DAYS_BACK[wanted], desk.zone)
    report = await periods.periods(desk.db, by=wanted, zone=desk.zone, since=since)
    return page(request, "periods.html", by=wanted, choices=list(By), since=since, report=report)
