"""One's own account: the password, and where one is logged in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.rights import Role
from dca_daemon.services import sessions, users
from dca_daemon.web.desk import desk_of
from dca_daemon.web.rendering import page, see_other
from dca_daemon.web.rights import Person, at_least, cookie_name, session_limits

router = APIRouter(prefix="/account", include_in_schema=False)

Whoever = Annotated[Person, Depends(at_least(Role.VIEWER))]
Secret = Annotated[str, Form(max_length=1000)]


@router.get("")
async def show_account(request: Request, person: Whoever) -> Response:
    """The account of who asks."""
    return await _account(request, person)


@router.post("/password")
async def change_password(
    request: Request, person: Whoever, old: Secret = "", password: Secret = "", again: Secret = ""
) -> Response:
    """Ends all other sessions. Nothing that was typed is sent back: all of it is secret."""
    db = desk_of(request).db
    if password != again:
        return await _account(request, person, 422, {"again": "this is not the same"})
    try:
        await users.change_own_password(
            db, person.name, old=old, new=password, keep_session=sessions.token_hash(_token(request))
        )
    except InputError as error:
        return await _account(request, person, 422, {error.field or "password": str(error)})
    return see_other(request, "/account", "Your password is changed; your other sessions were ended.")


@router.post("/end-others")
async def end_others(request: Request, person: Whoever) -> Response:
    """Ends all sessions of who asks but the one that asks."""
    ended = await sessions.end_others(desk_of(request).db, person.user_id, _token(request))
    return see_other(request, "/account", f"Other sessions that were ended: {ended}.")


async def _account(
    request: Request, person: Person, status: int = 200, wrong: Mapping[str, str] | None = None
) -> Response:
    desk = desk_of(request)
    found = await sessions.list_open(desk.db, person.user_id, _token(request), limits=session_limits(desk))
    return page(request, "account.html", status, sessions=found, wrong=wrong or {})


def _token(request: Request) -> str:
    return request.cookies.get(cookie_name(desk_of(request)), "")
