"""Taking a distribution back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import reversals
from dca_daemon.services.distribution_views import DistributionView
from dca_daemon.web.actions import Action, Call, Facts
from dca_daemon.web.api.distributions import DistributionOut
from dca_daemon.web.wishes import Id, Reason, Wish


class ReverseDistribution(Wish):
    """It should not have been."""

    distribution_id: Annotated[Id, Field(title="Distribution", description="The distribution's number.")]
    reason: Reason


async def _reverse(call: Call, wish: ReverseDistribution) -> DistributionView:
    return await reversals.reverse(call.db, wish.distribution_id, reason=wish.reason, actor=call.actor)


def _facts(view: DistributionView) -> Facts:
    facts = [
        ("Taken back", view.name),
        ("Pool", view.pool),
        ("Sats", sats_text(view.total_sats)),
        ("Charged", fiat_text(view.charge_minor, view.currency)),
        *((one.client, f"no longer owed {sats_text(one.sats)}") for one in view.records),
    ]
    if view.cash_out_id is None:
        return facts
    return [*facts, ("Cash-out", f"{view.cash_out_id} waits for a decision: it is in review")]


ACTIONS = (
    Action(
        name="distribution.reverse",
        title="Take a distribution back",
        path="/distributions/{distribution_id}/reverse",
        button="Take it back",
        wish=ReverseDistribution,
        role=Role.ADMIN,
        scope=Scope.BOOKS,
        explanation="Of which nothing was paid: everybody stands as if it had not been, and both entries stay in "
        "the books. Held payouts of it that were never submitted end as void. A cash-out then waits for a "
        "decision. What was paid can only be followed by an adjustment.",
        work=_reverse,
        facts=_facts,
        leads_to=lambda view: f"/distributions/{view.distribution_id}",
        said=lambda view: (
            f"Distribution {view.distribution_id} is reversed, by journal entry {view.reversal_entry_id}."
        ),
        answer=DistributionOut.of,
        answer_model=DistributionOut,
    ),
)
