"""What can be done with machines, pools, and the cash in them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import cash, machines, pools
from dca_daemon.services.cash import Movement
from dca_daemon.services.machines import MachineView, Moved
from dca_daemon.services.pools import Pool
from dca_daemon.web.actions import Action, Call, Facts, Standing
from dca_daemon.web.api.machines import CashMovedOut, MachineMovedOut, MachineOut, PoolOut
from dca_daemon.web.wishes import FiatAmount, MachineRef, PoolRef, Reason, Text, Wish

DeviceId = Annotated[Text, Field(title="Machine", description="Its device id.")]


class MoveMachine(Wish):
    """Into another pool."""

    device_id: DeviceId
    pool: Annotated[PoolRef, Field(description="By number or name.")]
    reason: Reason


class AcceptMachine(Wish):
    """Right where it is."""

    device_id: DeviceId
    reason: Reason


class NameMachine(Wish):
    """What it is called."""

    device_id: DeviceId
    name: Annotated[Text, Field(title="Name", examples=["Mercado Central"])]


class AddPool(Wish):
    """Another pool."""

    name: Annotated[Text, Field(title="Name", description="A name of its own.", examples=["Antigua"])]
    currency: Annotated[Text, Field(title="Currency", description="ISO 4217; it stays.", examples=["GTQ"])]


class MoveCash(Wish):
    """Notes of the house's."""

    amount: FiatAmount
    machine: MachineRef | None = None
    pool: PoolRef | None = None
    reason: Reason


async def _move(call: Call, wish: MoveMachine) -> Moved:
    intake = call.desk.intake(call.db)
    return await machines.move(call.db, intake, wish.device_id, wish.pool, reason=wish.reason, actor=call.actor)


async def _accept(call: Call, wish: AcceptMachine) -> Moved:
    intake = call.desk.intake(call.db)
    return await machines.move(call.db, intake, wish.device_id, None, reason=wish.reason, actor=call.actor)


async def _name(call: Call, wish: NameMachine) -> MachineView:
    return await machines.name(call.db, wish.device_id, wish.name, actor=call.actor)


async def _add_pool(call: Call, wish: AddPool) -> Pool:
    return await pools.add(call.db, name=wish.name, currency=wish.currency, actor=call.actor)


async def _refill(call: Call, wish: MoveCash) -> Movement:
    return await cash.refill(
        call.db, wish.amount, machine=wish.machine, pool=wish.pool, reason=wish.reason, actor=call.actor
    )


async def _remove(call: Call, wish: MoveCash) -> Movement:
    return await cash.remove(
        call.db, wish.amount, machine=wish.machine, pool=wish.pool, reason=wish.reason, actor=call.actor
    )


def _called(machine: MachineView) -> str:
    return machine.name or machine.device_id


def _moved_facts(moved: Moved) -> Facts:
    return [
        ("Machine", _called(moved.machine)),
        ("Pool before", moved.pool_before),
        ("Pool", f"{moved.machine.pool} ({moved.machine.currency})"),
        ("Waiting cash-outs, distributed at once", f"{moved.distributed}, {sats_text(moved.distributed_sats)}"),
        ("Waiting cash-outs, not distributed", str(moved.not_distributed)),
    ]


def _cash_facts(move: Movement) -> Facts:
    def text(minor: int) -> str:
        return fiat_text(minor, move.pool.currency)

    return [
        ("Pool", move.pool.name),
        ("Machine", move.device_id or "none named"),
        ("Amount", text(move.amount_minor)),
        (
            "Cash in the pool's machines",
            Standing(f"{text(move.cash_before_minor)} → {text(move.cash_after_minor)}"),
        ),
        ("The house's part", Standing(f"{text(move.house_before_minor)} → {text(move.house_after_minor)}")),
    ]


ACTIONS = (
    Action(
        name="machine.move",
        title="Move a machine to another pool",
        path="/machines/{device_id:path}/move",
        wish=MoveMachine,
        role=Role.OPERATOR,
        scope=Scope.MACHINES,
        explanation="What is booked stays; what comes from now on is shared in the other pool, and cash-outs that "
        "waited for this decision are distributed at once. Notes that the machine takes along: remove them from "
        "the old pool before, and refill them in the new one after.",
        work=_move,
        facts=_moved_facts,
        leads_to=lambda moved: "/machines",
        said=lambda moved: f"{_called(moved.machine)} is in the pool {moved.machine.pool}.",
        answer=MachineMovedOut.of,
        answer_model=MachineMovedOut,
    ),
    Action(
        name="machine.accept",
        title="Leave a new machine where it is",
        path="/machines/{device_id:path}/accept",
        wish=AcceptMachine,
        role=Role.OPERATOR,
        scope=Scope.MACHINES,
        explanation="Its pool is right; its cash-outs that waited for this decision are distributed at once.",
        work=_accept,
        facts=_moved_facts,
        leads_to=lambda moved: "/machines",
        said=lambda moved: f"{_called(moved.machine)} stays in the pool {moved.machine.pool}.",
        answer=MachineMovedOut.of,
        answer_model=MachineMovedOut,
    ),
    Action(
        name="machine.name",
        title="Name a machine",
        path="/machines/{device_id:path}/name",
        wish=NameMachine,
        role=Role.OPERATOR,
        scope=Scope.MACHINES,
        explanation="Where Lamassu's own names can be read, Lamassu's comes back with the next cash-out.",
        one_step=True,
        work=_name,
        facts=lambda machine: [("Machine", _called(machine))],
        leads_to=lambda machine: "/machines",
        said=lambda machine: f"The machine is called {machine.name!r}.",
        answer=MachineOut.of,
        answer_model=MachineOut,
    ),
    Action(
        name="pool.add",
        title="Add a pool",
        path="/pools/add",
        api_path="/pools",
        api_status=201,
        wish=AddPool,
        role=Role.ADMIN,
        scope=Scope.MACHINES,
        explanation="Cash-outs are shared within their machine's pool only. A pool, and its currency, stay.",
        work=_add_pool,
        facts=lambda pool: [("Pool", pool.name), ("Currency", pool.currency)],
        leads_to=lambda pool: "/pools",
        said=lambda pool: f"Pool {pool.pool_id} {pool.name!r} is open, in {pool.currency}.",
        answer=PoolOut.of,
        answer_model=PoolOut,
    ),
    Action(
        name="cash.refill",
        title="Refill cash",
        path="/cash/refill",
        wish=MoveCash,
        role=Role.OPERATOR,
        scope=Scope.MACHINES,
        explanation="Notes of the house's that were put into a machine. Clients' notes are deposits.",
        work=_refill,
        facts=_cash_facts,
        leads_to=lambda move: "/cash",
        said=lambda move: f"{fiat_text(move.amount_minor, move.pool.currency)} are booked into {move.pool.name}.",
        answer=CashMovedOut.of,
        answer_model=CashMovedOut,
    ),
    Action(
        name="cash.remove",
        title="Remove cash",
        path="/cash/remove",
        wish=MoveCash,
        role=Role.OPERATOR,
        scope=Scope.MACHINES,
        explanation="Notes that were taken out of a machine. What a client gets back is given back with deposits.",
        work=_remove,
        facts=_cash_facts,
        leads_to=lambda move: "/cash",
        said=lambda move: (
            f"{fiat_text(move.amount_minor, move.pool.currency)} are booked out of {move.pool.name}."
        ),
        answer=CashMovedOut.of,
        answer_model=CashMovedOut,
    ),
)
