"""Users and tokens: who may use the console and the API. For admins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import api_tokens, users
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, linked
from dca_daemon.web.rendering import page, see_other
from dca_daemon.web.rights import Person, at_least
from dca_daemon.web.wishes import MAX_ID

router = APIRouter(dependencies=[Depends(at_least(Role.ADMIN))], include_in_schema=False)

Admin = Annotated[Person, Depends(at_least(Role.ADMIN))]
Text = Annotated[str, Form(max_length=500)]
# A client's own token is made where its client is.
SCOPES = tuple(scope.value for scope in Scope if scope is not Scope.CLIENT)


@router.get("/users")
async def list_users(request: Request) -> Response:
    """Everybody."""
    return page(request, "users.html", users=await users.list_all(desk_of(request).db))


@router.get("/tokens")
async def list_tokens(request: Request, after: After = None, revoked: str = "") -> Response:
    """The newest first, and a form for another one."""
    return await _tokens(request, after=after, revoked=bool(revoked))


@router.post("/tokens")
async def add_token(
    request: Request,
    person: Admin,
    name: Text = "",
    scopes: Annotated[list[str] | None, Form()] = None,
    days: Text = "",
) -> Response:
    """Shows the token in its answer, this once."""
    typed = {"name": name, "days": days, "scopes": scopes or []}
    try:
        view, token = await api_tokens.add(
            desk_of(request).db,
            name=name,
            scopes=[Scope(word) for word in scopes or () if word in SCOPES],
            days=_days(days),
            actor=person.actor,
        )
    except InputError as error:
        status = 409 if isinstance(error, ConflictError) else 422
        return await _tokens(request, status, typed=typed, wrong={error.field or "name": str(error)})
    return page(request, "token-added.html", token=view, secret=token)


@router.post("/tokens/{token_id}/revoke")
async def revoke_token(
    request: Request, person: Admin, token_id: Annotated[int, Path(ge=1, le=MAX_ID)]
) -> Response:
    """It opens nothing any more."""
    view = await api_tokens.revoke(desk_of(request).db, str(token_id), actor=person.actor)
    return see_other(request, "/tokens", f"The token {view.name} is revoked: it opens nothing any more.")


async def _tokens(
    request: Request,
    status: int = 200,
    *,
    after: int | None = None,
    revoked: bool = False,
    typed: Mapping[str, object] | None = None,
    wrong: Mapping[str, str] | None = None,
) -> Response:
    found = await api_tokens.list_all(desk_of(request).db, revoked=revoked, before=after, limit=PAGE + 1)
    return page(
        request,
        "tokens.html",
        status,
        listed=linked(request, found, lambda one: one.token_id),
        revoked=revoked,
        scopes=SCOPES,
        typed=typed or {"name": "", "days": "", "scopes": []},
        wrong=wrong or {},
    )


def _days(text: str) -> int | None:
    if not text.strip():
        return None
    if not text.strip().isascii() or not text.strip().isdecimal():
        raise InputError("must be a whole number of days", field="days")
    return int(text.strip()[:9])
