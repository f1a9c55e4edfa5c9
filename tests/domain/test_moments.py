"""Times as people write them: with a zone, or of one whose clocks skip some and show others twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.moments import parse_local_time, parse_time

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("zone", [BERLIN, None], ids=["named", "this computer's"])
def test_a_time_without_a_zone_is_of_the_one_given(in_berlin: None, zone: ZoneInfo | None) -> None:
    assert parse_local_time("2026-01-31T14:05", zone).isoformat() == "2026-01-31T14:05:00+01:00"
    assert parse_local_time(" 2026-07-31 ", zone).isoformat() == "2026-07-31T00:00:00+02:00"
    assert parse_local_time("2026-01-31T14:05:00-06:00", zone).isoformat() == "2026-01-31T14:05:00-06:00"
    for text, words in (
        ("2026-03-29T02:30", "does not exist here"),
        ("2026-10-25T02:30", r"was twice here.*02:30:00\+02:00 or .*02:30:00\+01:00"),
        ("yesterday", "is not a time"),
        ("0001-01-01", "is not a time"),
    ):
        with pytest.raises(InputError, match=words) as refused:
            parse_local_time(text, zone, field="at")
        assert refused.value.field == "at"


def test_a_day_begins_though_its_midnight_is_skipped_or_twice() -> None:
    havana = ZoneInfo("America/Havana")  # its clocks change at midnight, and at one back to midnight
    assert parse_local_time("2026-03-08", havana).isoformat() == "2026-03-08T01:00:00-04:00"
    assert parse_local_time("2026-11-01", havana).isoformat() == "2026-11-01T00:00:00-04:00"


def test_a_time_that_needs_its_zone() -> None:
    assert parse_time("2026-01-31T00:00:00Z").isoformat() == "2026-01-31T00:00:00+00:00"
    for text, words in (
        ("2026-01-31T00:00:00", "has no zone"),
        ("1767225600", "is not a time"),
        ("2026-01-31T00:00:00 01:00", "is not a time"),  # a + in an address that was not quoted
        ("0001-01-01T00:00:00+14:00", "is not a time"),
        ("9999-12-31T23:59:59-14:00", "is not a time"),
    ):
        with pytest.raises(InputError, match=words) as refused:
            parse_time(text, field="since")
        assert refused.value.field == "since"
