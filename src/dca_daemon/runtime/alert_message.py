"""What a notification says. No text from outside is in it, no name, no address: see `alert_desk.SHOWN`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dca_daemon.domain.alerts import Severity
from dca_daemon.runtime.alert_desk import Item, Kind

Tone = Literal["failure", "warning", "info", "success"]

_TONES: Mapping[Severity, Tone] = {
    Severity.PAGE: "failure",
    Severity.WARN: "warning",
    Severity.INFO: "info",
}
_NAMED_AT_MOST = 5
_TITLED_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    title: str
    body: str
    tone: Tone


def message(items: Sequence[Item], now: float, *, name: str) -> Message:
    """One message of all of them; `name` says whose it is."""
    groups: dict[tuple[Kind, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.kind, item.alert.event), []).append(item)
    wrong = [item for item in items if item.kind is not Kind.OVER]
    tone = _TONES[min((item.alert.severity for item in wrong), key=lambda s: s.rank)] if wrong else "success"
    heads = [event if kind is not Kind.OVER else f"{event} is over" for kind, event in groups]
    more = f" and {len(heads) - _TITLED_AT_MOST} more" if len(heads) > _TITLED_AT_MOST else ""
    title = f"{name}: {', '.join(heads[:_TITLED_AT_MOST])}{more}"
    return Message(title, "\n\n".join(_paragraph(group, now) for group in groups.values()), tone)


def _paragraph(group: Sequence[Item], now: float) -> str:
    first = group[0]
    alert = first.alert
    if first.kind is Kind.OVER:
        return "\n".join([f"OVER {alert.event}{_after(item)}{_named(item)}" for item in group[:_NAMED_AT_MOST]])
    lines = [f"{alert.severity.upper()} {alert.event}{_how_long(group, now)}", alert.meaning]
    lines += [shown for item in group[:_NAMED_AT_MOST] if (shown := _shown(item.shown))]
    if len(group) > _NAMED_AT_MOST:
        lines.append(f"and {len(group) - _NAMED_AT_MOST} more")
    return "\n".join([*lines, f"What to do: {alert.remedy}"])


def _how_long(group: Sequence[Item], now: float) -> str:
    first, times = group[0], sum(item.times for item in group)
    if first.kind is Kind.STILL:
        return f", still, for {duration(now - first.since)}"
    if first.alert.clears:
        return f", for {duration(now - min(item.since for item in group))}"
    return f", {times} times" if times > 1 else ""


def _after(item: Item) -> str:
    if item.unseen:
        return ": not met again since the daemon was started anew"
    return f", after {duration((item.over_at or item.since) - item.since)}"


def _named(item: Item) -> str:
    subject = item.shown.get(item.alert.subject or "")
    return "" if subject is None else f" ({item.alert.subject} {subject})"


def _shown(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in fields.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {number}" for key, number in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def duration(seconds: float) -> str:
    """In words: `45 s`, `12 min`, `1 h 30 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
