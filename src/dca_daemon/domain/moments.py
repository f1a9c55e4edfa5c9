"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.text import plain


def apart_seconds(before: datetime, theirs: datetime, after: datetime) -> float:
    """How far another clock, which was read at some moment between `before` and `after` by ours, is from ours for
    certain: only what lies outside is a difference."""
    return max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)


def parse_time(text: str, *, field: str | None = None) -> datetime:
    """A time with its zone. Raises `InputError` that names the `field` it was written in."""
    example = "write it like 2026-01-31T00:00:00-06:00"
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            raise InputError(f"the time {plain(text)!r} has no zone", remedy=example, field=field)
        moment.astimezone(UTC).astimezone()
    except (ValueError, OverflowError):  # the latter: at the end of all calendars
        raise InputError(f"{plain(text)!r} is not a time", remedy=example, field=field) from None
    return moment


def parse_local_time(text: str, zone: tzinfo | None, *, field: str | None = None) -> datetime:
    """The same, where one without a zone is of `zone` (None: this computer's), and a date is that day's beginning.

    One that the clocks there skip does not exist; one that they show twice needs its zone.
    """
    try:
        typed = datetime.fromisoformat(text.strip())
        if typed.tzinfo is not None:
            return parse_time(text, field=field)
        early, late = (typed.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except (ValueError, OverflowError):
        remedy = "write it like 2026-01-31T14:05"
        raise InputError(f"{plain(text)!r} is not a time", remedy=remedy, field=field) from None
    if _is_day(text):  # it begins when the clocks are put forward over midnight, or when midnight is there first
        return early.astimezone(zone)
    if early.astimezone(zone).replace(tzinfo=None) != typed:
        words = f"the time {plain(text)!r} does not exist here: the clocks were put forward over it"
        raise InputError(words, field=field)
    if early != late:
        raise InputError(
            f"the time {plain(text)!r} was twice here: the clocks were put back",
            remedy=f"write {early.astimezone(zone).isoformat()} or {late.astimezone(zone).isoformat()}",
            field=field,
        )
    return early.astimezone(zone)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text.strip())
    except ValueError:
        return False
    return True
