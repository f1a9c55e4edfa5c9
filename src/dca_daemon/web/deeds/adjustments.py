"""Corrections of what a client has in, or is owed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import adjustments
from dca_daemon.services.adjustments import Adjustment
from dca_daemon.web.actions import Action, Call, Facts
from dca_daemon.web.api.adjustments import AdjustedOut
from dca_daemon.web.deeds.clients import ClientId
from dca_daemon.web.wishes import PoolRef, Reason, Text, Wish, like


class AdjustClient(Wish):
    """Either fiat or sats."""

    model_config = like({"fiat": "-100.50", "reason": "counted again"})

    client_id: ClientId
    fiat: Annotated[
        Text | None,
        Field(title="Fiat", description="Of its balance, such as +100 or -100.50.", examples=["-100.50"]),
    ] = None
    pool: PoolRef | None = None
    sats: Annotated[
        Text | None,
        Field(
            title="Sats",
            description="+N: it is owed so much more. -N: it was paid so much too much.",
            examples=["+1500"],
        ),
    ] = None
    reason: Reason
    corrects: Annotated[
        Text | None,
        Field(title="Corrects", description="What it follows, such as a distribution or a payout."),
    ] = None


async def _adjust(call: Call, wish: AdjustClient) -> Adjustment:
    wanted = adjustments.Wish(
        str(wish.client_id), wish.reason, fiat=wish.fiat, sats=wish.sats, pool=wish.pool, corrects=wish.corrects
    )
    return await adjustments.apply(call.db, wanted, actor=call.actor)


def _facts(done: Adjustment) -> Facts:
    assert done.before is not None and done.after is not None
    what = "Owed" if done.pool is None else f"Balance in {done.pool.name}"
    return [
        ("Client", done.client),
        ("Adjustment", done.amount_text),
        (f"{what} before", done.text(done.before)),
        (f"{what} after", done.text(done.after)),
        *([] if done.corrects is None else [("Corrects", done.corrects)]),
    ]


ACTIONS = (
    Action(
        name="client.adjust",
        title="Adjust a client",
        path="/clients/{client_id}/adjust",
        api_path="/clients/{client_id}/adjustments",
        api_status=201,
        wish=AdjustClient,
        role=Role.ADMIN,
        scope=Scope.BOOKS,
        explanation="Corrects the client's fiat balance, or what it is owed, at the house's cost. A balance never "
        "goes below zero; sats that were paid too much are kept as a credit, which what it is owed next uses up.",
        work=_adjust,
        facts=_facts,
        leads_to=lambda done: f"/clients/{done.client_id}/adjustments",
        said=lambda done: f"{done.client} is adjusted by {done.amount_text}.",
        answer=AdjustedOut.of,
        answer_model=AdjustedOut,
    ),
)
