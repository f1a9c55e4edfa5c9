"""Ctrl-C, SIGTERM and a closed terminal end the demo by one way, at any moment, with everything cleaned up."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Somebody wants the demo to end. A KeyboardInterrupt, so that it passes through event loops."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


class Interrupts:
    """While entered, the first of the signals raises `Interrupted` in the main thread, but not within `held`.

    Those that follow are ignored: then the demo is cleaning up.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._holding = 0
        self._pending: int | None = None
        self._ignoring = False

    def __enter__(self) -> Interrupts:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or in the background of a script
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._ignoring:
            return
        if self._holding:
            self._pending = number
            return
        self._ignoring = True
        raise Interrupted(number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A signal waits until the end of the block: for a process that must be known before it can be ended."""
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1
        if self._pending is not None and not self._holding and not self._ignoring:
            self._ignoring = True
            raise Interrupted(self._pending)

    def ignore(self) -> None:
        """From now on nothing interrupts: cleaning up takes seconds, and must come to its end."""
        self._ignoring = True
