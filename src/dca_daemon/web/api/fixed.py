"""`/api/v1/fixed`."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from dca_daemon.domain.fixed import Missed, Rate, RateSource, RunState
from dca_daemon.domain.rights import Scope
from dca_daemon.domain.schedule import Slot
from dca_daemon.services import fixed_amounts, fixed_schedules, fixed_status
from dca_daemon.services.fixed_amounts import FixedAmount
from dca_daemon.services.fixed_runs import Run
from dca_daemon.services.fixed_schedules import Schedule
from dca_daemon.services.fixed_status import PastRun, Preview, Purchase
from dca_daemon.services.rates import utc_now
from dca_daemon.web.api.machines import PoolOut
from dca_daemon.web.api.values import Amount, Next, Out, fiat
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, cut
from dca_daemon.web.market import MarketRates
from dca_daemon.web.rights import scoped

UPCOMING = 5
PoolQuery = Annotated[
    str | None, Query(max_length=200, description="By number or name; without it the default pool.")
]


class SlotOut(Out):
    """One time on one date: `number` of `count` on that date."""

    date: date
    time: str
    due_at: datetime
    number: int
    count: int

    @classmethod
    def of(cls, slot: Slot) -> SlotOut:
        return cls.from_view(slot, date=slot.local_date, time=slot.local_time)


class ScheduleOut(Out):
    """When a pool's clients buy, and the next times."""

    pool: PoolOut
    active: bool
    zone: str
    times: list[str]
    missed: Missed
    max_per_day: Amount
    since: datetime
    actor: str
    upcoming: list[SlotOut]

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleOut:
        upcoming = schedule.times.next_after(utc_now(), UPCOMING) if schedule.active else []
        return cls.from_view(
            schedule,
            pool=PoolOut.of(schedule.pool),
            zone=schedule.times.zone,
            times=list(schedule.times.times),
            max_per_day=fiat(schedule.default_max_minor, schedule.pool.currency),
            upcoming=[SlotOut.of(slot) for slot in upcoming],
        )


class FixedAmountOut(Out):
    """What a client buys for a day."""

    client_id: int
    client: str
    mode: str
    status: str
    pool: PoolOut
    per_day: Amount
    own_max: Amount | None
    max_per_day: Amount
    balance: Amount

    @classmethod
    def of(cls, amount: FixedAmount) -> FixedAmountOut:
        currency, own = amount.pool.currency, amount.own_max_minor
        return cls.from_view(
            amount,
            pool=PoolOut.of(amount.pool),
            per_day=fiat(amount.daily_minor, currency),
            own_max=None if own is None else fiat(own, currency),
            max_per_day=fiat(amount.max_minor, currency),
            balance=fiat(amount.balance_minor, currency),
        )


class FixedOut(Out):
    """A pool's Fixed Mode. `without_amount`: active clients of the mode that buy nothing for want of an amount."""

    pool: PoolOut
    schedule: ScheduleOut | None
    clients: list[FixedAmountOut]
    without_amount: list[str]


class RateOut(Out):
    """What a bitcoin costs, and who said so."""

    fiat_per_btc: str
    source: RateSource
    at: datetime

    @classmethod
    def of(cls, rate: Rate) -> RateOut:
        return cls.from_view(rate, fiat_per_btc=_price(rate.fiat_per_btc))


class PurchaseOut(Out):
    """What a client would buy; `sats` is null without a rate."""

    client_id: int
    client: str
    amount: Amount
    sats: int | None
    balance: Amount
    bought_that_day: Amount

    @classmethod
    def of(cls, one: Purchase, currency: str) -> PurchaseOut:
        return cls.from_view(
            one,
            amount=fiat(one.amount_minor, currency),
            balance=fiat(one.balance_minor, currency),
            bought_that_day=fiat(one.bought_minor, currency),
        )


class FixedPreviewOut(Out):
    """What the next run would buy at the rate of now; without one, `no_rate` says why."""

    pool: PoolOut
    slot: SlotOut
    rate: RateOut | None
    no_rate: str | None
    purchases: list[PurchaseOut]
    upcoming: list[SlotOut]

    @classmethod
    def of(cls, found: Preview) -> FixedPreviewOut:
        pool = found.schedule.pool
        return cls(
            pool=PoolOut.of(pool),
            slot=SlotOut.of(found.slot.slot),
            rate=None if found.rate is None else RateOut.of(found.rate),
            no_rate=None if found.no_rate is None else found.no_rate.message,
            purchases=[PurchaseOut.of(one, pool.currency) for one in found.purchases],
            upcoming=[SlotOut.of(slot) for slot in found.upcoming],
        )


class RunRecordOut(Out):
    """What one client bought."""

    client_id: int
    amount: Amount
    sats: int


class RunOut(Out):
    """A run that was made."""

    id: int
    pool: PoolOut
    slot: SlotOut
    state: RunState
    rate: RateOut
    amount: Amount
    sats: int
    records: list[RunRecordOut]

    @classmethod
    def of(cls, done: Run) -> RunOut:
        pool = done.slot.newest.pool
        return cls(
            id=done.run_id,
            pool=PoolOut.of(pool),
            slot=SlotOut.of(done.slot.slot),
            state=done.state,
            rate=RateOut.of(done.rate),
            amount=fiat(done.minor, pool.currency),
            sats=done.sats,
            records=[
                RunRecordOut(client_id=s.client_id, amount=fiat(s.fiat_minor, pool.currency), sats=s.sats)
                for s in done.shares
            ],
        )


class PastRunOut(Out):
    """A time that was run or skipped."""

    id: int
    pool: PoolOut
    date: date
    time: str
    zone: str
    due_at: datetime
    at: datetime
    state: str
    reason: str | None
    actor: str
    clients: int
    amount: Amount
    sats: int
    fiat_per_btc: str | None
    rate_source: str | None
    rate_at: datetime | None
    reversed_at: datetime | None

    @classmethod
    def of(cls, run: PastRun) -> PastRunOut:
        return cls.from_view(
            run,
            id=run.run_id,
            pool=PoolOut.of(run.pool),
            date=run.local_date,
            time=run.local_time,
            amount=fiat(run.minor, run.pool.currency),
            fiat_per_btc=None if run.rate_fiat is None else _price(run.rate_fiat),
        )


class RunsOut(Out):
    """A page of runs, the latest first."""

    runs: list[PastRunOut]
    next: Next


def _price(price: Decimal) -> str:
    return format(price.normalize(), "f")


router = APIRouter(prefix="/fixed", tags=["fixed"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="Show a pool's Fixed Mode")
async def show_fixed(request: Request, pool: PoolQuery = None) -> FixedOut:
    """The schedule, and what each client buys a day."""
    db = desk_of(request).db
    where, schedule = await fixed_schedules.show(db, pool)
    return FixedOut(
        pool=PoolOut.of(where),
        schedule=None if schedule is None else ScheduleOut.of(schedule),
        clients=[FixedAmountOut.of(one) for one in await fixed_amounts.of_pool(db, pool)],
        without_amount=await fixed_amounts.without_amount(db, pool),
    )


@router.get("/preview", summary="Preview the next run")
async def preview_fixed(request: Request, pool: PoolQuery = None) -> FixedPreviewOut:
    """At the rate of now, which is kept for two minutes. Nothing is changed."""
    desk = desk_of(request)
    rates = MarketRates(desk)
    return FixedPreviewOut.of(
        await fixed_status.preview(desk.db, rates, utc_now(), by_hand=False, pool_reference=pool)
    )


@router.get("/runs", summary="List the runs")
async def list_runs(
    request: Request,
    pool: Annotated[str | None, Query(max_length=200, description="By number or name; without it all.")] = None,
    limit: Limit = PAGE,
    after: After = None,
) -> RunsOut:
    """What was run or skipped, the latest first."""
    found = await fixed_status.history(desk_of(request).db, pool_reference=pool, limit=limit + 1, after=after)
    page = cut(found, limit, lambda one: one.run_id)
    return RunsOut(runs=[PastRunOut.of(one) for one in page.items], next=page.next)
