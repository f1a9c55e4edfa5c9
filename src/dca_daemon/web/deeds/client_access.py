"""What can be done with clients' access to their own account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import api_tokens, client_access, clients
from dca_daemon.services.api_tokens import TokenView
from dca_daemon.services.client_access import AccessView
from dca_daemon.web.actions import Action, Call, Facts
from dca_daemon.web.api.client_access import AccessOut, MadeLinkOut, MadeTokenOut
from dca_daemon.web.deeds.clients import ClientId, OptionalReason
from dca_daemon.web.personal import link_to
from dca_daemon.web.wishes import Id, Text, Wish, like


class OneClient(Wish):
    """Whom it concerns."""

    client_id: ClientId


class RevokeLink(Wish):
    """Whose link ends."""

    model_config = like({"reason": "the phone is lost"})

    client_id: ClientId
    reason: OptionalReason = None


class Allow(Wish):
    """What the client may change by itself; what is not given stays as it was."""

    model_config = like({"switch_mode": True, "change_amount": False})

    client_id: ClientId
    switch_mode: Annotated[bool | None, Field(title="It may switch its mode", examples=[True])] = None
    change_amount: Annotated[
        bool | None,
        Field(title="It may change its amount a day, up to its maximum in Fixed Mode", examples=[True]),
    ] = None
    reason: OptionalReason = None


class AddClientToken(Wish):
    """A token for a program of the client's."""

    client_id: ClientId
    name: Annotated[
        Text,
        Field(title="Name", description="A name of its own among all tokens in force.", examples=["ana-wallet"]),
    ]
    days: Annotated[
        Id | None,
        Field(title="Days", description="How long it lasts; empty: until it is revoked.", examples=[365]),
    ] = None


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A client's access, and the address that is shown once."""

    access: AccessView
    url: str


@dataclass(frozen=True, slots=True)
class MadeToken:
    """A token, and itself, which is shown once."""

    client: str
    token: TokenView
    secret: str


async def _make_link(call: Call, wish: OneClient) -> MadeLink:
    view, token = await client_access.make_link(call.db, str(wish.client_id), actor=call.actor)
    return MadeLink(view, link_to(call.desk, token))


async def _revoke_link(call: Call, wish: RevokeLink) -> AccessView:
    return await client_access.revoke_link(call.db, str(wish.client_id), actor=call.actor, reason=wish.reason)


async def _allow(call: Call, wish: Allow) -> AccessView:
    return await client_access.allow(
        call.db,
        str(wish.client_id),
        switch_mode=wish.switch_mode,
        change_amount=wish.change_amount,
        actor=call.actor,
        reason=wish.reason,
    )


async def _add_token(call: Call, wish: AddClientToken) -> MadeToken:
    client = await clients.show(call.db, str(wish.client_id))
    view, secret = await api_tokens.add(
        call.db,
        name=wish.name,
        scopes=[Scope.CLIENT],
        days=wish.days,
        client_id=client.client_id,
        actor=call.actor,
    )
    return MadeToken(client.name, view, secret)


def _facts(view: AccessView) -> Facts:
    return [
        ("Client", view.client),
        ("Personal link", "none" if view.link is None else "in force"),
        ("May switch its mode", "yes" if view.permissions.may_switch_mode else "no"),
        ("May change its amount", "yes" if view.permissions.may_change_amount else "no"),
    ]


def _page(view: AccessView) -> str:
    return f"/clients/{view.client_id}"


ACTIONS = (
    Action(
        name="client.make-link",
        title="Make a personal link",
        path="/clients/{client_id}/link",
        api_status=201,
        wish=OneClient,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="An address at which the client sees its own account, without a password: whoever has it sees "
        "it. It is shown once. A link that was made before opens nothing any more.",
        one_step=True,
        work=_make_link,
        facts=lambda made: _facts(made.access),
        leads_to=lambda made: _page(made.access),
        shows_once="link-made.html",
        answer=MadeLinkOut.of,
        answer_model=MadeLinkOut,
    ),
    Action(
        name="client.revoke-link",
        title="Revoke the personal link",
        path="/clients/{client_id}/link/revoke",
        wish=RevokeLink,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="It opens nothing any more, at once and for good.",
        work=_revoke_link,
        facts=_facts,
        leads_to=_page,
        said=lambda view: f"The personal link of {view.client} is revoked.",
        answer=AccessOut.of,
        answer_model=AccessOut,
    ),
    Action(
        name="client.allow",
        title="Let a client change things by itself",
        path="/clients/{client_id}/permissions",
        wish=Allow,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="What is not ticked the client may not change. Whatever it changes is in the audit log.",
        work=_allow,
        facts=_facts,
        leads_to=_page,
        said=lambda view: f"What {view.client} may change by itself is set.",
        answer=AccessOut.of,
        answer_model=AccessOut,
    ),
    Action(
        name="token.add",
        title="Make a token of the client's own",
        path="/clients/{client_id}/token",
        api_path="/clients/{client_id}/tokens",
        api_status=201,
        wish=AddClientToken,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="For a program that reads the client's account through the API, and nobody else's. It is "
        "shown once.",
        one_step=True,
        work=_add_token,
        facts=lambda made: [("Client", made.client), ("Token", made.token.name)],
        leads_to=lambda made: f"/clients/{made.token.client_id}",
        shows_once="client-token-added.html",
        answer=MadeTokenOut.of,
        answer_model=MadeTokenOut,
    ),
)
