"""Times as a person types them on a page: without a zone they are in the pages' own."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.text import plain


def moment(text: str, zone: ZoneInfo, field: str) -> datetime:
    """A day (its beginning) or a time. Raises `InputError` for what is none, or was not once there."""
    try:
        typed = datetime.fromisoformat(text.strip())
        if typed.tzinfo is not None:
            return typed.astimezone(UTC)
        early, late = (typed.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except (ValueError, OverflowError):
        remedy = "write it like 2026-01-31T14:05"
        raise InputError(f"{plain(text)!r} is not a time", remedy=remedy, field=field) from None
    if early.astimezone(zone).replace(tzinfo=None) != typed:
        raise InputError(f"{plain(text)!r} does not exist here: the clocks were put forward over it", field=field)
    if early != late:
        remedy = f"write {early.astimezone(zone).isoformat()} or {late.astimezone(zone).isoformat()}"
        raise InputError(f"{plain(text)!r} was twice here: the clocks were put back", remedy=remedy, field=field)
    return early


def moment_or_none(text: str, zone: ZoneInfo, field: str) -> datetime | None:
    """The same, where nothing may have been typed."""
    return moment(text, zone, field) if text.strip() else None
