"""The overview: is everything well, in one look."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.services import overview
from dca_daemon.services.overview import DaySum
from dca_daemon.services.status import status
from dca_daemon.web.charts import Chart, chart
from dca_daemon.web.desk import desk_of
from dca_daemon.web.rendering import page

router = APIRouter()

DAYS = 30


@router.get("/")
async def show_overview(request: Request) -> Response:
    """How the daemon stands, how the day goes, what needs a person, and the last days."""
    desk = desk_of(request)
    now = datetime.now(UTC)
    days = await overview.days(desk.db, now, zone=desk.zone, count=DAYS)
    return page(
        request,
        "overview.html",
        daemon=await desk.daemon.read(),
        today=await overview.today(desk.db, now, zone=desk.zone),
        needs=await overview.needs_person(desk.db),
        books=await status(desk.db),
        charts=_charts(days),
    )


def _charts(days: list[DaySum]) -> list[tuple[Chart, Chart]]:
    """Of each currency: what came out of the machines, and the commission."""
    found = []
    for currency in sorted({day.currency for day in days}):
        mine = [day for day in days if day.currency == currency]
        volume = [(day.day.isoformat(), day.fiat_minor, fiat_text(day.fiat_minor, currency)) for day in mine]
        commission = [(day.day.isoformat(), day.commission_sats, sats_text(day.commission_sats)) for day in mine]
        found.append(
            (
                chart(f"Cash-outs a day, in {currency}", volume),
                chart(f"Commission a day ({currency} machines)", commission),
            )
        )
    return found
