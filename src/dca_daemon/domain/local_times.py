"""Times of the day in a named zone, as instants: each local time of a day is exactly one, whatever the clocks do.

A time that a change of the clocks leaves out is the instant of that change; one that comes twice is its first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.text import plain

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_ZONE = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*")


def parse_local_time(text: str) -> str:
    """What a person typed as `HH:MM`. Raises `InputError` for a time that does not exist."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{plain(text)!r} is not a time of the day", remedy="write it like 18:30")
    return f"{int(found[1]):02d}:{found[2]}"


def check_zone(name: str) -> str:
    """A time zone's name. Raises `InputError` for one that nobody knows."""
    _zone(name.strip())
    return name.strip()


def _zone(name: str) -> ZoneInfo:
    unknown = InputError(f"there is no time zone {plain(name)!r}", remedy="give a name such as America/Guatemala")
    if not _ZONE.fullmatch(name):
        raise unknown
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise unknown from None


def instants(zone: str, local_date: date, times: Sequence[str]) -> list[datetime]:
    """The instants (in UTC) of these times (`HH:MM`) of a local day, in their order."""
    where = _zone(zone)
    return [_instant(where, local_date, time.fromisoformat(at)) for at in times]


def _instant(zone: ZoneInfo, local_date: date, at: time) -> datetime:
    naive = datetime.combine(local_date, at)
    by_the_old_offset = naive.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if by_the_old_offset.astimezone(zone).replace(tzinfo=None) == naive:
        return by_the_old_offset
    # The clocks jump over it. By the offset that comes, it would lie before the jump: the jump is in between.
    before, after = naive.replace(tzinfo=zone, fold=1).astimezone(UTC), by_the_old_offset
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def latest_due(now: datetime, zone: str, times: Sequence[str]) -> datetime | None:
    """The latest of these local times that has come; None without any."""
    return max((at for at in _around(now, zone, times) if at <= now), default=None)


def next_due(now: datetime, zone: str, times: Sequence[str]) -> datetime | None:
    """The first of these local times that is still to come; None without any."""
    return min((at for at in _around(now, zone, times) if at > now), default=None)


def _around(now: datetime, zone: str, times: Sequence[str]) -> list[datetime]:
    today = now.astimezone(_zone(zone)).date()
    return [at for days in range(-2, 3) for at in instants(zone, today + timedelta(days=days), times)]
