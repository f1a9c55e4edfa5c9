"""Local times of the day: each date has each of its times once, whatever the clocks do."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.schedule import TIMES_MAX, DailyTimes, Slot, daily_times

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "posixrules", "Factory"})
# Summer time at odd hours and by odd amounts, other offsets for good, and two that left out a whole date.
RESTLESS = [
    "America/New_York",
    "America/Guatemala",
    "America/Sao_Paulo",
    "America/Caracas",
    "America/Havana",
    "America/St_Johns",
    "America/Nuuk",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Africa/Juba",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Europe/Moscow",
    "Europe/Istanbul",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Pacific/Norfolk",
]
TIMES = st.lists(st.times().map(lambda at: f"{at:%H:%M}"), min_size=1, max_size=6, unique=True).map(sorted)

INSTANTS = st.integers(100_000_000, 2_100_000_000).map(lambda at: datetime.fromtimestamp(at, tz=UTC))


@cache
def changes(zone: str, year: int) -> tuple[date, ...]:
    """The dates of a year on which the clocks are set, and the ones beside them."""
    tz, first = ZoneInfo(zone), date(year, 1, 1)
    midnights = [datetime.combine(first + n * DAY, time(), tzinfo=UTC) for n in range(367)]
    offsets = [midnight.astimezone(tz).utcoffset() for midnight in midnights]
    changed = {n for n in range(366) if offsets[n] != offsets[n + 1]}
    return tuple(sorted({first + (n + beside) * DAY for n in changed for beside in (-1, 0, 1)}))


def by_looking_at_the_clock(tz: ZoneInfo, day: date) -> dict[str, datetime]:
    """When each local time of a date comes, minute by minute; what is left out comes at the next."""
    found: dict[str, datetime] = {}
    instant = datetime.combine(day, time(), tzinfo=UTC) - 15 * timedelta(hours=1)
    end = instant + timedelta(hours=56)
    shown = instant.astimezone(tz).replace(tzinfo=None)
    seen = False
    minutes = [datetime.combine(day, time()) + n * MINUTE for n in range(24 * 60)]
    open_ = dict.fromkeys(minutes)
    while instant < end:
        instant += MINUTE
        before, shown = shown, instant.astimezone(tz).replace(tzinfo=None)
        seen = seen or shown.date() == day
        passed = before + MINUTE
        while passed <= shown:
            if passed in open_:
                del open_[passed]
                found[f"{passed:%H:%M}"] = instant
            passed += MINUTE
    return found if seen else {}


@settings(max_examples=25)
@given(st.sampled_from(RESTLESS), st.integers(1973, 2037), st.data())
def test_on_a_day_of_change_each_time_comes_once_and_when_the_clock_says(
    zone: str, year: int, data: st.DataObject
) -> None:
    days = changes(zone, year) or (date(year, 7, 1),)
    day = data.draw(st.sampled_from(days))
    times = data.draw(TIMES)
    slots = daily_times(zone, times).slots_on(day)
    expected = by_looking_at_the_clock(ZoneInfo(zone), day)
    assert [(slot.local_time, slot.due_at) for slot in slots] == [(t, expected[t]) for t in times if expected]


@settings(max_examples=60)
@given(st.sampled_from(ZONES), st.integers(1973, 2037), TIMES)
def test_every_date_of_a_year_has_its_slots_in_their_order(zone: str, year: int, times: list[str]) -> None:
    schedule, tz = daily_times(zone, times), ZoneInfo(zone)
    start = datetime(year, 1, 1, tzinfo=tz).astimezone(UTC) - MINUTE
    end = datetime(year + 1, 1, 1, tzinfo=tz).astimezone(UTC) - MINUTE
    slots = list(schedule.slots_between(start, end))
    by_date: dict[date, list[str]] = {}
    for slot in slots:
        by_date.setdefault(slot.local_date, []).append(slot.local_time)
    dates = [date(year, 1, 1) + n * DAY for n in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)]
    skipped = {date(2011, 12, 30), date(1994, 12, 31), date(1995, 1, 1), date(1993, 8, 21), date(1993, 8, 20)}
    assert set(dates) - set(by_date) <= skipped and set(by_date) <= set(dates)
    assert all(found == times for found in by_date.values())
    assert [slot.due_at for slot in slots] == sorted(slot.due_at for slot in slots)
    assert all(start < slot.due_at <= end for slot in slots)


@given(st.sampled_from(RESTLESS), INSTANTS, TIMES, st.integers(1, 9))
def test_the_next_ones_are_those_that_lie_between(
    zone: str, instant: datetime, times: list[str], count: int
) -> None:
    schedule = daily_times(zone, times)
    following = schedule.next_after(instant, count)
    assert len(following) == count
    assert list(schedule.slots_between(instant, following[-1].due_at))[:count] == following


@given(
    st.sampled_from(RESTLESS), st.integers(1973, 2037), TIMES, st.lists(st.integers(0, 366 * 24 * 60), max_size=9)
)
def test_looking_again_and_again_finds_the_same_slots(
    zone: str, year: int, times: list[str], looks: list[int]
) -> None:
    """Cut anywhere, a span has the same slots: none is lost between two looks, none is there twice."""
    schedule, start = daily_times(zone, times), datetime(year, 1, 1, tzinfo=UTC)
    cuts = sorted({0, 20 * 24 * 60, *(minute % (20 * 24 * 60) for minute in looks)})
    at = [start + minute * MINUTE for minute in cuts]
    pieces = [slot for a, b in pairwise(at) for slot in schedule.slots_between(a, b)]
    assert pieces == list(schedule.slots_between(at[0], at[-1]))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "at", "due"),
    [
        ("America/New_York", "2026-03-08", "02:30", "2026-03-08T07:00"),  # left out: at 03:00 summer time
        ("America/New_York", "2026-03-08", "03:00", "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30"),  # twice: at the first
        ("America/Guatemala", "2026-07-01", "08:00", "2026-07-01T14:00"),
        ("Asia/Beirut", "2022-03-27", "00:00", "2022-03-26T22:00"),  # midnight itself is left out
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:30"),  # half an hour only
        ("America/Caracas", "2016-05-01", "02:45", "2016-05-01T07:00"),  # half an hour, for good
    ],
)
def test_well_known_changes(zone: str, day: str, at: str, due: str) -> None:
    (slot,) = daily_times(zone, [at]).slots_on(date.fromisoformat(day))
    assert slot == Slot(date.fromisoformat(day), at, utc(due), 1, 1)


def test_times_within_one_gap_keep_their_order() -> None:
    slots = daily_times("America/New_York", ["03:00", "02:15", "02:45"]).slots_on(date(2026, 3, 8))
    assert [slot.local_time for slot in slots] == ["02:15", "02:45", "03:00"]
    assert {slot.due_at for slot in slots} == {utc("2026-03-08T07:00")}
    assert [(slot.number, slot.count) for slot in slots] == [(1, 3), (2, 3), (3, 3)]


def test_a_date_that_was_left_out_has_none() -> None:
    schedule = daily_times("Pacific/Apia", ["08:00"])
    assert schedule.slots_on(date(2011, 12, 30)) == []
    days = [s.local_date.day for s in schedule.slots_between(utc("2011-12-29T00:00"), utc("2012-01-01T00:00"))]
    assert days == [29, 31, 1]
    assert schedule.end_of(date(2011, 12, 29)) == utc("2011-12-30T10:00")


@pytest.mark.parametrize(
    "zone",
    ["", "Nowhere", "America", "america/guatemala/x", "/etc/passwd", "../../etc/passwd", "UTC\0", "Ámérica", "+"],
)
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(InputError, match="time zone"):
        daily_times(zone, ["08:00"])


@pytest.mark.parametrize(
    "text", ["25:00", "24:00", "8", "8:00", "08:60", "0800", "08:00:00", "", "noon", "٠8:00", "08:00\n"]
)
def test_what_is_no_time_of_the_day_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no time of the day"):
        daily_times("UTC", [text])


def test_a_time_twice_none_or_too_many_are_refused() -> None:
    with pytest.raises(InputError, match="08:00 is there twice"):
        daily_times("UTC", ["08:00", "18:00", "08:00"])
    with pytest.raises(InputError, match="needs a time"):
        daily_times("UTC", [])
    many = [f"{n // 60:02}:{n % 60:02}" for n in range(TIMES_MAX + 1)]
    with pytest.raises(InputError, match="too many"):
        daily_times("UTC", many)
    assert daily_times("UTC", many[1:]).times == tuple(many[1:])
    assert DailyTimes("UTC", ("08:00",)).local_date(utc("2026-01-01T00:00")) == date(2026, 1, 1)
