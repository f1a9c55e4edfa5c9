"""Log lines: for people on a terminal, one JSON object a line otherwise; always on stderr, never a secret.

Every line has an `event` with a stable name (docs/events.md). Lines of libraries pass through the same
processors, as event `library` with their text as `message`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from dca_daemon.runtime.redaction import redact, redact_text, register_secret

LogFormat = Literal["auto", "console", "json"]
EventCounter = Callable[[str, str], None]  # (event, level)
EventListener = Callable[[Mapping[str, Any]], None]

# What libraries tell below these levels is noise, or repeats what our own events say.
_LIBRARY_LEVELS = {
    "alembic": logging.WARNING,
    "asyncssh": logging.WARNING,  # INFO is a line for each connection that is forwarded
    "apprise": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,  # INFO is a line for each request
    "psycopg": logging.WARNING,
    "psycopg.pool": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "urllib3": logging.WARNING,  # DEBUG tells addresses, in which a token may be
    "uvicorn": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
}

_counter: EventCounter | None = None
_listener: EventListener | None = None
_held: ContextVar[list[tuple[str, dict[str, Any]]] | None] = ContextVar("held_lines", default=None)


def configure_logging(
    *,
    level: str = "info",
    format: LogFormat = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Sets up structlog and the standard library's logging. May be called again (settings read)."""
    for secret in secrets:
        register_secret(secret)
    target = sys.stderr if stream is None else stream
    console = format == "console" or (format == "auto" and target.isatty())
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            _hold_back,
            *_shared(),
            _Least(least),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        # An all-clear is an info line: counted and heard even where only warnings are shown.
        wrapper_class=structlog.make_filtering_bound_logger(min(least, logging.INFO)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_library_line, *_shared()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(console, target),
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        if getattr(old, "is_ours", False):
            root.removeHandler(old)
    handler.is_ours = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(least)
    for name, library_level in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(max(least, library_level))
    logging.captureWarnings(True)


def count_events_with(counter: EventCounter | None) -> None:
    """From now on each line calls `counter(event, level)`: see `metrics.Metrics.count_event`."""
    global _counter
    _counter = counter


def listen_with(listener: EventListener | None) -> None:
    """From now on each line, with nothing secret in it, is given to `listener`, which must return at once."""
    global _listener
    _listener = listener


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Keeps our own lines back within the block, for work that may yet be taken back. Gives the function to
    call once it is certain: they go out then; else they never were."""
    lines: list[tuple[str, dict[str, Any]]] = []
    certain = False

    def let_go() -> None:
        nonlocal certain
        certain = True

    token = _held.set(lines)
    try:
        yield let_go
    finally:
        _held.reset(token)
        if certain:
            for method, line in lines:
                getattr(structlog.get_logger(), method)(**line)


def _hold_back(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    held = _held.get()
    if held is None:
        return event
    held.append((method, dict(event)))
    raise structlog.DropEvent


def _shared() -> list[Processor]:
    """What our own lines and the libraries' go through alike."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        _add_time,
        _ExceptionField(),
        structlog.processors.StackInfoRenderer(),
        _count,
        _redact_line,
        _listen,
    ]


def _add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["ts"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return event


class _ExceptionField:
    """A traceback as one text field, `exception`, so that a JSON line stays one line."""

    def __init__(self) -> None:
        self._format = structlog.processors.ExceptionRenderer()

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if event.get("exc_info"):
            return self._format(logger, method, event)
        event.pop("exc_info", None)
        return event


def _name_library_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["message"] = event["event"]
    event["event"] = "library"
    return event


def _count(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if _counter is not None:
        _counter(str(event.get("event", "")), str(event.get("level", method)))
    return event


class _Least:
    """Drops what is below the level that is shown."""

    def __init__(self, least: int) -> None:
        self._least = least

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if logging.getLevelNamesMapping()[str(event.get("level", method)).upper()] < self._least:
            raise structlog.DropEvent
        return event


def _listen(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if _listener is not None:
        with suppress(Exception):  # who logs must not be disturbed by who listens
            _listener(event)
    return event


_PLAIN_KEYS = frozenset({"ts", "level", "event", "logger", "_record", "_from_structlog", "_logger", "_name"})


def _redact_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # `event` is ours: a literal, from source code. Everything else may hold something from outside.
    for key, value in redact({k: v for k, v in event.items() if k not in _PLAIN_KEYS}).items():
        event[key] = value
    event["event"] = redact_text(str(event["event"]))
    return event


def _renderer(console: bool, target: TextIO) -> Processor:
    if console:
        return structlog.dev.ConsoleRenderer(
            colors=target.isatty(), timestamp_key="ts", exception_formatter=structlog.dev.plain_traceback
        )
    return _JsonLine()


class _JsonLine:
    """One JSON object a line, the keys that every line has first."""

    _first = ("ts", "level", "event", "logger")

    def __init__(self) -> None:
        self._dump: Any = structlog.processors.JSONRenderer(ensure_ascii=False)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        ordered = {key: event.pop(key) for key in self._first if key in event}
        return str(self._dump(logger, method, {**ordered, **event}))
