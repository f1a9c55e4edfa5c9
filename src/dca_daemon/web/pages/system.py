"""The system: how the daemon stands, what is connected, the settings in force, what happened lately."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.errors import DcaError
from dca_daemon.ledger.migrate import check_revision
from dca_daemon.services.backups import runs as backup_runs
from dca_daemon.web.desk import Desk, desk_of
from dca_daemon.web.live import live_of
from dca_daemon.web.rendering import page
from dca_daemon.web.subjects import subject_path
from dca_daemon.web.versions import versions_of

router = APIRouter(prefix="/system")

EVENTS = 30
PATIENCE_SECONDS = 10.0


async def _books(desk: Desk) -> str:
    await check_revision(desk.db)
    return f"answers, with the schema that is needed: {desk.db.name}"


async def _lamassu(desk: Desk) -> str:
    return f"answers; its clock: {(await desk.lamassu.now()).isoformat()}"


async def _lnbits(desk: Desk) -> str:
    currency = desk.settings.pool.currency
    return f"answers; a bitcoin costs {await desk.prices.fiat_per_btc(currency):,.2f} {currency} there"


_CONNECTIONS: Mapping[str, Callable[[Desk], Awaitable[str]]] = {
    "database": _books,
    "lamassu": _lamassu,
    "lnbits": _lnbits,
}


@router.get("")
async def show_system(request: Request, test: str = "") -> Response:
    """With `test`, one connection is tried out; it changes nothing."""
    desk = desk_of(request)
    feed = live_of(request).feed
    newest = await feed.newest()
    events = await feed.page(max(0, newest - EVENTS), limit=EVENTS)
    return page(
        request,
        "system.html",
        daemon=await desk.daemon.read(),
        backups=await backup_runs.last(desk.db),
        versions=await versions_of(desk),
        connections=tuple(_CONNECTIONS),
        tested=test if test in _CONNECTIONS else None,
        outcome=await _try(desk, test) if test in _CONNECTIONS else None,
        settings=list(desk.settings.shown()),
        config=desk.settings.config_path,
        events=list(reversed(events.events)),
        subject_path=subject_path,
    )


async def _try(desk: Desk, name: str) -> tuple[bool, str]:
    """Whether it works, and what it said."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return True, await _CONNECTIONS[name](desk)
    except DcaError as error:
        return False, str(error)
    except TimeoutError:
        return False, f"no answer within {PATIENCE_SECONDS:.0f} s"
