"""Commission: the shares in force, their versions, and what each receiver got."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.commission import percent_text
from dca_daemon.services import commission, commission_history, commission_overview, commission_release, treasury
from dca_daemon.services.commission import Version
from dca_daemon.services.commission_history import Period
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, linked
from dca_daemon.web.rendering import page, query

router = APIRouter(prefix="/commission")

_DAYS_BACK = {Period.DAY: 31, Period.MONTH: 92}
PERIODS_MAX = 200  # lines of the history on the page; the API has all


@router.get("")
async def show_commission(request: Request, by: str = "month", receiver: str = "") -> Response:
    """How it is shared now, and what each receiver got: a month of days, or three months. The API has any span."""
    desk = desk_of(request)
    period = Period(by) if by in list(Period) else Period.MONTH
    since = treasury.midnight(_DAYS_BACK[period], desk.zone)
    overview = await commission_overview.show(desk.db)
    found = await commission_history.history(
        desk.db,
        by=period,
        since=since,
        receiver=receiver.strip() or None,
        zone=desk.zone,
        limit=1,
    )
    return page(
        request,
        "commission.html",
        overview=overview,
        gathered=await commission_release.is_gathered(desk.db),
        amounts=found.amounts[:PERIODS_MAX],
        more=len(found.amounts) > PERIODS_MAX,
        by=by,
        since=since,
        receiver=receiver,
        percent=percent_text,
        change_path=f"/commission/set{_begun(overview.version)}",
    )


def _begun(version: Version) -> str:
    """The form begins with the shares as they are."""
    return query({"shares": commission.written_shares(version), "version": version.version_id})


@router.get("/versions")
async def list_versions(request: Request, after: After = None) -> Response:
    """The newest first."""
    found = await commission.list_versions(desk_of(request).db, limit=PAGE + 1, after=after)
    listed = linked(request, found, lambda one: one.version_id)
    return page(request, "commission_versions.html", listed=listed, percent=percent_text)
