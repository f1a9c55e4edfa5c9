"""Days as a person gives them in a form."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def is_day(text: str) -> bool:
    """Whether it is one, or nothing."""
    try:
        return not text or date.fromisoformat(text) < date.max
    except ValueError:
        return False


def begins(day: str, zone: ZoneInfo, days_later: int = 0) -> datetime | None:
    """When the day begins in this zone, or one some days later; None where none was given."""
    if not day:
        return None
    found = datetime.combine(date.fromisoformat(day) + timedelta(days=days_later), time(), zone)
    try:
        return found.astimezone(UTC)
    except OverflowError:  # the first day there is
        return datetime.min.replace(tzinfo=UTC)
