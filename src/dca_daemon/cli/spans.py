"""From when to when, and whose days: the options of reports and exports."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.moments import parse_time
from dca_daemon.runtime.zone import local_zone

Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Only from then on: a date, or a time with its zone."),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="Only before then: a date, or a time with its zone."),
]
Zone = Annotated[
    str | None,
    typer.Option("--zone", metavar="ZONE", help="Whose days, such as America/Guatemala; else this computer's."),
]


def read_zone(name: str | None) -> ZoneInfo:
    """The zone of that name, or this computer's own. Raises `InputError`."""
    if name is None:
        return local_zone()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f"there is no time zone {name!r}", remedy="write it like America/Guatemala") from None


def read_moment(text: str | None, zone: ZoneInfo) -> datetime | None:
    """A date is that day's beginning in the zone. Raises `InputError`."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text.strip())
        moment = datetime(day.year, day.month, day.day, tzinfo=zone)
        moment.astimezone(ZoneInfo("UTC"))
    except OverflowError:
        raise InputError(f"{text!r} is not a time", remedy="write it like 2026-01-31") from None
    except ValueError:
        return parse_time(text)
    return moment


def read_span(since: str | None, until: str | None, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Both ends. Raises `InputError` when there is nothing between them."""
    start, stop = read_moment(since, zone), read_moment(until, zone)
    if start is not None and stop is not None and stop <= start:
        raise InputError("there is no time between --since and --until", remedy="--until must be the later one")
    return start, stop
