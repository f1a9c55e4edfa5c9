"""The treasury: what is owed, what the source wallet has and lacks, day by day, and the moves."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.text import plain
from dca_daemon.services import treasury
from dca_daemon.web.api.treasury import DAYS, DAYS_MAX, source_wallet
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, linked
from dca_daemon.web.rendering import page

router = APIRouter(prefix="/treasury")


@router.get("")
async def show_treasury(request: Request, days: str = "", after: After = None) -> Response:
    """All of it, the last days, and the moves."""
    desk = desk_of(request)
    count = _days(days)
    view = await treasury.show(
        desk.db,
        reserve_sats=desk.settings.payouts.wallet_reserve_sats,
        zone=desk.zone,
        since=treasury.midnight(count, desk.zone),
    )
    source = await source_wallet(desk)
    moves = await treasury.moves(desk.db, limit=PAGE + 1, after=after)
    return page(
        request,
        "treasury.html",
        totals=view.totals,
        reserve_sats=view.reserve_sats,
        source=source,
        to_move_sats=source.to_move_sats(view),
        days=view.days[::-1],
        count=count,
        listed=linked(request, moves, lambda one: one.move_id),
    )


def _days(text: str) -> int:
    if not text.strip():
        return DAYS
    if text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= DAYS_MAX:
        return int(text)
    raise InputError(
        f"{plain(text)!r} is no number of days from 1 to {DAYS_MAX}",
        remedy="longer spans: by month, or dca-daemon treasury show --days",
        field="days",
    )
