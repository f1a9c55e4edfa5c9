"""What can be done with deposits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dca_daemon.domain.money import fiat_text
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import cash, deposits
from dca_daemon.services.cash import Movement
from dca_daemon.services.deposits import BalanceChange, DepositView
from dca_daemon.web.actions import Action, Call, Facts, Standing
from dca_daemon.web.api.deposits import BalanceChangeOut, DepositOut, GivenBackOut
from dca_daemon.web.wishes import ClientRef, FiatAmount, Id, MachineRef, PoolRef, Reason, Text, Wish, like

DepositId = Annotated[Id, Field(title="Deposit", description="The deposit's number.")]


class RecordDeposit(Wish):
    """Notes that a client has handed over."""

    client: ClientRef
    amount: FiatAmount
    currency: Annotated[
        Text | None, Field(title="Currency", description="A check: refused unless it is the pool's.")
    ] = None
    pool: PoolRef | None = None
    note: Annotated[Text | None, Field(title="Note", description="Kept with the deposit.")] = None


class ConfirmDeposit(Wish):
    """The notes are in the machine."""

    model_config = like({"machine": "Mercado Central"})

    deposit_id: DepositId
    machine: MachineRef | None = None


class VoidDeposit(Wish):
    """It was entered by mistake."""

    deposit_id: DepositId
    reason: Reason


class GiveBack(Wish):
    """Notes that a client gets back."""

    client: ClientRef
    amount: FiatAmount
    reason: Reason
    pool: PoolRef | None = None
    machine: MachineRef | None = None


async def _record(call: Call, wish: RecordDeposit) -> DepositView:
    return await deposits.record(
        call.db,
        client=wish.client,
        amount=wish.amount,
        currency=wish.currency,
        pool=wish.pool,
        note=wish.note,
        actor=call.actor,
    )


async def _confirm(call: Call, wish: ConfirmDeposit) -> BalanceChange:
    return await deposits.confirm(call.db, wish.deposit_id, machine=wish.machine, actor=call.actor)


async def _void(call: Call, wish: VoidDeposit) -> BalanceChange:
    return await deposits.void(call.db, wish.deposit_id, reason=wish.reason, actor=call.actor)


async def _give_back(call: Call, wish: GiveBack) -> Movement:
    return await cash.give_back(
        call.db,
        wish.client,
        wish.amount,
        machine=wish.machine,
        pool=wish.pool,
        reason=wish.reason,
        actor=call.actor,
        rehearse=False,
    )


def _deposit_facts(deposit: DepositView) -> Facts:
    facts = [
        ("Client", deposit.client),
        ("Pool", deposit.pool),
        ("Amount", fiat_text(deposit.amount_minor, deposit.currency)),
        ("State", deposit.state),
    ]
    return facts if deposit.note is None else [*facts, ("Note", deposit.note)]


def _change_facts(change: BalanceChange) -> Facts:
    before, after = (
        Standing(fiat_text(minor, change.deposit.currency)) for minor in (change.before_minor, change.after_minor)
    )
    return [*_deposit_facts(change.deposit), ("Balance before", before), ("Balance after", after)]


def _movement_facts(move: Movement) -> Facts:
    return [
        ("Client", str(move.client)),
        ("Pool", move.pool.name),
        ("Amount", fiat_text(move.amount_minor, move.pool.currency)),
    ]


def _said(change: BalanceChange) -> str:
    deposit = change.deposit
    after = fiat_text(change.after_minor, deposit.currency)
    return f"Deposit {deposit.deposit_id} is {deposit.state}. {deposit.client} has {after} in {deposit.pool}."


ACTIONS = (
    Action(
        name="deposit.record",
        title="Record a deposit",
        path="/deposits/record",
        api_path="/deposits",
        api_status=201,
        wish=RecordDeposit,
        role=Role.OPERATOR,
        scope=Scope.DEPOSITS,
        explanation="Write down that a client handed over notes. They count only once the deposit is confirmed.",
        work=_record,
        facts=_deposit_facts,
        leads_to=lambda deposit: f"/deposits/{deposit.deposit_id}",
        said=lambda deposit: (
            f"Deposit {deposit.deposit_id} is recorded. Confirm it once the notes are in the machine."
        ),
        answer=DepositOut.of,
        answer_model=DepositOut,
    ),
    Action(
        name="deposit.confirm",
        title="Confirm a deposit",
        path="/deposits/{deposit_id}/confirm",
        wish=ConfirmDeposit,
        role=Role.OPERATOR,
        scope=Scope.DEPOSITS,
        explanation="The notes are in the machine: the client's balance grows by them, once.",
        work=_confirm,
        facts=_change_facts,
        leads_to=lambda change: f"/deposits/{change.deposit.deposit_id}",
        said=_said,
        answer=BalanceChangeOut.of,
        answer_model=BalanceChangeOut,
    ),
    Action(
        name="deposit.void",
        title="Void a deposit",
        path="/deposits/{deposit_id}/void",
        wish=VoidDeposit,
        role=Role.OPERATOR,
        scope=Scope.DEPOSITS,
        explanation="Take back a deposit that was entered by mistake. A confirmed one is reversed in the books; "
        "that is refused when part of it has bought bitcoin already.",
        work=_void,
        facts=_change_facts,
        leads_to=lambda change: f"/deposits/{change.deposit.deposit_id}",
        said=_said,
        answer=BalanceChangeOut.of,
        answer_model=BalanceChangeOut,
    ),
    Action(
        name="deposit.give-back",
        title="Give notes back",
        path="/deposits/give-back",
        api_path="/give-backs",
        wish=GiveBack,
        role=Role.OPERATOR,
        scope=Scope.DEPOSITS,
        explanation="Give notes back to a client: never more than it has left in that pool.",
        work=_give_back,
        facts=_movement_facts,
        leads_to=lambda move: f"/clients/{move.client_id}",
        said=lambda move: f"{fiat_text(move.amount_minor, move.pool.currency)} are given back to {move.client}.",
        answer=GivenBackOut.of,
        answer_model=GivenBackOut,
    ),
)
