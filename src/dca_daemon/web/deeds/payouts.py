"""How a person steps in with payouts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from dca_daemon.domain.money import sats_text
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import payout_resolution, payouts
from dca_daemon.services.payout_resolution import CONSEQUENCE, Resolution
from dca_daemon.services.payouts import PayoutView
from dca_daemon.web.actions import Action, Call, Facts
from dca_daemon.web.api.payouts import PayoutOut
from dca_daemon.web.wishes import Reason, Wish

PayoutId = Annotated[
    str,
    StringConstraints(min_length=4, max_length=36),
    Field(title="Payout", description="The payout's id."),
]


class RetryPayout(Wish):
    """Now, not at its next attempt."""

    payout_id: PayoutId


class StepIn(Wish):
    """With a reason."""

    payout_id: PayoutId
    reason: Reason


class ResolvePayout(Wish):
    """What was found out about a held one."""

    payout_id: PayoutId
    outcome: Annotated[
        Resolution,
        Field(
            title="What came of it",
            description="settled: the receiver has the sats, its wallet shows them. void: nothing left the source "
            "wallet, and nothing can any more. written-off: it left the source wallet, and is lost.",
        ),
    ]
    reason: Annotated[Reason, Field(title="Reason", description="What you saw, and where.")]


async def _retry(call: Call, wish: RetryPayout) -> PayoutView:
    return await payouts.retry(call.db, wish.payout_id, actor=call.actor)


async def _hold(call: Call, wish: StepIn) -> PayoutView:
    return await payouts.hold(call.db, wish.payout_id, reason=wish.reason, actor=call.actor)


async def _release(call: Call, wish: StepIn) -> PayoutView:
    return await payouts.release(call.db, wish.payout_id, reason=wish.reason, actor=call.actor)


async def _resolve(call: Call, wish: ResolvePayout) -> PayoutView:
    return await payout_resolution.resolve(
        call.db, wish.payout_id, wish.outcome, reason=wish.reason, actor=call.actor
    )


def _facts(view: PayoutView) -> Facts:
    return [
        ("Payout", view.payout_id),
        ("Client", view.client),
        ("Destination", view.destination),
        ("Amount", sats_text(view.amount_sats)),
        ("State afterwards", str(view.state)),
    ]


def _page_of(view: PayoutView) -> str:
    return f"/payouts/{view.payout_id}"


def _said(view: PayoutView) -> str:
    return f"Payout {view.payout_id} of {sats_text(view.amount_sats)} to {view.client} is {view.state}."


ACTIONS = (
    Action(
        name="payout.retry",
        title="Try a payout now",
        path="/payouts/{payout_id}/retry",
        wish=RetryPayout,
        role=Role.OPERATOR,
        scope=Scope.PAYOUTS,
        explanation="It is due at once. One that may have been paid is looked up, never paid anew.",
        one_step=True,
        work=_retry,
        facts=_facts,
        leads_to=_page_of,
        said=_said,
        answer=PayoutOut.of,
        answer_model=PayoutOut,
    ),
    Action(
        name="payout.hold",
        title="Hold a payout",
        path="/payouts/{payout_id}/hold",
        wish=StepIn,
        role=Role.OPERATOR,
        scope=Scope.PAYOUTS,
        explanation="It stops until a person releases it. What may have been paid already is not undone.",
        work=_hold,
        facts=_facts,
        leads_to=_page_of,
        said=_said,
        answer=PayoutOut.of,
        answer_model=PayoutOut,
    ),
    Action(
        name="payout.release",
        title="Release a payout",
        path="/payouts/{payout_id}/release",
        wish=StepIn,
        role=Role.OPERATOR,
        scope=Scope.PAYOUTS,
        explanation="A held one goes on. Was its invoice never submitted, it ends as void, and its records are "
        "owed again and paid to the client's present destination. May it have been paid, it is looked up "
        "again, never paid anew.",
        work=_release,
        facts=_facts,
        leads_to=_page_of,
        said=_said,
        answer=PayoutOut.of,
        answer_model=PayoutOut,
    ),
    Action(
        name="payout.resolve",
        title="Resolve a payout",
        path="/payouts/{payout_id}/resolve",
        wish=ResolvePayout,
        role=Role.ADMIN,
        scope=Scope.BOOKS,
        explanation="End a held one that LNbits can't prove, for good. "
        + " ".join(f"{name}: {text}" for name, text in CONSEQUENCE.items())
        + " Void and written-off have the client paid a second time: make sure that the first payment can't "
        "arrive any more.",
        work=_resolve,
        facts=_facts,
        leads_to=_page_of,
        said=_said,
        answer=PayoutOut.of,
        answer_model=PayoutOut,
    ),
)
