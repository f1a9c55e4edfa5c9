"""Clients: the list, one, and what belongs to one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dca_daemon.domain.rights import Role
from dca_daemon.services import adjustments, api_tokens, client_access, client_series, clients
from dca_daemon.services.client_lists import ClientOrder
from dca_daemon.services.clients import Mode, Status
from dca_daemon.web.api.client_privacy import data_json
from dca_daemon.web.api.clients import statement_csv
from dca_daemon.web.client_charts import POINTS, price_charts, stacked_chart
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, RowId, linked
from dca_daemon.web.rendering import page
from dca_daemon.web.rights import Person, admin, viewer

router = APIRouter(prefix="/clients")

MODES = ("flow", "fixed")
FIRST = 10  # of each list on a client's page


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
async def show_client(request: Request, client_id: RowId, person: Annotated[Person, Depends(viewer)]) -> Response:
    """One client: what it has, got and paid; its newest records and changes."""
    desk, reference = desk_of(request), str(client_id)
    client = await clients.show(desk.db, reference)
    found = await client_series.series(desk.db, reference, points=POINTS)
    looks_after = person.may(Role.ADMIN) and client.mode is not Mode.COMMISSION
    return page(
        request,
        "client.html",
        client=client,
        records=await clients.history(desk.db, reference, limit=FIRST),
        changes=await clients.changes(desk.db, reference, limit=FIRST),
        stacked=stacked_chart(found, desk.zone),
        prices=price_charts(found, desk.zone),
        under_way_sats=await clients.under_way_sats(desk.db, client_id),
        access=await client_access.show(desk.db, reference) if looks_after else None,
        tokens=await api_tokens.list_all(desk.db, client_id=client_id, limit=FIRST) if looks_after else [],
    )


@router.get("/{client_id}/history")
async def show_history(request: Request, client_id: RowId, after: After = None) -> Response:
    """All its distribution records, the newest first."""
    db = desk_of(request).db
    client = await clients.show(db, str(client_id))
    found = await clients.history(db, str(client_id), limit=PAGE + 1, after=after)
    listed = linked(request, found, lambda one: one["record_id"])
    return page(request, "client_history.html", client=client, listed=listed)


@router.get("/{client_id}/adjustments")
async def list_adjustments(request: Request, client_id: RowId, after: After = None) -> Response:
    """Its adjustments, the newest first."""
    db = desk_of(request).db
    client = await clients.show(db, str(client_id))
    found = await adjustments.list_all(db, str(client_id), limit=PAGE + 1, after=after)
    listed = linked(request, found, lambda one: one.adjustment_id)
    return page(request, "client_adjustments.html", client=client, listed=listed)


@router.get("/{client_id}/statement.csv")
async def download_statement(request: Request, client_id: RowId) -> StreamingResponse:
    """Every record as a line of CSV."""
    return await statement_csv(desk_of(request).db, client_id)


@router.get("/{client_id}/data.json", dependencies=[Depends(admin)])
async def download_data(request: Request, client_id: RowId) -> StreamingResponse:
    """All that is kept of a client, for itself."""
    return await data_json(desk_of(request).db, client_id)
