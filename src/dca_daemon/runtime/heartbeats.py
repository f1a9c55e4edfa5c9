"""Signs of life: a service that goes on beats; one that hangs falls silent and is found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

Clock = Callable[[], float]


class Heartbeats:
    """Who must beat how often. Times are of a monotonic clock."""

    def __init__(
        self, max_age_seconds: Mapping[str, float] | None = None, *, clock: Clock = time.monotonic
    ) -> None:
        self._clock = clock
        self._max_age_seconds: dict[str, float] = {}
        self._last: dict[str, float] = {}
        for name, age in (max_age_seconds or {}).items():
            self.register(name, age)

    def register(self, name: str, max_age_seconds: float) -> None:
        """From now on `name` must beat at least this often. Registering counts as a beat."""
        self._max_age_seconds[name] = max_age_seconds
        self._last[name] = self._clock()

    def unregister(self, name: str) -> None:
        """It has ended as it should: nobody waits for it any more."""
        self._max_age_seconds.pop(name, None)
        self._last.pop(name, None)

    def beat(self, name: str) -> None:
        """`name` is alive. One that was not registered is not watched."""
        if name in self._last:
            self._last[name] = self._clock()

    def stale(self) -> dict[str, float]:
        """Who has been silent for too long, and for how many seconds."""
        now = self._clock()
        ages = {name: now - last for name, last in self._last.items()}
        return {name: age for name, age in ages.items() if age > self._max_age_seconds[name]}

    def fresh(self) -> bool:
        """Whether all are alive."""
        return not self.stale()
