"""What laypeople do at the machines in a week: when they come, how much they want, what a bitcoin costs then.

Drawn by lot, by the same lots each time: two demos begun at the same hour of the same weekday are alike.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

DAYS = 7  # before today, which is played as far as it has come
_SATURDAY, _SUNDAY = 5, 6
_SEED = 21

# When the shop fills, and how many come then.
_RUSHES = (("09:10", 4), ("11:50", 5), ("17:10", 5))
_ON_SATURDAY = (("09:40", 5), ("11:40", 6), ("16:50", 6))
_ON_SUNDAY = (("10:30", 4), ("16:30", 4))
_UNPUNCTUAL_SECONDS = 14 * 60
_BETWEEN_SECONDS = (90, 420)

_FIAT = (200, 300, 300, 400, 500, 500, 600, 700, 800, 1000, 1000, 1200, 1500, 2000, 2500)
_KINDS = ("lightning",) * 5 + ("on-chain",) * 4 + ("zero-conf",) * 2 + ("redeem-later", "underpaid", "promo")
_MACHINES = (0, 0, 0, 1, 1, 2)  # the first is at the busiest place
_PRICE_STEP = (-160, 180)  # of 10,000, from one rush to the next


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who sells bitcoin for so much cash: at which machine, and how it goes (a scenario's name)."""

    at: datetime
    machine: int
    scenario: str
    fiat: int


@dataclass(frozen=True, slots=True)
class Rush:
    """People who come shortly one after the other; `ticker` is what a bitcoin costs at that time."""

    visits: tuple[Visit, ...]
    ticker: Decimal


def rushes(over: Sequence[date], zone: ZoneInfo, ticker: Decimal) -> Iterator[Rush]:
    """These days' rushes, in order, from a price of `ticker` on."""
    lots = random.Random(_SEED)  # noqa: S311 - a story, no secret
    for day in over:
        for clock, people in _of_day(day):
            begins = datetime.combine(day, time.fromisoformat(clock), zone)
            at = begins + timedelta(seconds=lots.randint(-_UNPUNCTUAL_SECONDS, _UNPUNCTUAL_SECONDS))
            visits = []
            for _ in range(people + lots.choice((-1, 0, 0, 1))):
                visits.append(Visit(at, lots.choice(_MACHINES), lots.choice(_KINDS), lots.choice(_FIAT)))
                at += timedelta(seconds=lots.randint(*_BETWEEN_SECONDS))
            ticker = (ticker * (10_000 + lots.randint(*_PRICE_STEP)) / 10_000).quantize(Decimal("0.01"))
            yield Rush(tuple(visits), ticker)


def days(now: datetime, zone: ZoneInfo) -> list[date]:
    """The shop's days, until today."""
    today = now.astimezone(zone).date()
    return [today - timedelta(days=ago) for ago in reversed(range(DAYS + 1))]


def _of_day(day: date) -> tuple[tuple[str, int], ...]:
    return {_SATURDAY: _ON_SATURDAY, _SUNDAY: _ON_SUNDAY}.get(day.weekday(), _RUSHES)
