"""What `doctor` looks at in Fixed Mode."""

from __future__ import annotations

from dca_daemon.domain.errors import InputError, NoRateError
from dca_daemon.ledger.db import Database
from dca_daemon.services import fixed_amounts, fixed_schedules
from dca_daemon.services.doctor.findings import Finding, Level, Subject, books_fit, judged
from dca_daemon.services.fixed_schedules import Schedule
from dca_daemon.services.rates import Rates, utc_now


async def check_fixed(subject: Subject) -> list[Finding]:
    """Where Fixed Mode has a schedule: a bitcoin's price can be had, and each of its clients has an amount."""
    if subject.rates is None or not await books_fit(subject):
        return []
    assert subject.books is not None
    return await _look(subject.books, subject.rates)


async def _look(db: Database, rates: Rates) -> list[Finding]:
    """Of each pool whose schedule is active."""
    async with db.transaction() as conn:
        schedules = [s for s in await fixed_schedules.in_force(conn) if s.until is None and s.active]
    found: list[Finding] = []
    for schedule in schedules:
        found += [_schedule(schedule), await _rate(schedule, rates), *await _amounts(db, schedule)]
    return found


def _schedule(schedule: Schedule) -> Finding:
    where = f"pool {schedule.pool.name!r}: {', '.join(schedule.times.times)} in {schedule.times.zone}"
    try:
        (following,) = schedule.times.next_after(utc_now())
    except InputError as error:
        return judged(
            "fixed", "schedule", False, f"{where}: {error.message}", "install the system's time zones (tzdata)"
        )
    return judged("fixed", "schedule", True, f"{where}, next {following.due_at:%Y-%m-%d %H:%M} UTC", "")


async def _rate(schedule: Schedule, rates: Rates) -> Finding:
    currency = schedule.pool.currency
    try:
        rate = await rates.current(currency)
    except NoRateError as error:
        return judged("fixed", "rate", False, error.message, error.remedy or "see docs/fixed-mode.md")
    return judged(
        "fixed", "rate", True, f"a bitcoin costs {rate.fiat_per_btc:,.2f} {currency}, by {rate.source}", ""
    )


async def _amounts(db: Database, schedule: Schedule) -> list[Finding]:
    without = await fixed_amounts.without_amount(db, str(schedule.pool.pool_id))
    if not without:
        return []
    text = f"without an amount a day, and so buying nothing: {', '.join(without)}"
    return [
        judged(
            "fixed", "amounts", False, text, "dca-daemon fixed client CLIENT --per-day AMOUNT", or_else=Level.WARN
        )
    ]
