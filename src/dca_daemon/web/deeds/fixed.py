"""What can be done with Fixed Mode."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dca_daemon.domain.errors import ConflictError, InputError, NoRateError
from dca_daemon.domain.fixed import Missed, Rate
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import fixed_amounts, fixed_runs, fixed_schedules, fixed_status
from dca_daemon.services.fixed_amounts import FixedAmount
from dca_daemon.services.fixed_runs import Run
from dca_daemon.services.fixed_schedules import Schedule
from dca_daemon.services.rates import utc_now
from dca_daemon.web.actions import Action, Call, Facts, Standing
from dca_daemon.web.api.fixed import FixedAmountOut, RunOut, ScheduleOut
from dca_daemon.web.market import MarketRates
from dca_daemon.web.wishes import ClientRef, PoolRef, Reason, Text, Wish, like

MaxPerDay = Annotated[
    Text, Field(title="Most a day", description="For each client without a maximum of its own, such as 2000.")
]


class SetSchedule(Wish):
    """When a pool's clients buy; what is not given stays as it was."""

    model_config = like({"times": "08:00, 18:00", "zone": "America/Guatemala", "max_per_day": "2000"})

    pool: PoolRef | None = None
    zone: Annotated[Text | None, Field(title="Zone", description="IANA name.", examples=["America/Guatemala"])] = (
        None
    )
    times: Annotated[
        Text | None,
        Field(
            title="Times", description="Local times of the day, such as 08:00, 18:00.", examples=["08:00, 18:00"]
        ),
    ] = None
    missed: Annotated[
        Missed | None,
        Field(
            title="A time that was missed",
            description="catch-up: run until the end of the next day; skip: not run when it is 15 min late.",
        ),
    ] = None
    max_per_day: MaxPerDay | None = None
    reason: Reason | None = None


class StopSchedule(Wish):
    """Nothing is run any more."""

    model_config = like({"reason": "the machine is on its way"})

    pool: PoolRef | None = None
    reason: Reason | None = None


class SetAmount(Wish):
    """What a client buys for a day, or its maximum."""

    model_config = like({"client": "Ana", "per_day": "250"})

    client: ClientRef
    per_day: Annotated[
        Text | None, Field(title="A day", description="What it buys for a day; 0: nothing.", examples=["250"])
    ] = None
    own_max: Annotated[
        Text | None, Field(title="Maximum of its own", description="In place of the pool's.", examples=["3000"])
    ] = None
    default_max: Annotated[bool, Field(title="No maximum of its own any more: the pool's counts")] = False
    pool: PoolRef | None = None
    reason: Reason | None = None


class RunByHand(Wish):
    """The earliest time of today that has not been run."""

    model_config = like({"reason": "the daemon was down"})

    pool: PoolRef | None = None
    time: Annotated[
        Text | None,
        Field(
            title="Time",
            description="A check, such as 2026-11-25 08:00: refused unless it is this one's turn.",
            examples=["2026-11-25 08:00"],
        ),
    ] = None
    reason: Reason | None = None


async def _set(call: Call, wish: SetSchedule) -> Schedule:
    return await fixed_schedules.change(
        call.db,
        zone=wish.zone,
        times=None if wish.times is None else [text.strip() for text in wish.times.split(",")],
        missed=wish.missed,
        max_per_day=wish.max_per_day,
        pool_reference=wish.pool,
        reason=wish.reason,
        actor=call.actor,
        at=utc_now(),
    )


async def _stop(call: Call, wish: StopSchedule) -> Schedule:
    return await fixed_schedules.stop(
        call.db, pool_reference=wish.pool, reason=wish.reason, actor=call.actor, at=utc_now()
    )


async def _set_amount(call: Call, wish: SetAmount) -> FixedAmount:
    if wish.per_day is None and wish.own_max is None and not wish.default_max:
        raise InputError("say what to change: the amount a day, or the maximum", field="per_day")
    if wish.own_max is not None and wish.default_max:
        raise InputError("a maximum of its own, and none, contradict each other", field="own_max")
    return await fixed_amounts.change(
        call.db,
        wish.client,
        per_day=wish.per_day,
        own_max=wish.own_max,
        default_max=wish.default_max,
        pool_reference=wish.pool,
        reason=wish.reason,
        actor=call.actor,
    )


async def _ask_rate(call: Call, wish: RunByHand) -> Rate | NoRateError:
    """That there is none is told only where a run is really to be made: a repeated request needs no rate."""
    pool, _ = await fixed_schedules.show(call.db, wish.pool)
    return await MarketRates(call.desk).found(pool.currency)


async def _run(call: Call, wish: RunByHand) -> Run:
    slot = await fixed_status.slot_by_hand(call.db, utc_now(), pool_reference=wish.pool)
    if wish.time is not None and wish.time != str(slot.slot):
        raise ConflictError(f"the turn is that of {slot.slot}", remedy="look again", field="time")
    if isinstance(call.prepared, NoRateError):
        raise call.prepared
    done = await fixed_runs.run(call.db, slot, call.prepared, actor=call.actor, reason=wish.reason)
    return fixed_runs.refuse_not_free(done)


def _schedule_facts(schedule: Schedule) -> Facts:
    upcoming = schedule.times.next_after(utc_now(), 3) if schedule.active else []
    return [
        ("Pool", schedule.pool.name),
        ("State", "active" if schedule.active else "stopped: nothing is run"),
        ("Times", f"{', '.join(schedule.times.times)} in {schedule.times.zone}"),
        ("Missed times", schedule.missed),
        ("Most a day", fiat_text(schedule.default_max_minor, schedule.pool.currency)),
        *(("Next", Standing(f"{slot} there")) for slot in upcoming),
    ]


def _amount_facts(amount: FixedAmount) -> Facts:
    currency = amount.pool.currency
    facts = [
        ("Client", amount.client),
        ("Pool", amount.pool.name),
        ("Buys a day for", fiat_text(amount.daily_minor, currency)),
        ("At most", fiat_text(amount.max_minor, currency)),
        ("Balance", Standing(fiat_text(amount.balance_minor, currency))),
    ]
    if amount.mode != "fixed":
        facts.append(("Note", f"{amount.client} is in {amount.mode} mode: this counts once it is set to fixed."))
    return facts


def _run_facts(done: Run) -> Facts:
    pool = done.slot.newest.pool
    return [
        ("Pool", pool.name),
        ("Time", f"{done.slot.slot}, {done.slot.slot.number} of {done.slot.slot.count} that day"),
        ("Rate", f"{done.rate.fiat_per_btc:,.2f} {pool.currency} per BTC, by {done.rate.source}"),
        ("Clients that buy", str(len(done.shares))),
        ("For", fiat_text(done.minor, pool.currency)),
        ("They get", sats_text(done.sats)),
    ]


def _pool_page(pool_id: int) -> str:
    return f"/fixed?pool={pool_id}"


ACTIONS = (
    Action(
        name="fixed.set",
        title="Set the schedule",
        path="/fixed/set",
        api_path="/fixed/schedule",
        wish=SetSchedule,
        role=Role.OPERATOR,
        scope=Scope.FIXED,
        explanation="Set when a pool's clients buy, and start it. What is left empty stays as it was. It counts "
        "from now on: a time that has passed already today is not run.",
        work=_set,
        facts=_schedule_facts,
        leads_to=lambda schedule: _pool_page(schedule.pool.pool_id),
        said=lambda schedule: f"The schedule of {schedule.pool.name} is in force.",
        answer=ScheduleOut.of,
        answer_model=ScheduleOut,
    ),
    Action(
        name="fixed.off",
        title="Stop the schedule",
        path="/fixed/stop",
        wish=StopSchedule,
        role=Role.OPERATOR,
        scope=Scope.FIXED,
        explanation="Nothing is run any more. Amounts and history stay; setting the schedule starts it again.",
        work=_stop,
        facts=_schedule_facts,
        leads_to=lambda schedule: _pool_page(schedule.pool.pool_id),
        said=lambda schedule: f"The schedule of {schedule.pool.name} is stopped: nothing is run any more.",
        answer=ScheduleOut.of,
        answer_model=ScheduleOut,
    ),
    Action(
        name="fixed.set-amount",
        title="Set a client's amount a day",
        path="/fixed/amount",
        api_path="/fixed/amounts",
        wish=SetAmount,
        role=Role.OPERATOR,
        scope=Scope.FIXED,
        explanation="What a client buys for a day, shared among the times of that day; or its maximum.",
        work=_set_amount,
        facts=_amount_facts,
        leads_to=lambda amount: _pool_page(amount.pool.pool_id),
        said=lambda amount: (
            f"{amount.client} buys for {fiat_text(amount.daily_minor, amount.pool.currency)} a day."
        ),
        answer=FixedAmountOut.of,
        answer_model=FixedAmountOut,
    ),
    Action(
        name="fixed.run",
        title="Run now",
        path="/fixed/run",
        api_path="/fixed/runs",
        api_status=201,
        wish=RunByHand,
        role=Role.OPERATOR,
        scope=Scope.FIXED,
        explanation="Run the earliest time of today that has not been run, whether it has come or not. The daemon "
        "then does not run it again.",
        prepare=_ask_rate,
        work=_run,
        facts=_run_facts,
        leads_to=lambda done: _pool_page(done.slot.newest.pool.pool_id),
        said=lambda done: (
            f"Run {done.run_id}: {len(done.shares)} clients bought {sats_text(done.sats)}. The daemon pays them."
        ),
        answer=RunOut.of,
        answer_model=RunOut,
    ),
)
