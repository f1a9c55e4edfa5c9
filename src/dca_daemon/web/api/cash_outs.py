"""`/api/v1/cash-outs`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.rights import Scope
from dca_daemon.services import cash_outs
from dca_daemon.services.cash_out_data import summary_dict, whole_dict
from dca_daemon.services.cash_outs import CashOutSummary, CashOutView
from dca_daemon.services.decisions import Several
from dca_daemon.web.api.values import Amount, Next, Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, RowId, Since, Until, cut
from dca_daemon.web.rights import scoped


class CashOutOut(Out):
    """What a machine paid out. `sats` and `fiat` as the source has them: text where a bad row has no number."""

    id: int
    source: str
    external_id: str
    happened_at: datetime
    device_id: str
    machine_name: str | None
    crypto_code: str
    sats: int | str
    fiat: str
    currency: str
    state: CashOutState
    reason: str
    reason_text: str
    clients: int | None
    client_sats: int | None
    settled_sats: int | None
    settles_id: int | None = Field(description="Which cash-out this entry by hand settles.")
    settled_by_id: int | None = Field(description="Which entry by hand has settled it.")

    @classmethod
    def of(cls, summary: CashOutSummary) -> CashOutOut:
        return cls.model_validate(summary_dict(summary))


class CashOutEntryOut(CashOutOut):
    """The same, with who entered it and why, where it was entered by hand."""

    entered_by: str | None
    entry_reason: str | None
    duplicates: int


class SplitOut(Out):
    """How a cash-out was split: every sat and every minor unit of it."""

    method: str
    charge: str
    currency: str
    total_sats: int
    principal_sats: int
    commission_sats: int
    commission_shared_sats: int
    commission_version_id: int | None
    clients_sats: int
    uncovered_sats: int
    house_sats: int
    fiat: Amount
    charge_fiat: Amount
    clients_fiat: Amount
    uncovered_fiat: Amount
    house_fiat: Amount
    fiat_per_btc: str | None


class ClientShareOut(Out):
    """A client's share of the principal."""

    client_id: int
    client: str
    balance_before: Amount
    sats: int
    fiat: Amount
    fiat_per_btc: str | None
    state: str
    payout_id: str | None
    payout_state: str | None


class CommissionPartOut(Out):
    """A receiver's share of the commission."""

    client_id: int
    receiver: str
    percent: str
    sats: int
    state: str
    payout_id: str | None
    payout_state: str | None


class CashOutWholeOut(Out):
    """A cash-out, whole: the source's row, the split in force with its sentences, the shares, and the log."""

    cash_out: CashOutEntryOut
    source_row: dict[str, Any]
    split: SplitOut | None
    shares: list[ClientShareOut]
    commission: list[CommissionPartOut]
    explanation: list[str]
    log: list[dict[str, Any]]

    @classmethod
    def of(cls, view: CashOutView) -> CashOutWholeOut:
        data = whole_dict(view)
        data["source_row"] = {name: _plain(value) for name, value in data["source_row"].items()}
        return cls.model_validate(data)


def _plain(value: object) -> object:
    """A number of the source as text: a bad row's may be none."""
    return value if value is None or isinstance(value, (bool, int, str, datetime)) else str(value)


class CashOutsOut(Out):
    """A page of cash-outs, the newest first."""

    cash_outs: list[CashOutOut]
    next: Next


class NotDistributedOut(Out):
    """A cash-out that could not be, and why."""

    cash_out_id: int
    text: str


class SeveralOut(Out):
    """What came of distributing several."""

    distributed: int
    refused: list[NotDistributedOut]

    @classmethod
    def of(cls, done: Several) -> SeveralOut:
        refused = [NotDistributedOut(cash_out_id=number, text=text) for number, text in done.refused]
        return cls(distributed=done.distributed, refused=refused)


router = APIRouter(prefix="/cash-outs", tags=["cash-outs"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="List cash-outs")
async def list_cash_outs(
    request: Request,
    state: Annotated[list[CashOutState] | None, Query(description="May be repeated.")] = None,
    machine: Annotated[str | None, Query(max_length=200, description="By name or device id.")] = None,
    coin: Annotated[str | None, Query(max_length=20)] = None,
    text: Annotated[str | None, Query(max_length=200, description="The beginning of Lamassu's id.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = PAGE,
    after: After = None,
) -> CashOutsOut:
    """All, successful or not, the newest first."""
    found = await cash_outs.list_all(
        desk_of(request).db,
        states=[str(one) for one in state or ()],
        device=machine,
        coin=coin,
        text=text,
        since=since,
        until=until,
        limit=limit + 1,
        after=after,
    )
    page = cut(found, limit, lambda one: one.cash_out_id)
    return CashOutsOut(cash_outs=[CashOutOut.of(one) for one in page.items], next=page.next)


@router.get("/{cash_out_id}", summary="Show a cash-out")
async def show_cash_out(request: Request, cash_out_id: RowId) -> CashOutWholeOut:
    """One, explained to the last sat."""
    return CashOutWholeOut.of(await cash_outs.show(desk_of(request).db, str(cash_out_id)))
