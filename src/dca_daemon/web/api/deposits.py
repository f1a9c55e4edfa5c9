"""`/api/v1/deposits`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.services import deposits
from dca_daemon.services.cash import Movement
from dca_daemon.services.deposits import BalanceChange, DepositView
from dca_daemon.web.api.values import Amount, Next, Out, fiat
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, RowId, Since, Until, cut
from dca_daemon.web.rights import scoped

State = Literal["pending", "confirmed", "void"]


class DepositOut(Out):
    """Notes that a client handed over."""

    id: int
    client_id: int
    client: str
    pool_id: int
    pool: str
    device_id: str | None
    amount: Amount
    currency: str
    state: State
    note: str | None
    recorded_at: datetime
    confirmed_at: datetime | None
    voided_at: datetime | None
    void_reason: str | None

    @classmethod
    def of(cls, view: DepositView) -> DepositOut:
        return cls.from_view(view, id=view.deposit_id, amount=fiat(view.amount_minor, view.currency))


class BalanceChangeOut(Out):
    """A deposit, and what became of its client's balance in that pool."""

    deposit: DepositOut
    balance_before: Amount
    balance_after: Amount
    currency: str

    @classmethod
    def of(cls, change: BalanceChange) -> BalanceChangeOut:
        currency = change.deposit.currency
        return cls(
            deposit=DepositOut.of(change.deposit),
            balance_before=fiat(change.before_minor, currency),
            balance_after=fiat(change.after_minor, currency),
            currency=currency,
        )


class GivenBackOut(Out):
    """Notes that a client got back."""

    client_id: int
    client: str
    pool_id: int
    pool: str
    device_id: str | None
    amount: Amount
    currency: str
    balance_before: Amount
    balance_after: Amount

    @classmethod
    def of(cls, move: Movement) -> GivenBackOut:
        assert move.client_id is not None and move.client is not None
        assert move.client_before_minor is not None and move.client_after_minor is not None
        currency = move.pool.currency
        return cls.from_view(
            move,
            pool_id=move.pool.pool_id,
            pool=move.pool.name,
            amount=fiat(move.amount_minor, currency),
            currency=currency,
            balance_before=fiat(move.client_before_minor, currency),
            balance_after=fiat(move.client_after_minor, currency),
        )


class DepositsOut(Out):
    """A page of deposits, the newest first."""

    deposits: list[DepositOut]
    next: Next


router = APIRouter(prefix="/deposits", tags=["deposits"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="List deposits")
async def list_deposits(
    request: Request,
    client: Annotated[str | None, Query(max_length=200, description="By number or name.")] = None,
    state: State | None = None,
    pool: Annotated[str | None, Query(max_length=200, description="By number or name.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = PAGE,
    after: After = None,
) -> DepositsOut:
    """The newest first."""
    found = await deposits.list_all(
        desk_of(request).db,
        client=client,
        state=state,
        pool=pool,
        since=since,
        until=until,
        limit=limit + 1,
        after=after,
    )
    page = cut(found, limit, lambda one: one.deposit_id)
    return DepositsOut(deposits=[DepositOut.of(one) for one in page.items], next=page.next)


@router.get("/{deposit_id}", summary="Show a deposit")
async def show_deposit(request: Request, deposit_id: RowId) -> DepositOut:
    """One deposit."""
    return DepositOut.of(await deposits.show(desk_of(request).db, deposit_id))
