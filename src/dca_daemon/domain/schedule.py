"""Local times of the day in a named zone, and the instants that they stand for.

A time that the clocks leave out (spring) stands for the first instant after the gap; one that they show twice
(autumn) for the first of both. So every date has each of its times once, in their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from zoneinfo import ZoneInfo

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.text import plain

TIMES_MAX = 96  # of a day: every quarter of an hour
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Slot:
    """One time of a schedule on one date: `number` of `count` on that date, from 1 on; `due_at` in UTC."""

    local_date: date
    local_time: str
    due_at: datetime
    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.local_date} {self.local_time}"

    @property
    def key(self) -> tuple[date, str]:
        """What tells it from any other of its pool, whichever schedule it is of."""
        return self.local_date, self.local_time


@dataclass(frozen=True)
class DailyTimes:
    """Times of the day like 08:00, ascending, in an IANA zone. Made by `daily_times`, which checks them."""

    zone: str
    times: tuple[str, ...]

    @cached_property
    def _tz(self) -> ZoneInfo:
        return _zone_info(self.zone)

    def local_date(self, instant: datetime) -> date:
        """What date it is there."""
        return instant.astimezone(self._tz).date()

    def slots_on(self, day: date) -> list[Slot]:
        """The slots of a date, in their order. A date that the zone left out as a whole has none."""
        if self.local_date(self._instant(day, time())) != day:
            return []
        count = len(self.times)
        return [
            Slot(day, text, self._instant(day, time.fromisoformat(text)), number, count)
            for number, text in enumerate(self.times, 1)
        ]

    def slots_between(self, after: datetime, until: datetime) -> Iterator[Slot]:
        """The slots due later than `after` and not later than `until`, in the order in which they are due."""
        day, last = self.local_date(after) - _DAY, self.local_date(until) + _DAY
        while day <= last:
            for slot in self.slots_on(day):
                if after < slot.due_at <= until:
                    yield slot
            day += _DAY

    def next_after(self, instant: datetime, count: int = 1) -> list[Slot]:
        """The next `count` slots that are due later than `instant`."""
        found: list[Slot] = []
        day = self.local_date(instant) - _DAY
        while len(found) < count:
            found += [slot for slot in self.slots_on(day) if slot.due_at > instant]
            day += _DAY
        return found[:count]

    def latest_until(self, instant: datetime) -> Slot | None:
        """The slot that was due last, `instant` included; None in a week without any."""
        return max(self.slots_between(instant - 7 * _DAY, instant), key=lambda slot: slot.due_at, default=None)

    def end_of(self, day: date) -> datetime:
        """The first instant of the date after this one."""
        return self._instant(day + _DAY, time())

    def _instant(self, day: date, at: time) -> datetime:
        wanted = datetime.combine(day, at)
        instant = wanted.replace(tzinfo=self._tz, fold=0).astimezone(UTC)
        if instant.astimezone(self._tz).replace(tzinfo=None) == wanted:
            return instant
        return self._end_of_gap(wanted, instant)

    def _end_of_gap(self, wanted: datetime, late: datetime) -> datetime:
        """When the clocks were set forward, over `wanted`. By the offset before it would be `late`, by the one
        after it would be early: the change lies between."""
        early = wanted.replace(tzinfo=self._tz, fold=1).astimezone(UTC)
        before = early.astimezone(self._tz).utcoffset()
        seconds_low, seconds_high = 0, int((late - early).total_seconds())
        while seconds_high - seconds_low > 1:
            middle = (seconds_low + seconds_high) // 2
            if (early + timedelta(seconds=middle)).astimezone(self._tz).utcoffset() == before:
                seconds_low = middle
            else:
                seconds_high = middle
        return early + timedelta(seconds=seconds_high)


def daily_times(zone: str, times: Sequence[str]) -> DailyTimes:
    """What a person entered, checked; times in any order. Raises `InputError`."""
    _zone_info(zone)
    if not times:
        remedy = "write it like 08:00, or 08:00,18:00"
        raise InputError("a schedule needs a time of the day", remedy=remedy, field="times")
    for text in times:
        if not _TIME.fullmatch(text):
            remedy = "write it like 08:00, or 18:30"
            raise InputError(f"{plain(text)!r} is no time of the day", remedy=remedy, field="times")
    if len(times) > TIMES_MAX:
        raise InputError(f"{len(times)} times a day are too many: at most {TIMES_MAX}", field="times")
    ordered = tuple(sorted(times))
    for text, following in pairwise(ordered):
        if text == following:
            raise InputError(f"the time {text} is there twice", field="times")
    return DailyTimes(zone, ordered)


def _zone_info(zone: str) -> ZoneInfo:
    try:
        if _ZONE.fullmatch(zone):
            return ZoneInfo(zone)
    except (OSError, ValueError, KeyError):  # a folder of zones, a file that is none, or nothing of that name
        pass
    raise InputError(
        f"unknown time zone {plain(zone)!r}",
        remedy="write an IANA name such as America/Guatemala",
        field="zone",
    )
