"""Cash-outs: the list, and one explained to the last sat."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.cash_out import CashOutState, ways_to_decide
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.moments import parse_local_time
from dca_daemon.services import cash_outs
from dca_daemon.services.cash_out_explanation import explain
from dca_daemon.services.cash_outs import CashOutSummary
from dca_daemon.web.desk import Desk, desk_of
from dca_daemon.web.listing import PAGE, After, RowId, linked
from dca_daemon.web.rendering import page

router = APIRouter(prefix="/cash-outs")

STATES = tuple(str(state) for state in CashOutState)
_OPEN_TO_DISTRIBUTE = (CashOutState.IGNORED, CashOutState.REVIEW, CashOutState.BEFORE_BASELINE)
_FINAL = (CashOutState.DISTRIBUTED, CashOutState.SETTLED_BY_HAND)


@router.get("")
async def list_cash_outs(
    request: Request,
    state: str = "",
    machine: str = "",
    coin: str = "",
    since: str = "",
    until: str = "",
    text: str = "",
    after: After = None,
) -> Response:
    """All of Lamassu's, successful or not, the newest first."""
    desk, wrong = desk_of(request), None
    filters = {"machine": machine, "coin": coin, "since": since, "until": until, "text": text}
    found: list[CashOutSummary] = []
    try:
        found = await _found(desk, state, filters, after)
    except InputError as error:
        wrong = str(error)
    return page(
        request,
        "cash-outs.html",
        200 if wrong is None else 422,
        listed=linked(request, found, lambda one: one.cash_out_id),
        waiting=await cash_outs.count_by_state(desk.db),
        states=STATES,
        state=state,
        filters=filters,
        wrong=wrong,
    )


async def _found(desk: Desk, state: str, filters: dict[str, str], after: int | None) -> list[CashOutSummary]:
    since, until = (
        parse_local_time(filters[name], desk.zone, field=name) if filters[name].strip() else None
        for name in ("since", "until")
    )
    return await cash_outs.list_all(
        desk.db,
        states=(state,) if state in STATES else (),
        device=filters["machine"].strip() or None,
        coin=filters["coin"].strip().upper() or None,
        since=since,
        until=until,
        text=filters["text"].strip() or None,
        limit=PAGE + 1,
        after=after,
    )


@router.get("/{cash_out_id}")
async def show_cash_out(request: Request, cash_out_id: RowId) -> Response:
    """One, whole."""
    view = await cash_outs.show(desk_of(request).db, str(cash_out_id))
    summary, split = view.summary, view.split
    weights = sum(one.weight_minor for one in view.shares) + (split.uncovered_minor if split else 0)
    return page(
        request,
        "cash-out.html",
        view=view,
        one=summary,
        row=view.source_row,
        split=split,
        weights=weights,
        distribution_id=view.distribution_id,
        explanation=[] if split is None else explain(view.source_row, split, len(view.shares), view.commission),
        ways=ways_to_decide(summary.reason) if summary.state is CashOutState.REVIEW else None,
        may_distribute=summary.state in _OPEN_TO_DISTRIBUTE,
        may_end=summary.state not in _FINAL,
    )
