"""A local time of a day is exactly one instant, also where the clocks are changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.local_times import check_zone, instants, latest_due, next_due, parse_local_time

ZONES = (
    "America/Guatemala",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "UTC",
)
ALL_DAY = [f"{n // 60:02d}:{n % 60:02d}" for n in range(0, 24 * 60, 15)]

zones = st.sampled_from(ZONES)
days = st.dates(date(2000, 1, 1), date(2037, 12, 30))
times = st.lists(st.sampled_from(ALL_DAY), min_size=1, max_size=4, unique=True)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "at", "instant"),
    [
        ("America/Guatemala", "2026-11-22", "18:30", "2026-11-23T00:30"),
        # In New York, 02:00 to 03:00 is left out in March, and 01:00 to 02:00 comes twice in November.
        ("America/New_York", "2026-03-08", "01:59", "2026-03-08T06:59"),
        ("America/New_York", "2026-03-08", "02:00", "2026-03-08T07:00"),
        ("America/New_York", "2026-03-08", "02:30", "2026-03-08T07:00"),
        ("America/New_York", "2026-03-08", "03:00", "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30"),
        ("America/New_York", "2026-11-01", "02:00", "2026-11-01T07:00"),
        # Lord Howe moves its clocks by half an hour; Samoa once left out a whole day.
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:30"),
        ("Pacific/Apia", "2011-12-30", "18:30", "2011-12-30T10:00"),
    ],
)
def test_instants(zone: str, day: str, at: str, instant: str) -> None:
    assert instants(zone, date.fromisoformat(day), [at]) == [utc(instant)]


@given(zones, days)
def test_through_a_day_instants_never_go_back(zone: str, day: date) -> None:
    found = instants(zone, day, ALL_DAY)
    assert found == sorted(found)
    assert found[-1] <= instants(zone, day + timedelta(days=1), ["00:00"])[0]


@given(zones, days, st.sampled_from(ALL_DAY))
def test_a_time_that_exists_is_itself_and_its_first(zone: str, day: date, at: str) -> None:
    (instant,) = instants(zone, day, [at])
    local = instant.astimezone(ZoneInfo(zone))
    if local.strftime("%H:%M") == at and local.date() == day:
        assert local.fold == 0
    else:  # left out: a minute before, the clocks stood before it; now they stand behind it
        before = (instant - timedelta(minutes=1)).astimezone(ZoneInfo(zone))
        wanted = datetime.combine(day, time.fromisoformat(at))
        assert before.replace(tzinfo=None) < wanted < local.replace(tzinfo=None)


@given(zones, times, days, st.integers(0, 86_400))
def test_what_is_due_lies_on_both_sides_of_now(zone: str, at: list[str], day: date, seconds: int) -> None:
    now = datetime.combine(day, time(), UTC) + timedelta(seconds=seconds)
    due, following = latest_due(now, zone, at), next_due(now, zone, at)
    assert due is not None and following is not None and due <= now < following
    assert following - due <= timedelta(hours=26)
    assert latest_due(following, zone, at) == following
    assert latest_due(following - timedelta(microseconds=1), zone, at) == due


@pytest.mark.parametrize(("day", "at"), [("2026-03-08", "02:30"), ("2026-11-01", "01:30")])
def test_a_time_is_due_once_on_the_day_when_the_clocks_change(day: str, at: str) -> None:
    start = utc(f"{day}T04:00")
    found = {latest_due(start + timedelta(minutes=n), "America/New_York", [at]) for n in range(0, 24 * 60, 5)}
    assert len(found) == 2, "yesterday's, and today's"


def test_without_times_nothing_is_due() -> None:
    assert latest_due(utc("2026-11-22T00:00"), "UTC", []) is None
    assert next_due(utc("2026-11-22T00:00"), "UTC", []) is None


@pytest.mark.parametrize(("typed", "time"), [("18:30", "18:30"), ("8:05", "08:05"), (" 00:00 ", "00:00")])
def test_times(typed: str, time: str) -> None:
    assert parse_local_time(typed) == time


@pytest.mark.parametrize(
    "typed", ["25:00", "24:00", "12:60", "12", "1230", "12:3", "", "noon", "-1:00", "12:30:00"]
)
def test_what_is_no_time(typed: str) -> None:
    with pytest.raises(InputError, match="not a time"):
        parse_local_time(typed)


@pytest.mark.parametrize(
    "name", ["", "Mars/Phobos", "../etc/passwd", "/etc/passwd", "America", "UTC\x00", "a" * 300]
)
def test_an_unknown_zone(name: str) -> None:
    with pytest.raises(InputError, match="no time zone"):
        check_zone(name)
    assert check_zone(" America/Guatemala ") == "America/Guatemala"
