"""Days as a person gives them in a form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Days:
    """From the beginning of the first to the end of the last; None where none was given. `wrong`: the field that
    is no day, if one is."""

    since: datetime | None = None
    until: datetime | None = None
    wrong: str | None = None


def read_days(first: str, last: str, zone: ZoneInfo) -> Days:
    """The days of the fields From and To, in this zone."""
    wrong = next((name for name, day in (("From", first), ("To", last)) if not _is_day(day)), None)
    return Days(wrong=wrong) if wrong else Days(_begins(first, zone), _begins(last, zone, days_later=1))


def _is_day(text: str) -> bool:
    try:
        return not text or date.fromisoformat(text) < date.max
    except ValueError:
        return False


def _begins(day: str, zone: ZoneInfo, days_later: int = 0) -> datetime | None:
    if not day:
        return None
    found = datetime.combine(date.fromisoformat(day) + timedelta(days=days_later), time(), zone)
    try:
        return found.astimezone(UTC)
    except OverflowError:  # the first day there is
        return datetime.min.replace(tzinfo=UTC)
