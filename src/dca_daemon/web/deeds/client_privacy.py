"""What can be done with a client's personal data."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import erasing
from dca_daemon.services.erasing import Erasure
from dca_daemon.web.actions import Action, Call, Facts, Standing
from dca_daemon.web.api.client_privacy import ErasureOut
from dca_daemon.web.deeds.clients import ClientId
from dca_daemon.web.wishes import Text, Widget, Wish, like


class EraseClient(Wish):
    """Whose personal data are erased."""

    model_config = like({"reason": "asked for by letter", "words": "+502 5555-1234"})

    client_id: ClientId
    reason: Annotated[
        Text,
        Field(title="Reason", description="Why, without naming the client: it is kept.", examples=["asked for"]),
        Widget("area"),
    ]
    words: Annotated[
        Text | None,
        Field(
            title="Further words",
            description="What else is to go from all texts, such as a phone number; one a line or between commas.",
        ),
        Widget("area"),
    ] = None


async def _erase(call: Call, wish: EraseClient) -> Erasure:
    further = (wish.words or "").replace("\n", ",").split(",")
    return await erasing.erase(
        call.db,
        str(wish.client_id),
        reason=wish.reason,
        words=[word.strip() for word in further if word.strip()],
        actor=call.actor,
    )


def _facts(done: Erasure) -> Facts:
    texts = ", ".join(f"{table} {rows}" for table, rows in done.texts.items())
    return [
        ("Client", done.name),
        ("Called from then on", done.name_after),
        ("Destinations, with addresses and keys", str(done.destinations)),
        ("Personal links", str(done.personal_links)),
        ("Tokens", str(done.tokens)),
        ("Texts that lose its words, or go", Standing(texts or "none")),
    ]


ACTIONS = (
    Action(
        name="client.erase",
        title="Erase a client's personal data",
        path="/clients/{client_id}/erase",
        wish=EraseClient,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="For good: its name, where it was paid, its access and its notes. The books stay whole, "
        "under its number. Not while it has anything in or coming. Backups keep the data until they are rotated "
        "out.",
        work=_erase,
        facts=_facts,
        leads_to=lambda done: f"/clients/{done.client_id}",
        said=lambda done: f"The personal data of client {done.client_id} are erased.",
        answer=ErasureOut.of,
        answer_model=ErasureOut,
    ),
)
