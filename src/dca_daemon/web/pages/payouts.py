"""Payouts: the list, and one with its records and its log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.payout import OPEN_STATES, PayoutState
from dca_daemon.services import clients, payouts
from dca_daemon.services.payout_data import what_to_do
from dca_daemon.services.payouts import PayoutView
from dca_daemon.web.api.payouts import AfterPayout, PayoutRef
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, linked
from dca_daemon.web.rendering import page

router = APIRouter(prefix="/payouts")

IN_FLIGHT = "in flight"
STATES = (IN_FLIGHT, *(str(state) for state in PayoutState))


@router.get("")
async def list_payouts(
    request: Request,
    state: str = "",
    client: Annotated[str, Query(max_length=200)] = "",
    after: AfterPayout = None,
) -> Response:
    """The newest first."""
    db, wrong = desk_of(request).db, None
    found: list[PayoutView] = []
    try:
        client_id = (await clients.show(db, client.strip())).client_id if client.strip() else None
        found = await payouts.list_all(db, states=_states(state), client=client_id, limit=PAGE + 1, after=after)
    except InputError as error:
        wrong = str(error)
    return page(
        request,
        "payouts.html",
        200 if wrong is None else 422,
        listed=linked(request, found, lambda one: one.payout_id),
        counts=await payouts.count_by_state(db),
        states=STATES,
        state=state,
        client=client,
        what_to_do=what_to_do,
        wrong=wrong,
    )


def _states(state: str) -> tuple[str, ...]:
    if state == IN_FLIGHT:
        return tuple(str(one) for one in OPEN_STATES)
    return (state,) if state in STATES else ()


@router.get("/{payout_id}")
async def show_payout(request: Request, payout_id: PayoutRef) -> Response:
    """One, whole."""
    view, records, log = await payouts.show(desk_of(request).db, payout_id)
    return page(
        request,
        "payout.html",
        payout=view,
        records=records,
        log=log,
        is_open=view.state in OPEN_STATES,
        to_do=what_to_do(view),
    )
