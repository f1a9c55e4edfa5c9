"""`/api/v1/clients/{id}/access`, and what is answered when it is changed: who sees a client's own account."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.services import api_tokens, client_access
from dca_daemon.services.client_access import AccessView
from dca_daemon.web.api.users import TokenOut
from dca_daemon.web.api.values import Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import RowId
from dca_daemon.web.rights import scoped

if TYPE_CHECKING:
    from dca_daemon.web.deeds.client_access import MadeLink, MadeToken

TOKENS_MAX = 50


class LinkOut(Out):
    """A personal link in force, without itself. Use is noted at most once a minute."""

    created_by: str
    created_at: datetime
    last_used_at: datetime | None


class AccessOut(Out):
    """How a client gets at its own account, and what it may change there."""

    client_id: int
    client: str
    link: LinkOut | None
    may_switch_mode: bool
    may_change_amount: bool

    @classmethod
    def of(cls, view: AccessView) -> AccessOut:
        link = view.link
        return cls(
            client_id=view.client_id,
            client=view.client,
            link=None
            if link is None
            else LinkOut(created_by=link.created_by, created_at=link.created_at, last_used_at=link.last_used_at),
            may_switch_mode=view.permissions.may_switch_mode,
            may_change_amount=view.permissions.may_change_amount,
        )


class AccessAndTokensOut(AccessOut):
    """The same, with the client's own tokens that are in force."""

    tokens: list[TokenOut]


class MadeLinkOut(Out):
    """A new personal link; one that was in force before opens nothing any more."""

    url: str = Field(
        description="Shown this once: whoever has it sees the client's account.",
        examples=["https://dca.example.com/my/…"],
    )
    access: AccessOut

    @classmethod
    def of(cls, made: MadeLink) -> MadeLinkOut:
        return cls(url=made.url, access=AccessOut.of(made.access))


class MadeTokenOut(Out):
    """A new token of a client's own."""

    secret: str = Field(description="The token itself, shown this once.", examples=["dca_…"])
    token: TokenOut

    @classmethod
    def of(cls, made: MadeToken) -> MadeTokenOut:
        return cls(secret=made.secret, token=TokenOut.of(made.token))


router = APIRouter(prefix="/clients", tags=["clients"])


@router.get(
    "/{client_id}/access",
    summary="Show a client's own access",
    dependencies=[Depends(scoped(Scope.ADMIN))],
)
async def show_access(request: Request, client_id: RowId) -> AccessAndTokensOut:
    """Its personal link, its tokens in force, and what it may change."""
    db = desk_of(request).db
    access = AccessOut.of(await client_access.show(db, str(client_id)))
    tokens = await api_tokens.list_all(db, client_id=client_id, limit=TOKENS_MAX)
    return AccessAndTokensOut(**access.model_dump(), tokens=[TokenOut.of(one) for one in tokens])
