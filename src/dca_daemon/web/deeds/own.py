"""What a client can change of its own, where the operator lets it: by its page, or by the API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dca_daemon.domain.money import fiat_text
from dca_daemon.domain.rights import Scope
from dca_daemon.services import client_changes
from dca_daemon.services.client_changes import Switched
from dca_daemon.services.clients import Mode
from dca_daemon.services.fixed_amounts import FixedAmount
from dca_daemon.web.actions import Action, Call, Facts, Standing
from dca_daemon.web.api.own import OwnAmountOut, OwnModeOut
from dca_daemon.web.wishes import Text, Wish

_HOW = {
    Mode.FLOW: "you buy whenever somebody takes cash out, by the part that is yours of the cash in the machines",
    Mode.FIXED: "you buy for your amount a day, at the operator's times, whatever the machines do",
}


class SwitchMode(Wish):
    """How the client buys from now on."""

    mode: Annotated[Literal["flow", "fixed"], Field(title="Mode")]


class ChangeAmount(Wish):
    """What the client buys a day in Fixed Mode."""

    per_day: Annotated[
        Text,
        Field(
            title="A day", description="What it buys for a day, up to the maximum; 0: nothing.", examples=["250"]
        ),
    ]
    pool: Annotated[
        Text | None,
        Field(title="Pool", description="By its name; needed only with cash in several.", examples=["default"]),
    ] = None


def _whose(call: Call) -> int:
    assert call.client_id is not None, "only a client's own doors lead here"
    return call.client_id


async def _switch(call: Call, wish: SwitchMode) -> Switched:
    return await client_changes.switch_mode(call.db, _whose(call), Mode(wish.mode))


async def _change(call: Call, wish: ChangeAmount) -> FixedAmount:
    return await client_changes.change_amount(call.db, _whose(call), wish.per_day, wish.pool)


def _mode_facts(done: Switched) -> Facts:
    facts = [("Mode", done.mode), ("From now on", _HOW[done.mode])]
    if done.mode is Mode.FIXED:
        facts += [
            (f"A day, in {one.pool.name}", fiat_text(one.daily_minor, one.pool.currency))
            for one in done.fixed
            if one.daily_minor
        ]
        if not any(one.daily_minor for one in done.fixed):
            facts.append(("Note", "you have no amount a day: nothing is bought until there is one"))
        if not any(one.times for one in done.fixed):
            facts.append(("Note", "the operator has set no times: nothing is bought until there are any"))
    return facts


def _amount_facts(done: FixedAmount) -> Facts:
    currency = done.pool.currency
    facts = [
        ("You buy a day for", fiat_text(done.daily_minor, currency)),
        ("At most", fiat_text(done.max_minor, currency)),
        ("You have left", Standing(fiat_text(done.balance_minor, currency))),
    ]
    if done.mode != Mode.FIXED:
        facts.append(("Note", "this counts once you are in fixed mode"))
    return facts


def _home(_done: object) -> str:
    return "/my"


SWITCH_MODE = Action(
    name="client.set-mode",
    title="Change how you buy",
    path="/me/mode",
    wish=SwitchMode,
    role=None,
    scope=Scope.CLIENT,
    explanation="Counts from the next cash-out on. Where the operator lets the client.",
    work=_switch,
    facts=_mode_facts,
    leads_to=_home,
    said=lambda done: f"You are in {done.mode} mode.",
    answer=OwnModeOut.of,
    answer_model=OwnModeOut,
)
CHANGE_AMOUNT = Action(
    name="fixed.set-amount",
    title="Change what you buy a day",
    path="/me/amount",
    wish=ChangeAmount,
    role=None,
    scope=Scope.CLIENT,
    explanation="Up to the maximum that the operator has set. Where the operator lets the client.",
    work=_change,
    facts=_amount_facts,
    leads_to=_home,
    said=lambda done: f"You buy for {fiat_text(done.daily_minor, done.pool.currency)} a day in fixed mode.",
    answer=OwnAmountOut.of,
    answer_model=OwnAmountOut,
)
ACTIONS = (SWITCH_MODE, CHANGE_AMOUNT)
