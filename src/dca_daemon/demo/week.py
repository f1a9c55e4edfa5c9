"""A shop's week, played before the demo opens: the same services as ever, by a clock that is set back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from dca_daemon.demo import week_office, week_plan
from dca_daemon.demo.clock import ShopClock, shop_clock
from dca_daemon.demo.narrator import Narrator
from dca_daemon.demo.shop import Shop
from dca_daemon.demo.stage import BOOKS_ROLE, Stage
from dca_daemon.demo.terms import CURRENCY, ZONE
from dca_daemon.demo.week_plan import Rush
from dca_daemon.domain.money import fiat_text

_OPENS = time(7, 15)  # on the first day
_COMPARED_AT = "03:30"
_UNTIL_NOW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens at its time."""

    at: datetime
    do: Callable[[Shop], Awaitable[object]]


async def play(stage: Stage, narrator: Narrator) -> None:
    """The week until now. At its end the clock is right again, and all is paid that can be."""
    zone = ZoneInfo(ZONE)
    now = datetime.now(zone)
    days = week_plan.days(now, zone)
    opens = datetime.combine(days[0], _OPENS, zone)
    with shop_clock(stage.postgres.dsn("dca"), BOOKS_ROLE, opens) as clock:
        async with Shop(stage, clock) as shop:
            await week_office.open_shop(shop)
            _tell_people(stage, narrator)
            steps = [step for step in _steps(shop, days, zone) if opens < step.at < now - _UNTIL_NOW]
            await _play(shop, clock, narrator, sorted(steps, key=lambda step: step.at))
            await shop.pay()
        await stage.books.close()  # its connections would go on asking for a clock that is gone
    for atm in stage.atms:
        atm.ago = timedelta()


def _tell_people(stage: Stage, narrator: Narrator) -> None:
    for number, person in enumerate(stage.people):
        narrator.line("" if number else "people", person.text)


async def _play(shop: Shop, clock: ShopClock, narrator: Narrator, steps: list[Step]) -> None:
    day: date | None = None
    for step in steps:
        if day is not None and step.at.date() != day:
            _tell_day(shop, narrator, day)
        day = step.at.date()
        clock.set_to(step.at)
        await step.do(shop)
    if day is not None:
        _tell_day(shop, narrator, day)


def _tell_day(shop: Shop, narrator: Narrator, day: date) -> None:
    text = (
        f"{shop.day.cash_outs} cash-outs, {fiat_text(shop.day.fiat_minor, CURRENCY)} for {shop.day.sats:,} sats."
    )
    narrator.line(f"{day:%a} {day.day} {day:%b}", text)
    shop.end_day()


def _steps(shop: Shop, days: list[date], zone: ZoneInfo) -> Iterator[Step]:
    """All that happens in these days, in no order."""
    ticker = shop.stage.atms[0].terms.ticker
    for rush in week_plan.rushes(days, zone, ticker):
        yield Step(rush.visits[0].at, partial(_rush, rush=rush))
    for number, day in enumerate(days):
        for clock in (*week_office.FIXED_TIMES, week_office.COMMISSION_TIME):
            yield Step(_at(day, clock, zone), Shop.look_at_the_time)
        if number:
            yield Step(_at(day, _COMPARED_AT, zone), Shop.compare)
    for number, clock, deed in week_office.DEEDS:
        yield Step(_at(days[number], clock, zone), deed)


def _at(day: date, clock: str, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), zone)


async def _rush(shop: Shop, rush: Rush) -> None:
    """They come one after the other; what each of them brings the clients is paid together."""
    for atm in shop.stage.atms:
        atm.terms = replace(atm.terms, ticker=rush.ticker)
    for visit in rush.visits:
        shop.clock.set_to(visit.at)
        await shop.cash_out(visit.scenario, visit.fiat, machine=visit.machine)
    await shop.pay()
