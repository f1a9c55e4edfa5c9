"""A client's own page, behind its personal link: what it has, what it bought, and what it may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.errors import InputError, NotFoundError
from dca_daemon.services import client_access, client_account, client_changes, client_series, deposits, intents
from dca_daemon.services.intents import NotAsShownError
from dca_daemon.web.actions import INTENT, Action
from dca_daemon.web.api.own import DEPOSITS, PURCHASES, own_statement, worth_now
from dca_daemon.web.client_charts import POINTS, price_charts, stacked_chart
from dca_daemon.web.deeds.own import CHANGE_AMOUNT, SWITCH_MODE
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, linked
from dca_daemon.web.own_lists import Cursor, opened, sealed
from dca_daemon.web.personal import PERSONAL
from dca_daemon.web.rendering import page, see_other
from dca_daemon.web.two_steps import DONE_ALREADY, TwoSteps
from dca_daemon.web.wishes import Wish, as_posted, as_typed, from_form, problems

router = APIRouter(prefix=PERSONAL.rstrip("/"), include_in_schema=False)

FIRST = 10  # of each list on the first page
DEED = "deed"
_DEEDS: dict[str, Action[Any, Any]] = {"mode": SWITCH_MODE, "amount": CHANGE_AMOUNT}


@router.get("/{token}")
async def show_account(request: Request, token: str) -> Response:
    """All in one look; the newest of each list."""
    return await _account(request, token, await _whose(request, token))


@router.get("/{token}/purchases")
async def list_purchases(request: Request, token: str, after: Cursor = None) -> Response:
    """Every purchase, the newest first."""
    desk, client_id = desk_of(request), await _whose(request, token)
    place = opened(desk.keys, PURCHASES, client_id, after)
    found = await client_account.purchases(desk.db, client_id, limit=PAGE + 1, after=place)
    seal = sealed(desk.keys, PURCHASES, client_id)
    listed = linked(request, found, lambda one: seal(one.record_id))
    return page(request, "own_purchases.html", listed=listed, home=_home(token))


@router.get("/{token}/deposits")
async def list_deposits(request: Request, token: str, after: Cursor = None) -> Response:
    """Every deposit, the newest first."""
    desk, client_id = desk_of(request), await _whose(request, token)
    place = opened(desk.keys, DEPOSITS, client_id, after)
    found = await deposits.list_all(desk.db, client=str(client_id), limit=PAGE + 1, after=place)
    seal = sealed(desk.keys, DEPOSITS, client_id)
    listed = linked(request, found, lambda one: seal(one.deposit_id))
    return page(request, "own_deposits.html", listed=listed, home=_home(token))


@router.get("/{token}/statement.csv")
async def download_statement(request: Request, token: str) -> Response:
    """Every purchase as a line of CSV."""
    return own_statement(desk_of(request), await _whose(request, token))


@router.post("/{token}")
async def change(request: Request, token: str) -> Response:
    """Previews what was entered; with an intent, carries it out."""
    client_id = await _whose(request, token)
    posted = as_posted(await request.form())
    deed, offered = posted.pop(DEED, ""), posted.pop(INTENT, None)
    if deed not in _DEEDS:
        raise InputError("what is to be changed?", field=DEED)
    action, actor = _DEEDS[deed], client_changes.actor_of(client_id)
    try:
        if offered is not None:
            desk = desk_of(request)
            intent = await intents.find(desk.db, desk.keys, offered, actor=actor, action=action.name)
            posted = as_typed(action.wish, intent.fields)
        wish = action.wish.model_validate(from_form(action.wish, posted))
        steps = _two_steps(request, client_id, action, wish)
        if offered is not None:
            return await _carry_out(request, token, steps, offered)
        return await _preview(request, token, deed, steps)
    except ValidationError as error:
        wrong, status = problems(error), 422
    except InputError as error:
        wrong = {error.field or "": str(error)}
        status = 409 if isinstance(error, NotAsShownError) else 422
    return await _account(request, token, client_id, status, deed=deed, typed=posted, wrong=wrong)


async def _whose(request: Request, token: str) -> int:
    """The client. What opens nothing is answered in one way, whatever the reason."""
    client_id = await client_access.open_link(desk_of(request).db, token)
    if client_id is None:
        raise NotFoundError("this link opens nothing, or nothing any more", remedy="ask for a new one")
    return client_id


async def _account(
    request: Request,
    token: str,
    client_id: int,
    status: int = 200,
    *,
    deed: str = "",
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
) -> Response:
    """The first page; `wrong`, and what was typed, are those of the form `deed`."""
    desk = desk_of(request)
    account = await client_account.of(desk.db, client_id)
    series = await client_series.series(desk.db, str(client_id), points=POINTS)
    return page(
        request,
        "own.html",
        status,
        account=account,
        worth=await worth_now(desk, account),
        average_price=client_account.average_price,
        purchases=await client_account.purchases(desk.db, client_id, limit=FIRST + 1),
        deposits=await deposits.list_all(desk.db, client=str(client_id), limit=FIRST + 1),
        first=FIRST,
        stacked=stacked_chart(series, desk.zone),
        prices=price_charts(series, desk.zone),
        home=_home(token),
        deed=deed,
        typed=typed or {},
        wrong=wrong or {},
    )


def _two_steps(request: Request, client_id: int, action: Action[Any, Any], wish: Wish) -> TwoSteps:
    actor = client_changes.actor_of(client_id)
    return TwoSteps(desk_of(request), action, wish, actor, action.name, client_id=client_id)


async def _preview(request: Request, token: str, deed: str, steps: TwoSteps) -> Response:
    rehearsal, intent = await steps.rehearse()
    return page(
        request,
        "own_preview.html",
        action=steps.action,
        deed=deed,
        facts=steps.action.facts(rehearsal.result),
        intent=intent,
        home=_home(token),
    )


async def _carry_out(request: Request, token: str, steps: TwoSteps, intent: str) -> Response:
    result = await steps.carry_out(intent)
    return see_other(request, _home(token), DONE_ALREADY if isinstance(result, str) else steps.action.says(result))


def _home(token: str) -> str:
    return f"{PERSONAL}{token}"
