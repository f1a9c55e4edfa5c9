"""Clients: the list, one, and what belongs to one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dca_daemon.domain.money import SATS_PER_BTC, fiat_text, sats_text
from dca_daemon.services import adjustments, client_series, clients
from dca_daemon.services.client_lists import ClientOrder
from dca_daemon.services.client_series import PricePoint
from dca_daemon.services.clients import Mode, Status
from dca_daemon.web.api.clients import statement_csv
from dca_daemon.web.charts import Chart, chart
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, linked
from dca_daemon.web.rendering import page
from dca_daemon.web.wishes import MAX_ID

router = APIRouter(prefix="/clients")

ClientId = Annotated[int, Path(ge=1, le=MAX_ID)]
MODES = ("flow", "fixed")
FIRST = 10  # of each list on a client's page
_POINTS = 60


@router.get("")
async def list_clients(
    request: Request, text: str = "", mode: str = "", status: str = "", order: str = "", after: After = None
) -> Response:
    """By number, or by name."""
    found = await clients.list_all(
        desk_of(request).db,
        text=text.strip() or None,
        mode=Mode(mode) if mode in MODES else None,
        status=Status(status) if status in list(Status) else None,
        order=ClientOrder.NAME if order == ClientOrder.NAME else ClientOrder.ID,
        limit=PAGE + 1,
        after=after,
    )
    return page(
        request,
        "clients.html",
        listed=linked(request, found, lambda one: one.client_id),
        modes=MODES,
        statuses=tuple(Status),
        text_part=text,
        mode=mode,
        status=status,
        order=order,
    )


@router.get("/{client_id}")
async def show_client(request: Request, client_id: ClientId) -> Response:
    """One client: what it has, got and paid; its newest records and changes."""
    desk, reference = desk_of(request), str(client_id)
    client = await clients.show(desk.db, reference)
    found = await client_series.series(desk.db, reference, points=_POINTS)
    stacked = [(_label(one.at, desk.zone), one.sats, sats_text(one.sats)) for one in found.stacked]
    return page(
        request,
        "client.html",
        client=client,
        records=await clients.history(desk.db, reference, limit=FIRST),
        changes=await clients.changes(desk.db, reference, limit=FIRST),
        stacked=chart("Sats stacked", stacked),
        prices=_price_charts(found.prices, desk.zone),
        under_way_sats=await clients.under_way_sats(desk.db, client_id),
    )


def _label(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _price_charts(points: Sequence[PricePoint], zone: ZoneInfo) -> list[Chart]:
    """One per currency, of the price of a bitcoin in its minor units."""
    series: dict[str, list[tuple[str, int, str]]] = {}
    for one in points:
        minor = one.fiat_minor * SATS_PER_BTC // one.sats
        text = f"{fiat_text(minor, one.currency)}/BTC"
        series.setdefault(one.currency, []).append((_label(one.at, zone), minor, text))
    return [chart(f"Price paid, in {code}", found, from_zero=False) for code, found in series.items()]


@router.get("/{client_id}/history")
async def show_history(request: Request, client_id: ClientId, after: After = None) -> Response:
    """All its distribution records, the newest first."""
    db = desk_of(request).db
    client = await clients.show(db, str(client_id))
    found = await clients.history(db, str(client_id), limit=PAGE + 1, after=after)
    listed = linked(request, found, lambda one: one["record_id"])
    return page(request, "client_history.html", client=client, listed=listed)


@router.get("/{client_id}/adjustments")
async def list_adjustments(request: Request, client_id: ClientId, after: After = None) -> Response:
    """Its adjustments, the newest first."""
    db = desk_of(request).db
    client = await clients.show(db, str(client_id))
    found = await adjustments.list_all(db, str(client_id), limit=PAGE + 1, after=after)
    listed = linked(request, found, lambda one: one.adjustment_id)
    return page(request, "client_adjustments.html", client=client, listed=listed)


@router.get("/{client_id}/statement.csv")
async def download_statement(request: Request, client_id: ClientId) -> StreamingResponse:
    """Every record as a line of CSV."""
    return await statement_csv(desk_of(request).db, client_id)
