"""Users and tokens: who may use the console and the API. For admins."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.rights import Role
from dca_daemon.services import api_tokens, users
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, linked
from dca_daemon.web.rendering import page
from dca_daemon.web.rights import at_least

router = APIRouter(dependencies=[Depends(at_least(Role.ADMIN))], include_in_schema=False)


@router.get("/users")
async def list_users(request: Request) -> Response:
    """Everybody."""
    return page(request, "users.html", users=await users.list_all(desk_of(request).db))


@router.get("/tokens")
async def list_tokens(request: Request, after: After = None, revoked: str = "") -> Response:
    """The newest first."""
    found = await api_tokens.list_all(desk_of(request).db, revoked=bool(revoked), before=after, limit=PAGE + 1)
    listed = linked(request, found, lambda one: one.token_id)
    return page(request, "tokens.html", listed=listed, revoked=bool(revoked))
