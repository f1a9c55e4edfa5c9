"""`dca-daemon fixed`: clients that buy for a set amount a day, at set times."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from dca_daemon.cli import fixed_views as views
from dca_daemon.cli.context import actor, confirm, load, usage_error, with_books
from dca_daemon.cli.output import AsJson, Limit, Yes, note, print_json, say, when
from dca_daemon.domain.money import fiat_text, sats_text

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.runtime.settings import Settings
    from dca_daemon.services.fixed_amounts import FixedAmount
    from dca_daemon.services.fixed_runs import Run
    from dca_daemon.services.fixed_schedules import Schedule
    from dca_daemon.services.fixed_status import Preview
    from dca_daemon.services.rates import Rates

T = TypeVar("T")
app = typer.Typer(
    name="fixed", no_args_is_help=True, help="Fixed Mode: clients that buy for a set amount a day, at set times."
)

PoolOption = Annotated[
    str | None, typer.Option("--pool", metavar="POOL", help="The pool's id or name; without it the default pool.")
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")]


def _with_rates(settings: Settings, work: Callable[[Database, Rates], Awaitable[T]]) -> T:
    """Runs `work` on the books, with who tells what a bitcoin costs."""
    from dca_daemon.runtime import wiring
    from dca_daemon.services import rates

    async def session(db: Database) -> T:
        feed = wiring.price_feed(settings)
        try:
            return await work(db, rates.Rates(db, feed, wiring.rates_config(settings), now=rates.utc_now))
        finally:
            await feed.close()

    return with_books(settings, session)


@app.command()
def show(pool: PoolOption = None, as_json: AsJson = False) -> None:
    """Show a pool's schedule, its next times, and what each client buys a day."""
    from dca_daemon.services import fixed_amounts, fixed_schedules
    from dca_daemon.services.rates import utc_now

    async def work(db: Database) -> tuple[Any, Schedule | None, list[FixedAmount], list[str]]:
        where, schedule = await fixed_schedules.show(db, pool)
        amounts = await fixed_amounts.of_pool(db, pool)
        return where, schedule, amounts, await fixed_amounts.without_amount(db, pool)

    where, schedule, amounts, without = with_books(load(), work)
    running = schedule is not None and schedule.active
    upcoming = schedule.times.next_after(utc_now(), 3) if schedule is not None and running else []
    if as_json:
        print_json(
            {
                "pool": views.pool_dict(where),
                "schedule": None if schedule is None else views.schedule_dict(schedule),
                "upcoming": [views.slot_dict(slot) for slot in upcoming],
                "clients": [views.amount_dict(amount) for amount in amounts],
                "without_amount": without,
            }
        )
        return
    if schedule is None:
        say(f"The pool {where.name!r} has no schedule yet: dca-daemon fixed set --help")
    else:
        views.show_schedule(schedule, upcoming)
    say()
    views.show_amounts(amounts, without)


@app.command("set")
def set_schedule(
    zone: Annotated[
        str | None, typer.Option("--zone", metavar="ZONE", help="IANA name, such as America/Guatemala.")
    ] = None,
    times: Annotated[
        str | None, typer.Option("--times", metavar="TIMES", help="Local times of the day, such as 08:00,18:00.")
    ] = None,
    missed: Annotated[
        Literal["catch-up", "skip"] | None,
        typer.Option(
            "--missed",
            help="A time that was missed: catch-up until the end of the next day (default), or skip after 15 min.",
        ),
    ] = None,
    max_per_day: Annotated[
        str | None,
        typer.Option(
            "--max-per-day", metavar="AMOUNT", help="The most that a client may buy for a day (default 2000)."
        ),
    ] = None,
    pool: PoolOption = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Set when a pool's clients buy, and start it. What is not given stays as it was.

    It counts from now on: a time that has passed already today is not run. It starts a stopped schedule again.
    """
    from dca_daemon.domain.fixed import Missed
    from dca_daemon.services import fixed_schedules
    from dca_daemon.services.rates import utc_now

    schedule = with_books(
        load(),
        lambda db: fixed_schedules.change(
            db,
            zone=zone,
            times=None if times is None else [text.strip() for text in times.split(",")],
            missed=None if missed is None else Missed(missed),
            max_per_day=max_per_day,
            pool_reference=pool,
            reason=reason,
            actor=actor(),
            at=utc_now(),
        ),
    )
    upcoming = schedule.times.next_after(utc_now(), 3)
    if as_json:
        print_json(
            {"schedule": views.schedule_dict(schedule), "upcoming": [views.slot_dict(slot) for slot in upcoming]}
        )
    else:
        views.show_schedule(schedule, upcoming)


@app.command()
def off(pool: PoolOption = None, reason: Reason = None, as_json: AsJson = False) -> None:
    """Stop a pool's schedule. Amounts and history stay; start it again with `fixed set`."""
    from dca_daemon.services import fixed_schedules
    from dca_daemon.services.rates import utc_now

    schedule = with_books(
        load(),
        lambda db: fixed_schedules.stop(db, pool_reference=pool, reason=reason, actor=actor(), at=utc_now()),
    )
    if as_json:
        print_json({"schedule": views.schedule_dict(schedule)})
    else:
        say(f"The schedule of the pool {schedule.pool.name!r} is stopped: nothing is run any more.")


@app.command()
def client(
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id or name.")],
    per_day: Annotated[
        str | None, typer.Option("--per-day", metavar="AMOUNT", help="What it buys for a day; 0: nothing.")
    ] = None,
    own_max: Annotated[
        str | None, typer.Option("--max", metavar="AMOUNT", help="A maximum of its own, in place of the pool's.")
    ] = None,
    default_max: Annotated[
        bool, typer.Option("--default-max", help="No maximum of its own any more: the pool's counts.")
    ] = False,
    pool: PoolOption = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Set what a client buys for a day, shared among the times of that day; or its maximum."""
    from dca_daemon.services import fixed_amounts

    if per_day is None and own_max is None and not default_max:
        raise usage_error("say what to change: --per-day, --max or --default-max")
    if own_max is not None and default_max:
        raise usage_error("--max and --default-max contradict each other")
    amount = with_books(
        load(),
        lambda db: fixed_amounts.change(
            db,
            client,
            per_day=per_day,
            own_max=own_max,
            default_max=default_max,
            pool_reference=pool,
            reason=reason,
            actor=actor(),
        ),
    )
    if as_json:
        print_json({"amount": views.amount_dict(amount)})
    else:
        daily, most, balance = (
            fiat_text(minor, amount.pool.currency)
            for minor in (amount.daily_minor, amount.max_minor, amount.balance_minor)
        )
        say(f"{amount.client} buys for {daily} a day, at most {most}; its balance is {balance}.")
    if amount.mode != "fixed":
        note(f"note: {amount.client} is in {amount.mode} mode: this counts once it is set to fixed")
        note(f"      dca-daemon client set {amount.client_id} --mode fixed")


@app.command()
def preview(pool: PoolOption = None, as_json: AsJson = False) -> None:
    """Show what the next run would buy at the rate of now, and when the next five are. Nothing is changed."""
    found = _with_rates(load(), lambda db, rates: _preview(db, rates, pool, by_hand=False))
    if as_json:
        print_json({"preview": views.preview_dict(found)})
        return
    views.show_preview(found)
    say()
    for slot in found.upcoming:
        say(f"Next: {slot} there, {when(slot.due_at)}")


async def _preview(db: Database, rates: Rates, pool: str | None, *, by_hand: bool) -> Preview:
    from dca_daemon.services import fixed_status
    from dca_daemon.services.rates import utc_now

    return await fixed_status.preview(db, rates, utc_now(), by_hand=by_hand, pool_reference=pool)


@app.command()
def run(pool: PoolOption = None, yes: Yes = False, reason: Reason = None, as_json: AsJson = False) -> None:
    """Run the earliest time of today that has not been run, whether it has come or not. Asks first.

    The daemon then does not run it again. It is refused when all of today's have been run.
    """
    from dca_daemon.services import fixed_runs
    from dca_daemon.services.rates import utc_now

    settings = load()
    found = _with_rates(settings, lambda db, rates: _preview(db, rates, pool, by_hand=True))
    if found.rate is None:
        assert found.no_rate is not None
        raise found.no_rate
    rate, slot = found.rate, found.slot
    if not as_json:
        views.show_preview(found)
    confirm(f"Run {slot.slot} of the pool {found.schedule.pool.name!r} now?", yes=yes)

    async def work(db: Database) -> Run:
        done = await fixed_runs.run(db, slot, rate, actor=actor(), reason=reason, now=utc_now)
        return fixed_runs.refuse_not_free(done)

    done = with_books(settings, work)
    if as_json:
        print_json({"run": views.run_dict(done)})
    elif done.shares:
        amount = fiat_text(done.minor, found.schedule.pool.currency)
        clients = "1 client" if len(done.shares) == 1 else f"{len(done.shares)} clients"
        say(f"Run {done.run_id}: {clients} bought {sats_text(done.sats)} for {amount}.")
        say("The daemon pays them.")
    else:
        say(f"Run {done.run_id}: nobody had anything to buy for.")


@app.command()
def history(
    pool: Annotated[
        str | None, typer.Option("--pool", metavar="POOL", help="Only this pool's, by id or name.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the times that were run or skipped, the latest first, with the rate of each."""
    from dca_daemon.services import fixed_status

    found = with_books(load(), lambda db: fixed_status.history(db, pool_reference=pool, limit=limit))
    if as_json:
        print_json({"runs": [views.past_dict(run) for run in found]})
    else:
        views.show_past(found)
