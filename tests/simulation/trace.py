"""What happened in a simulated world, for who looks into a failing seed; and errors that nobody may overlook."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from tests.simulation.process import InjectedError
from tests.simulation.tables import now_seconds

LINES_MAX = 4_000


class Trace:
    """The last lines; `unexpected` are errors of the program that no fault of ours explains."""

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self.lines: deque[str] = deque(maxlen=LINES_MAX)
        self.unexpected: list[BaseException] = []

    def note(self, who: str, what: str, **more: object) -> None:
        if self._keep:
            told = " ".join(f"{key}={value}" for key, value in more.items())
            self.lines.append(f"{now_seconds():10.3f}  {who:<9} {what} {told}".rstrip())

    def _log_line(self, _logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        error = sys.exc_info()[1] if event.pop("exc_info", None) else None
        if error is not None and not isinstance(error, InjectedError):
            self.unexpected.append(error)
        if self._keep:
            self.note("daemon", f"{event.pop('event')} [{method}]", **event)
        raise structlog.DropEvent


@contextmanager
def tracing(trace: Trace) -> Iterator[None]:
    """The program's log lines go to the trace. Raises the first unexpected error."""
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, trace._log_line],
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
    if trace.unexpected:
        raise trace.unexpected[0]
