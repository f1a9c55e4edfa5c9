"""How often to try again, and how often to say so: a steady outage is one story, not ten thousand lines."""

from __future__ import annotations

import random
import time

_FIRST_DELAY_SECONDS = 0.2
_LAST_DELAY_SECONDS = 4.0  # with what a connection takes: well within ten seconds of the return
_FIRST_REMINDER_SECONDS = 60.0
_LAST_REMINDER_SECONDS = 3600.0


class Outage:
    """Counts failures in a row. Delays between tries grow from 0.2 s to 4 s, with jitter, without end."""

    def __init__(self) -> None:
        self.failures = 0
        self._since = 0.0
        self._reminder_at = 0.0
        self._reminder_seconds = _FIRST_REMINDER_SECONDS

    def failed(self) -> bool:
        """Notes a failure. Tells whether to log it: the first, then at intervals that double up to an hour."""
        now = time.monotonic()
        self.failures += 1
        if self.failures == 1:
            self._since, self._reminder_seconds = now, _FIRST_REMINDER_SECONDS
        elif now < self._reminder_at:
            return False
        else:
            self._reminder_seconds = min(self._reminder_seconds * 2, _LAST_REMINDER_SECONDS)
        self._reminder_at = now + self._reminder_seconds
        return True

    def recovered(self) -> float | None:
        """Notes success. How long the outage was, in seconds; None when there was none."""
        if not self.failures:
            return None
        self.failures = 0
        return round(time.monotonic() - self._since, 1)

    @property
    def delay_seconds(self) -> float:
        """How long to wait before the next try: half of it is chance, so that many do not come back at once."""
        exponent = min(max(self.failures - 1, 0), 16)
        ceiling = min(_FIRST_DELAY_SECONDS * 2.0**exponent, _LAST_DELAY_SECONDS)
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
