"""Which backups are kept: of the last days, weeks and months the newest of each, by UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

_ALWAYS = timedelta(days=1)  # so that one made before an upgrade is not gone with the next of the same day


@dataclass(frozen=True, slots=True)
class Keep:
    """Of how many days, weeks and months, that have one at all, the newest backup is kept."""

    daily: int = 7
    weekly: int = 5
    monthly: int = 12


def superfluous(made_at: Mapping[str, datetime], keep: Keep, now: datetime) -> list[str]:
    """The names of those to delete, of good backups by name. Never the newest, and none that is not a day old."""
    newest_first = sorted(made_at, key=lambda name: (made_at[name], name), reverse=True)
    kept = {name for name in newest_first if now - made_at[name] < _ALWAYS} | set(newest_first[:1])
    rules: tuple[tuple[int, Callable[[datetime], str]], ...] = (
        (keep.daily, lambda at: f"{at:%Y-%m-%d}"),
        (keep.weekly, lambda at: f"{at:%G-%V}"),
        (keep.monthly, lambda at: f"{at:%Y-%m}"),
    )
    for count, slot_of in rules:
        newest_of: dict[str, str] = {}
        for name in newest_first:
            newest_of.setdefault(slot_of(made_at[name]), name)
        kept |= set(list(newest_of.values())[:count])
    return [name for name in reversed(newest_first) if name not in kept]
