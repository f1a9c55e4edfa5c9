"""`/api/v1/machines`, `/api/v1/pools`, `/api/v1/cash`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.services import cash_report, machines
from dca_daemon.services.cash import Movement
from dca_daemon.services.cash_report import MachineCash, PoolCash
from dca_daemon.services.machines import MachineView, Moved
from dca_daemon.services.pools import Pool
from dca_daemon.web.api.values import Amount, Next, Out, fiat
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, Limit, cut
from dca_daemon.web.rights import scoped

AfterDevice = Annotated[
    str | None,
    Query(min_length=1, max_length=200, description="Go on after this one: `next` of the page before."),
]


class MachineOut(Out):
    """A machine. `waiting` of its cash-outs wait until somebody has decided on its pool."""

    device_id: str
    name: str | None
    version: str | None
    pool_id: int
    pool: str
    currency: str
    awaiting_pool: bool
    first_seen_at: datetime
    cash_outs: int
    waiting: int

    @classmethod
    def of(cls, view: MachineView) -> MachineOut:
        return cls.from_view(view)


class MachineMovedOut(Out):
    """A machine after a decision on its pool, and what became of the cash-outs that had waited for it."""

    machine: MachineOut
    pool_before: str
    distributed: int
    distributed_sats: int
    not_distributed: int

    @classmethod
    def of(cls, moved: Moved) -> MachineMovedOut:
        return cls.from_view(moved, machine=MachineOut.of(moved.machine))


class MachinesOut(Out):
    """A page of machines, by pool and name."""

    machines: list[MachineOut]
    next: Next


class PoolOut(Out):
    """Machines whose cash is shared, in one currency."""

    id: int
    name: str
    currency: str

    @classmethod
    def of(cls, pool: Pool) -> PoolOut:
        return cls(id=pool.pool_id, name=pool.name, currency=pool.currency)


class MachineCashOut(Out):
    """What should be in a machine, and how it came there; `device_id` null: what no machine was named for."""

    device_id: str | None
    name: str | None
    here: bool = Field(description="Whether the machine is in the pool now.")
    deposits: Amount
    refills: Amount
    removals: Amount
    dispensed: Amount
    given_back: Amount
    cash: Amount

    @classmethod
    def of(cls, one: MachineCash, currency: str) -> MachineCashOut:
        return cls.from_view(
            one,
            deposits=fiat(one.deposits_minor, currency),
            refills=fiat(one.refills_minor, currency),
            removals=fiat(one.removals_minor, currency),
            dispensed=fiat(one.dispensed_minor, currency),
            given_back=fiat(one.given_back_minor, currency),
            cash=fiat(one.cash_minor, currency),
        )


class PoolCashOut(Out):
    """The cash that should be in a pool's machines, and whose it is."""

    pool: PoolOut
    cash: Amount
    clients: Amount
    house: Amount
    machines: list[MachineCashOut]

    @classmethod
    def of(cls, one: PoolCash) -> PoolCashOut:
        currency = one.pool.currency
        return cls(
            pool=PoolOut.of(one.pool),
            cash=fiat(one.cash_minor, currency),
            clients=fiat(one.clients_minor, currency),
            house=fiat(one.house_minor, currency),
            machines=[MachineCashOut.of(machine, currency) for machine in one.machines],
        )


class PoolsOut(Out):
    """All pools."""

    pools: list[PoolCashOut]


class CashMovedOut(Out):
    """Notes that came or went, and what the books say of the pool before and after."""

    kind: str
    pool: PoolOut
    device_id: str | None
    amount: Amount
    reason: str
    cash_before: Amount
    cash_after: Amount
    house_before: Amount
    house_after: Amount

    @classmethod
    def of(cls, move: Movement) -> CashMovedOut:
        currency = move.pool.currency
        return cls.from_view(
            move,
            pool=PoolOut.of(move.pool),
            amount=fiat(move.amount_minor, currency),
            cash_before=fiat(move.cash_before_minor, currency),
            cash_after=fiat(move.cash_after_minor, currency),
            house_before=fiat(move.house_before_minor, currency),
            house_after=fiat(move.house_after_minor, currency),
        )


router = APIRouter(tags=["machines"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("/machines", summary="List machines")
async def list_machines(
    request: Request, awaiting_only: bool = False, limit: Limit = PAGE, after: AfterDevice = None
) -> MachinesOut:
    """By pool and name; only those whose pool nobody has decided yet, if asked for."""
    db = desk_of(request).db
    found = await machines.list_all(db, awaiting_only=awaiting_only, limit=limit + 1, after=after)
    page = cut(found, limit, lambda one: one.device_id)
    return MachinesOut(machines=[MachineOut.of(one) for one in page.items], next=page.next)


@router.get("/machines/{device_id}", summary="Show a machine")
async def show_machine(request: Request, device_id: Annotated[str, Path(max_length=200)]) -> MachineOut:
    """By its device id, the beginning of it, or its name."""
    return MachineOut.of(await machines.show(desk_of(request).db, device_id))


@router.get("/pools", summary="List pools, with their cash")
async def list_pools(request: Request) -> PoolsOut:
    """All of them: their machines, and the cash that should be there."""
    return PoolsOut(pools=[PoolCashOut.of(one) for one in await cash_report.report(desk_of(request).db)])


@router.get("/cash", summary="Report on the cash in the machines")
async def report_cash(
    request: Request,
    pool: Annotated[str | None, Query(max_length=200, description="By number or name.")] = None,
) -> PoolsOut:
    """What should be in each machine, and whose it is: of every pool, or of one."""
    return PoolsOut(pools=[PoolCashOut.of(one) for one in await cash_report.report(desk_of(request).db, pool)])
