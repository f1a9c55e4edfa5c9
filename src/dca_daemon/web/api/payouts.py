"""`/api/v1/payouts`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi import Path as PathValue
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.payout import PayoutState
from dca_daemon.domain.rights import Scope
from dca_daemon.services import clients, payouts
from dca_daemon.services.payout_data import payout_dict, record_dict
from dca_daemon.services.payouts import PayoutView
from dca_daemon.web.api.values import Next, Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, Limit, Since, Until, cut
from dca_daemon.web.rights import scoped

PayoutRef = Annotated[str, PathValue(max_length=36, description="The payout's id.")]
AfterPayout = Annotated[
    str | None, Query(max_length=36, description="Go on after this one: `next` of the page before.")
]


class PayoutOut(Out):
    """One payment to one client. `fee_msat` is set once it is settled."""

    id: str
    client_id: int
    client: str
    destination: str
    amount_sats: int
    credit_sats: int = Field(description="Of its records, what the client had received before.")
    fee_msat: int | None
    state: PayoutState
    held_from: str | None
    reason: str | None
    memo: str
    payment_hash: str | None
    bolt11: str | None
    invoice_expires_at: datetime | None
    submits: int
    failures: int
    last_submit_at: datetime | None
    next_attempt_at: datetime
    created_at: datetime
    adopted_at: datetime | None = Field(description="When a payment that the books had forgotten was taken in.")
    settled_at: datetime | None
    records: int

    @classmethod
    def of(cls, view: PayoutView) -> PayoutOut:
        return cls.model_validate(payout_dict(view))


class PayoutRecordOut(Out):
    """A record that a payout pays; `active`: it is still in this payout."""

    id: int
    type: str
    cash_out_id: int | None
    happened_at: datetime
    sats: int
    fiat: str
    currency: str
    state: str
    active: bool


class PayoutWholeOut(Out):
    """A payout with its records and its log."""

    payout: PayoutOut
    records: list[PayoutRecordOut]
    log: list[dict[str, Any]]

    @classmethod
    def of(
        cls, view: PayoutView, records: list[Mapping[str, Any]], log: list[Mapping[str, Any]]
    ) -> PayoutWholeOut:
        return cls(
            payout=PayoutOut.of(view),
            records=[PayoutRecordOut.model_validate(record_dict(record)) for record in records],
            log=[dict(line) for line in log],
        )


class PayoutsOut(Out):
    """A page of payouts, the newest first."""

    payouts: list[PayoutOut]
    next: Next


router = APIRouter(prefix="/payouts", tags=["payouts"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="List payouts")
async def list_payouts(
    request: Request,
    state: Annotated[list[PayoutState] | None, Query(description="May be repeated.")] = None,
    client: Annotated[str | None, Query(max_length=200, description="By number or name.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = PAGE,
    after: AfterPayout = None,
) -> PayoutsOut:
    """The newest first; made from `since` until before `until`."""
    db = desk_of(request).db
    found = await payouts.list_all(
        db,
        states=[str(one) for one in state or ()],
        client=None if client is None else (await clients.show(db, client)).client_id,
        since=since,
        until=until,
        limit=limit + 1,
        after=after,
    )
    page = cut(found, limit, lambda one: one.payout_id)
    return PayoutsOut(payouts=[PayoutOut.of(one) for one in page.items], next=page.next)


@router.get("/{payout_id}", summary="Show a payout")
async def show_payout(request: Request, payout_id: PayoutRef) -> PayoutWholeOut:
    """One, with its records and its log."""
    return PayoutWholeOut.of(*await payouts.show(desk_of(request).db, payout_id))
