"""What can be done with tokens of programs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import api_tokens
from dca_daemon.services.api_tokens import DAYS_MAX, TokenView
from dca_daemon.web.actions import Action, Call, Facts
from dca_daemon.web.api.users import AddedTokenOut, TokenOut
from dca_daemon.web.wishes import Id, Text, Wish

# A client's own token is made where its client is.
ProgramScope = Literal[
    Scope.READ,
    Scope.CLIENTS,
    Scope.DEPOSITS,
    Scope.CASH_OUTS,
    Scope.PAYOUTS,
    Scope.FIXED,
    Scope.COMMISSION,
    Scope.MACHINES,
    Scope.BOOKS,
    Scope.ADMIN,
]


class AddToken(Wish):
    """A program that may use the API."""

    name: Annotated[
        Text, Field(title="Name", description="Stands in the audit log as who did it.", examples=["till"])
    ]
    scopes: Annotated[
        list[ProgramScope],
        Field(
            min_length=1,
            max_length=20,
            title="Scopes",
            description="What it may do; each includes reading.",
            examples=[["deposits:write"]],
        ),
    ]
    days: Annotated[
        Id | None,
        Field(
            le=DAYS_MAX, title="Days", description="How long it lasts; empty: until it is revoked.", examples=[90]
        ),
    ] = None


class OneToken(Wish):
    """Which one."""

    token_id: Annotated[Id, Field(title="Token", description="The token's number.")]


async def _add(call: Call, wish: AddToken) -> tuple[TokenView, str]:
    return await api_tokens.add(call.db, name=wish.name, scopes=wish.scopes, days=wish.days, actor=call.actor)


async def _revoke(call: Call, wish: OneToken) -> TokenView:
    return await api_tokens.revoke(call.db, str(wish.token_id), actor=call.actor)


def _facts(token: TokenView) -> Facts:
    return [
        ("Token", token.name),
        ("Begins with", token.hint),
        ("Scopes", ", ".join(one.value for one in token.scopes)),
        ("State", "revoked" if token.revoked_at else "in force"),
    ]


def _to_the_list(_done: object) -> str:
    return "/tokens"


ACTIONS = (
    Action(
        name="token.add",
        title="Make a token",
        path="/tokens/add",
        api_path="/tokens",
        api_status=201,
        wish=AddToken,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="A program sends it with each request. It is shown once, when it is made.",
        work=_add,
        facts=lambda added: _facts(added[0]),
        leads_to=_to_the_list,
        one_step=True,
        shows_once="token-added.html",
        answer=AddedTokenOut.of,
        answer_model=AddedTokenOut,
    ),
    Action(
        name="token.revoke",
        title="Revoke a token",
        path="/tokens/{token_id}/revoke",
        wish=OneToken,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="It opens nothing any more, at once and for good.",
        work=_revoke,
        facts=_facts,
        leads_to=_to_the_list,
        said=lambda token: f"The token {token.name} is revoked: it opens nothing any more.",
        answer=TokenOut.of,
        answer_model=TokenOut,
    ),
)
