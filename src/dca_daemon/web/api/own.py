"""`/api/v1/me`: a client's own account, for a program with the client's own token."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import StreamingResponse

from dca_daemon.domain.rights import Scope
from dca_daemon.services import client_account, client_series, deposits
from dca_daemon.services.client_account import ClientAccount, Purchase, Worth
from dca_daemon.services.client_changes import Switched
from dca_daemon.services.clients import Mode, PoolBalance, Status
from dca_daemon.services.deposits import DepositView
from dca_daemon.services.fixed_amounts import FixedAmount, FixedTerms
from dca_daemon.services.reports import statement
from dca_daemon.services.reports.clients import ClientSums
from dca_daemon.web.api.clients import SeriesOut
from dca_daemon.web.api.values import Amount, Next, Out, fiat
from dca_daemon.web.desk import Desk, desk_of
from dca_daemon.web.listing import PAGE, Limit, Since, Until, cut
from dca_daemon.web.market import MarketRates
from dca_daemon.web.own_lists import Cursor, opened, sealed
from dca_daemon.web.rights import Caller, scoped

DEPOSITS, PURCHASES = "deposits", "purchases"


class OwnBalanceOut(Out):
    """What the client has in one pool."""

    pool: str
    currency: str
    left: Amount
    pending: Amount = Field(description="Handed over, and not confirmed yet.")

    @classmethod
    def of(cls, one: PoolBalance) -> OwnBalanceOut:
        left, pending = (fiat(minor, one.currency) for minor in (one.balance_minor, one.pending_minor))
        return cls(pool=one.pool, currency=one.currency, left=left, pending=pending)


class WorthOut(Out):
    """What was bought for one currency is worth now."""

    fiat_per_btc: str = Field(examples=["812345.67"])
    rate_at: datetime = Field(description="When that was the price, to the hour.")
    value: Amount
    gain: Amount = Field(description="The value less what was paid; negative: a loss.")
    gain_percent: str | None = Field(description="To two digits.", examples=["12.34"])

    @classmethod
    def of(cls, found: Worth, currency: str) -> WorthOut:
        percent = found.gain_percent
        return cls(
            fiat_per_btc=format(found.rate.fiat_per_btc.normalize(), "f"),
            rate_at=found.rate_at,
            value=fiat(found.value_minor, currency),
            gain=fiat(found.gain_minor, currency),
            gain_percent=None if percent is None else str(percent),
        )


class OwnCurrencyOut(Out):
    """All that was handed over in one currency, and what became of it: deposited + corrected - given_back - spent
    = left."""

    currency: str
    left: Amount
    pending: Amount
    deposited: Amount
    given_back: Amount
    corrected: Amount = Field(description="By the operator, with its sign.")
    spent: Amount = Field(description="Bitcoin was bought for it.")
    bought_sats: int
    purchases: int
    average_fiat_per_btc: str | None = Field(description="null: nothing was bought yet.", examples=["798123.45"])
    worth: WorthOut | None = Field(description="null: no rate is known at present.")

    @classmethod
    def of(cls, report: ClientSums, found: Worth | None) -> OwnCurrencyOut:
        code, price = report.currency, client_account.average_price(report)
        return cls(
            currency=code,
            left=fiat(report.left_minor, code),
            pending=fiat(report.pending_minor, code),
            deposited=fiat(report.deposited_minor, code),
            given_back=fiat(report.given_back_minor, code),
            corrected=fiat(report.adjusted_minor, code),
            spent=fiat(report.converted_minor, code),
            bought_sats=report.bought_sats,
            purchases=report.purchases,
            average_fiat_per_btc=None if price is None else format(price, "f"),
            worth=None if found is None else WorthOut.of(found, code),
        )


class OwnFixedOut(Out):
    """Fixed Mode in one pool; it counts while the client is in that mode."""

    pool: str
    currency: str
    per_day: Amount | None = Field(description="null: none was ever set; nothing is bought.")
    max_per_day: Amount
    times: list[str] = Field(description="Of the day, in `zone`; none: nothing is run.", examples=[["08:00"]])
    zone: str | None = Field(examples=["America/Guatemala"])

    @classmethod
    def of(cls, terms: FixedTerms) -> OwnFixedOut:
        code = terms.pool.currency
        return cls(
            pool=terms.pool.name,
            currency=code,
            per_day=None if terms.daily_minor is None else fiat(terms.daily_minor, code),
            max_per_day=fiat(terms.max_minor, code),
            times=list(terms.times),
            zone=terms.zone,
        )


class OwnModeOut(Out):
    """How the client buys from now on."""

    mode: Mode
    fixed: list[OwnFixedOut]

    @classmethod
    def of(cls, done: Switched) -> OwnModeOut:
        return cls(mode=done.mode, fixed=[OwnFixedOut.of(one) for one in done.fixed])


class OwnAmountOut(Out):
    """What the client buys a day in Fixed Mode from now on."""

    pool: str
    currency: str
    per_day: Amount
    max_per_day: Amount

    @classmethod
    def of(cls, done: FixedAmount) -> OwnAmountOut:
        code = done.pool.currency
        per_day, most = fiat(done.daily_minor, code), fiat(done.max_minor, code)
        return cls(pool=done.pool.name, currency=code, per_day=per_day, max_per_day=most)


class OwnAccountOut(Out):
    """A client's own account. stacked_sats: all that it has got or is to get, corrections too."""

    name: str
    mode: Mode
    status: Status
    paid_to: str
    stacked_sats: int
    owed_sats: int
    in_payout_sats: int
    settled_sats: int
    corrected_sats: int = Field(description="By the operator, with its sign.")
    paid_ahead_sats: int = Field(description="Received already: used up by what is bought next.")
    commission_sats: int = Field(description="Of the operator's commission, besides what is stacked.")
    balances: list[OwnBalanceOut]
    currencies: list[OwnCurrencyOut]
    fixed: list[OwnFixedOut]
    may_switch_mode: bool
    may_change_amount: bool


class OwnPurchaseOut(Out):
    """What the client got when its cash went out; its price is the exact pair of `sats` and `fiat`."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "happened_at": "2026-11-25T15:00:00+00:00",
                    "booked_at": "2026-11-25T15:00:02.123456+00:00",
                    "type": "flow",
                    "kind": "cash-out",
                    "sats": 121054,
                    "fiat": "945.00",
                    "currency": "GTQ",
                    "state": "settled",
                    "reversed_at": None,
                    "payout_id": "7b9f0c5e-6a51-4a55-9d0b-0f4f0c1f7a3e",
                    "paid_at": "2026-11-25T15:00:09+00:00",
                }
            ]
        },
    )
    happened_at: datetime = Field(description="When the cash went out, or the run was made.")
    booked_at: datetime
    type: str
    kind: str
    sats: int
    fiat: Amount
    currency: str
    state: str = Field(description="owed, in-payout, settled, nothing (0 sats), gathered; reversed: taken back.")
    reversed_at: datetime | None
    payout_id: str | None = Field(description="As the payment bears it in LNbits.")
    paid_at: datetime | None

    @classmethod
    def of(cls, one: Purchase) -> OwnPurchaseOut:
        return cls.from_view(one, fiat=fiat(one.fiat_minor, one.currency))


class PurchasesOut(Out):
    """A page of purchases, the newest first."""

    purchases: list[OwnPurchaseOut]
    next: Next


class OwnDepositOut(Out):
    """Notes that the client handed over; they count once they are confirmed."""

    pool: str
    amount: Amount
    currency: str
    state: Literal["pending", "confirmed", "void"]
    recorded_at: datetime
    confirmed_at: datetime | None
    voided_at: datetime | None

    @classmethod
    def of(cls, one: DepositView) -> OwnDepositOut:
        return cls.from_view(one, amount=fiat(one.amount_minor, one.currency))


class OwnDepositsOut(Out):
    """A page of deposits, the newest first."""

    deposits: list[OwnDepositOut]
    next: Next


router = APIRouter(prefix="/me", tags=["me"])
Own = Annotated[Caller, Depends(scoped(Scope.CLIENT))]


@router.get("", summary="Show the own account")
async def show_account(request: Request, caller: Own) -> OwnAccountOut:
    """Fiat left, sats stacked, what they are worth, and what may be changed."""
    desk = desk_of(request)
    account = await client_account.of(desk.db, whose(caller))
    worth = await worth_now(desk, account)
    sats = account.sats
    return OwnAccountOut(
        name=account.name,
        mode=account.mode,
        status=account.status,
        paid_to=account.paid_to,
        stacked_sats=account.stacked_sats,
        owed_sats=sats.owed_sats,
        in_payout_sats=sats.in_payout_sats,
        settled_sats=sats.settled_sats,
        corrected_sats=account.corrected_sats,
        paid_ahead_sats=sats.credit_sats,
        commission_sats=account.commission_sats,
        balances=[OwnBalanceOut.of(one) for one in account.balances],
        currencies=[OwnCurrencyOut.of(one, worth[one.currency]) for one in account.currencies],
        fixed=[OwnFixedOut.of(one) for one in account.fixed],
        may_switch_mode=account.permissions.may_switch_mode,
        may_change_amount=account.permissions.may_change_amount,
    )


@router.get("/purchases", summary="List the own purchases")
async def list_purchases(request: Request, caller: Own, limit: Limit = PAGE, after: Cursor = None) -> PurchasesOut:
    """The newest first, with the state of each one's payment; those that were taken back too."""
    desk, client_id = desk_of(request), whose(caller)
    place = opened(desk.keys, PURCHASES, client_id, after)
    found = await client_account.purchases(desk.db, client_id, limit=limit + 1, after=place)
    seal = sealed(desk.keys, PURCHASES, client_id)
    page = cut(found, limit, lambda one: seal(one.record_id))
    return PurchasesOut(purchases=[OwnPurchaseOut.of(one) for one in page.items], next=page.next)


@router.get("/deposits", summary="List the own deposits")
async def list_deposits(
    request: Request, caller: Own, limit: Limit = PAGE, after: Cursor = None
) -> OwnDepositsOut:
    """The newest first."""
    desk, client_id = desk_of(request), whose(caller)
    place = opened(desk.keys, DEPOSITS, client_id, after)
    found = await deposits.list_all(desk.db, client=str(client_id), limit=limit + 1, after=place)
    seal = sealed(desk.keys, DEPOSITS, client_id)
    page = cut(found, limit, lambda one: seal(one.deposit_id))
    return OwnDepositsOut(deposits=[OwnDepositOut.of(one) for one in page.items], next=page.next)


@router.get("/series", summary="Show the own purchases over time")
async def show_series(
    request: Request,
    caller: Own,
    points: Annotated[int, Query(ge=1, le=1000, description="About so many at most.")] = client_series.POINTS_MAX,
) -> SeriesOut:
    """Sats stacked, and the price paid."""
    return SeriesOut.of(await client_series.series(desk_of(request).db, str(whose(caller)), points=points))


@router.get("/statement.csv", summary="Download the own statement", response_class=StreamingResponse)
async def download_statement(
    request: Request, caller: Own, since: Since = None, until: Until = None
) -> StreamingResponse:
    """Every purchase as a line of CSV, the newest first."""
    return own_statement(desk_of(request), whose(caller), since, until)


def own_statement(
    desk: Desk, client_id: int, since: datetime | None = None, until: datetime | None = None
) -> StreamingResponse:
    """The statement as a download, written as it is read."""
    lines = statement.csv_lines(desk.db, str(client_id), since=since, until=until, columns=statement.OWN_COLUMNS)
    headers = {"Content-Disposition": 'attachment; filename="statement.csv"'}
    return StreamingResponse(lines, media_type="text/csv", headers=headers)


async def worth_now(desk: Desk, account: ClientAccount) -> dict[str, Worth | None]:
    """By currency; None where no rate is known."""
    rates = MarketRates(desk)
    found = {one.currency: await rates.known(one.currency) for one in account.currencies}
    return {
        one.currency: None if (rate := found[one.currency]) is None else client_account.worth(one, rate)
        for one in account.currencies
    }


def whose(caller: Caller) -> int:
    """The client whose own token it is: the scope stands for no other."""
    assert caller.client_id is not None
    return caller.client_id
