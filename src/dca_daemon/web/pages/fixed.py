"""Fixed Mode: a pool's schedule, its clients, the next run, and those that were."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.errors import ConflictError
from dca_daemon.services import fixed_amounts, fixed_schedules, fixed_status, names
from dca_daemon.services.fixed_status import Preview
from dca_daemon.services.rates import utc_now
from dca_daemon.web.desk import Desk, desk_of
from dca_daemon.web.listing import PAGE, After, linked
from dca_daemon.web.market import MarketRates
from dca_daemon.web.rendering import page
from dca_daemon.web.suggestions import MAX_OFFERED

router = APIRouter(prefix="/fixed")


@router.get("")
async def show_fixed(request: Request, pool: str = "", after: After = None) -> Response:
    """One pool; without a name the default pool."""
    desk = desk_of(request)
    wanted = pool.strip() or None
    where, schedule = await fixed_schedules.show(desk.db, wanted)
    running = schedule is not None and schedule.active
    preview, by_hand, no_run = await _next_runs(desk, wanted) if running else (None, None, None)
    past = await fixed_status.history(desk.db, pool_reference=str(where.pool_id), limit=PAGE + 1, after=after)
    return page(
        request,
        "fixed.html",
        pool=where,
        pools=await names.offered(desk.db, names.Named.POOLS, limit=MAX_OFFERED),
        schedule=schedule,
        preview=preview,
        by_hand=by_hand,
        no_run=no_run,
        amounts=await fixed_amounts.of_pool(desk.db, wanted),
        without=await fixed_amounts.without_amount(desk.db, wanted),
        listed=linked(request, past, lambda one: one.run_id),
    )


async def _next_runs(desk: Desk, pool: str | None) -> tuple[Preview | None, str | None, str | None]:
    """What the next run would buy, which time a person can run, and why there is neither."""
    try:
        preview = await fixed_status.preview(
            desk.db, MarketRates(desk), utc_now(), by_hand=False, pool_reference=pool
        )
    except ConflictError as error:  # stopped meanwhile
        return None, None, error.message
    try:
        by_hand = await fixed_status.slot_by_hand(desk.db, utc_now(), pool_reference=pool)
    except ConflictError as error:
        return preview, None, error.message
    return preview, str(by_hand.slot), None
