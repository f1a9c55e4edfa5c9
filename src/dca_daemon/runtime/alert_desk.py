"""What is wrong at the moment, as the log tells it, and of what of that somebody is to be told now.

Pure: the time is passed in, in seconds of whatever clock. The rules, with `group_seconds` and `repeat_seconds`:

* A problem is told of once it has lasted `group_seconds`; all that is new then goes into the same message. What is
  over sooner is not worth a message, unless it comes and goes.
* Its all-clear is told once it has been well for `group_seconds`; each relapse doubles that, up to an hour. So
  what flaps becomes one lasting problem.
* What lasts is told of again every `repeat_seconds`.
* What has no all-clear is told of once for each subject in `repeat_seconds`; the same event for other subjects
  comes at growing intervals, up to an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dca_daemon.domain.alerts import CATALOGUE, Alert, Severity

MOST_SECONDS = 3600.0
_FLAPS = 3  # so often in an hour: it comes and goes
_UNSEEN_SECONDS = 900.0  # what an earlier process left open, and this one has not met so long after its start
_UP = "daemon.active"
_MOST_KEYS = 2000  # an incident for each of thousands of subjects: the oldest are forgotten

# What may be sent: no texts from outside, no names, no addresses, no amounts but the operator's own.
SHOWN = (
    "service", "work", "path", "whose", "what", "target", "code",
    "payout_id", "client_id", "external_id", "pool_id", "webhook_id", "payment_hash",
    "missing_sats", "balance_sats", "low_sats", "payouts", "oldest_seconds", "differences", "waiting",
    "free_percent", "free_mib", "seconds", "failures", "dropped", "kinds",
)  # fmt: skip
_FINAL = frozenset({"service.failed", "service.crashed"})  # the process ends with them

_CLEARED_BY: dict[str, list[Alert]] = {}
for _alert in CATALOGUE.values():
    for _event in _alert.clears:
        _CLEARED_BY.setdefault(_event, []).append(_alert)

NOTED = CATALOGUE.keys() | _CLEARED_BY.keys() | {_UP}  # every other event is of no interest here


class Kind(Enum):
    """What a message says of something."""

    NEWS = "news"
    STILL = "still"
    OVER = "over"


@dataclass(slots=True)
class Matter:
    """One problem, or one incident: an event and its subject."""

    alert: Alert
    subject: str
    since: float
    shown: Mapping[str, Any] = field(default_factory=dict)
    times: int = 0  # since it was last told of
    open: bool = True
    told_at: float | None = None  # None: nobody knows of it
    calm_at: float | None = None
    relapses: int = 0
    inherited: bool = False  # from an earlier process, and not met since
    changed: bool = True  # since it was last kept

    @property
    def lasts(self) -> bool:
        """Whether it has an all-clear."""
        return bool(self.alert.clears)


@dataclass(frozen=True, slots=True)
class Item:
    """What a message says of one matter."""

    kind: Kind
    alert: Alert
    since: float
    times: int
    shown: Mapping[str, Any]
    over_at: float | None = None
    unseen: bool = False  # over only as far as a new process has not met it


class AlertDesk:
    """Keeps the matters. `least`: what is less urgent is not told of."""

    def __init__(self, *, least: Severity, group_seconds: float, repeat_seconds: float) -> None:
        self._least = least
        self._group_seconds = group_seconds
        self._repeat_seconds = repeat_seconds
        self._matters: dict[tuple[str, str], Matter] = {}
        self._told: dict[str, tuple[float, int]] = {}  # incidents: when an event was last told of, and how often
        self._up_at: float | None = None

    def open_problems(self) -> dict[str, int]:
        """How many of each kind of lasting problem there are, whether or not somebody was told."""
        counts = {event: 0 for event, alert in CATALOGUE.items() if alert.clears}
        for matter in self._matters.values():
            if matter.lasts and matter.open:
                counts[matter.alert.event] += 1
        return counts

    def note(self, event: str, fields: Mapping[str, Any], now: float) -> None:
        """A line of the log."""
        if event == _UP:
            self._up_at = now
        for alert in _CLEARED_BY.get(event, ()):
            self._clear(alert, fields, now)
        if (found := CATALOGUE.get(event)) is not None:
            self._met(found, fields, now)

    def _clear(self, alert: Alert, fields: Mapping[str, Any], now: float) -> None:
        given = fields.get(alert.subject) if alert.subject else None
        for matter in self._matters.values():
            same = given is None or matter.subject == str(given)
            if matter.alert is alert and matter.open and same:
                matter.open, matter.calm_at, matter.changed, matter.inherited = False, now, True, False

    def _met(self, alert: Alert, fields: Mapping[str, Any], now: float) -> None:
        subject = str(fields.get(alert.subject, "")) if alert.subject else ""
        key = (alert.event, subject)
        matter = self._matters.get(key)
        if matter is None:
            self._make_room()
            matter = self._matters[key] = Matter(alert, subject, now)
        elif matter.lasts and not matter.open:
            self._again(matter, now)
        elif not matter.lasts and self._is_news(matter, now):
            matter.since, matter.told_at = now, None
        matter.times += 1
        matter.inherited, matter.changed = False, True
        matter.shown = {name: fields[name] for name in SHOWN if fields.get(name) is not None}

    def _again(self, matter: Matter, now: float) -> None:
        """A problem that was over is back."""
        calm_seconds = now - (matter.calm_at if matter.calm_at is not None else now)
        matter.relapses = matter.relapses + 1 if calm_seconds < max(MOST_SECONDS, self._repeat_seconds) else 0
        if matter.told_at is None and (matter.relapses < _FLAPS or calm_seconds > MOST_SECONDS):
            matter.since = now
        matter.open, matter.calm_at = True, None

    def _is_news(self, matter: Matter, now: float) -> bool:
        return matter.told_at is not None and now - matter.told_at >= max(self._repeat_seconds, MOST_SECONDS)

    def _make_room(self) -> None:
        if len(self._matters) >= _MOST_KEYS:
            over = [key for key, matter in self._matters.items() if not (matter.lasts and matter.open)]
            for key in over[: _MOST_KEYS // 10]:
                del self._matters[key]

    def due_at(self) -> float | None:
        """When there will be something to tell, if nothing happens before."""
        return min(
            (at for matter in self._matters.values() if (at := self._due(matter)) is not None), default=None
        )

    def _due(self, matter: Matter) -> float | None:
        if matter.alert.severity.rank > self._least.rank:
            return None
        if not matter.lasts:
            return self._incident_due(matter)
        if not matter.open:
            if matter.told_at is None or matter.calm_at is None:
                return None
            return matter.calm_at + min(MOST_SECONDS, self._group_seconds * 2.0 ** min(matter.relapses, 16))
        if matter.told_at is None:
            return matter.since + self._group_seconds
        return self._repeat_due(matter)

    def _repeat_due(self, matter: Matter) -> float | None:
        if self._up_at is None:  # a daemon that stands by leaves that to the active one
            return None
        assert matter.told_at is not None
        repeat_at = matter.told_at + self._repeat_seconds if self._repeat_seconds else None
        if matter.inherited and matter.alert.retold:
            unseen_at = self._up_at + _UNSEEN_SECONDS
            return unseen_at if repeat_at is None else min(unseen_at, repeat_at)
        return repeat_at

    def _incident_due(self, matter: Matter) -> float | None:
        if matter.told_at is not None:
            return None
        at = matter.since + self._group_seconds
        told_at, number = self._told.get(matter.alert.event, (None, 0))
        if told_at is not None:
            at = max(at, told_at + min(MOST_SECONDS, self._group_seconds * 2.0 ** min(number, 16)))
        return at

    def collect(self, now: float) -> list[Item]:
        """What is to be told now, the most urgent first; from now on it counts as told. Empty: nothing is due."""
        due_at = self.due_at()
        if due_at is None or due_at > now:
            return []
        return self._take(now)

    def collect_final(self, now: float) -> list[Item]:
        """The same for a process that ends by a fault: that fault is told of at once."""
        news = [m for m in self._matters.values() if m.alert.event in _FINAL and m.told_at is None]
        return self._take(now) if news else []

    def _take(self, now: float) -> list[Item]:
        items = []
        for matter in list(self._matters.values()):
            if matter.alert.severity.rank > self._least.rank:
                continue
            due_at = self._due(matter)
            new = matter.open and matter.told_at is None  # goes along with whatever is due
            if new or (due_at is not None and due_at <= now):
                items.append(self._told_of(matter, now))
        self._forget(now)
        order = {Kind.NEWS: 0, Kind.STILL: 1, Kind.OVER: 2}
        return sorted(items, key=lambda item: (order[item.kind], item.alert.severity.rank, item.since))

    def _told_of(self, matter: Matter, now: float) -> Item:
        """Marks it as told."""
        unseen = matter.inherited and matter.alert.retold and matter.open and self._is_unseen(now)
        if unseen:
            matter.open, matter.calm_at = False, now
        kind = Kind.NEWS if matter.told_at is None else Kind.STILL if matter.open else Kind.OVER
        item = Item(kind, matter.alert, matter.since, matter.times, matter.shown, matter.calm_at, unseen)
        matter.told_at = None if kind is Kind.OVER else now
        matter.times, matter.changed = 0, True
        if not matter.lasts:
            self._told[matter.alert.event] = (now, self._told.get(matter.alert.event, (0.0, 0))[1] + 1)
        return item

    def _is_unseen(self, now: float) -> bool:
        return self._up_at is not None and now >= self._up_at + _UNSEEN_SECONDS

    def _forget(self, now: float) -> None:
        """What nobody needs to know any more."""
        keep_seconds = max(MOST_SECONDS, self._repeat_seconds)
        for event, (told_at, _) in list(self._told.items()):
            if now - told_at > keep_seconds:
                del self._told[event]
        for key, matter in list(self._matters.items()):
            last = max(x for x in (matter.since, matter.told_at, matter.calm_at) if x is not None)
            if now - last > 2 * keep_seconds and not (matter.lasts and matter.open):
                del self._matters[key]

    def to_keep(self) -> Iterator[Matter]:
        """What has changed since the last call, of that which somebody was told of or which comes and goes."""
        for matter in self._matters.values():
            if matter.changed and (matter.told_at is not None or matter.calm_at is not None):
                matter.changed = False
                yield matter

    def inherit(self, matters: Iterable[Matter]) -> None:
        """What an earlier process had told of. What this one knows better stays."""
        for matter in matters:
            known = self._matters.get((matter.alert.event, matter.subject))
            if known is None:
                matter.inherited, matter.changed = True, False
                self._matters[matter.alert.event, matter.subject] = matter
            elif known.told_at is None:
                known.told_at, known.relapses = matter.told_at, matter.relapses
                known.since = min(known.since, matter.since)
