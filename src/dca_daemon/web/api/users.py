"""`/api/v1/users` and `/api/v1/tokens`: who may use the console and the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import api_tokens, users
from dca_daemon.services.api_tokens import TokenView
from dca_daemon.services.users import UserView
from dca_daemon.web.api.values import Next, Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, cut
from dca_daemon.web.rights import Caller, scoped


class UserOut(Out):
    """Somebody who may use the console; `sessions`: how many are open."""

    name: str
    role: Role
    has_password: bool
    has_second_factor: bool
    created_at: datetime
    disabled_at: datetime | None
    last_seen_at: datetime | None
    sessions: int

    @classmethod
    def of(cls, view: UserView) -> UserOut:
        return cls.from_view(view)


class UsersOut(Out):
    """Everybody."""

    users: list[UserOut]


class TokenOut(Out):
    """A token, without itself; `hint`: how it begins."""

    id: int
    name: str
    hint: str
    scopes: list[Scope]
    client_id: int | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, view: TokenView) -> TokenOut:
        return cls.from_view(view, id=view.token_id)


class AddedTokenOut(Out):
    """A new token."""

    secret: str = Field(description="The token itself, shown this once.", examples=["dca_…"])
    token: TokenOut

    @classmethod
    def of(cls, added: tuple[TokenView, str]) -> AddedTokenOut:
        return cls(token=TokenOut.of(added[0]), secret=added[1])


class TokensOut(Out):
    """A page of tokens, the newest first."""

    tokens: list[TokenOut]
    next: Next


router = APIRouter()
Admin = Annotated[Caller, Depends(scoped(Scope.ADMIN))]


@router.get("/users", summary="List users", tags=["users"])
async def list_users(request: Request, caller: Admin) -> UsersOut:
    """Those who may log in first."""
    del caller
    return UsersOut(users=[UserOut.of(one) for one in await users.list_all(desk_of(request).db)])


@router.get("/tokens", summary="List tokens", tags=["tokens"])
async def list_tokens(
    request: Request, caller: Admin, revoked: bool = False, limit: Limit = PAGE, after: After = None
) -> TokensOut:
    """The newest first; with `revoked`, also those that are."""
    del caller
    found = await api_tokens.list_all(desk_of(request).db, revoked=revoked, before=after, limit=limit + 1)
    page = cut(found, limit, lambda one: one.token_id)
    return TokensOut(tokens=[TokenOut.of(one) for one in page.items], next=page.next)
