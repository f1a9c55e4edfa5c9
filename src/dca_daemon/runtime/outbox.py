"""The messages that wait for one target of the notifications."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from dca_daemon.runtime.alert_message import Message, duration

log = structlog.get_logger()

_WAITING_AT_MOST = 50  # while the target can't be reached
_BACKOFF_FIRST_SECONDS = 5.0
_BACKOFF_LAST_SECONDS = 600.0
_LATE_SECONDS = 300.0
_LAST_WORD_SECONDS = 4.0


class Sender(Protocol):
    """Where messages go."""

    @property
    def name(self) -> str:
        """Which one it is, for the log; not its address."""

    async def send(self, message: Message, *, patience_seconds: float = ...) -> None:
        """Raises `DcaError` with the reason."""


class Outbox:
    """One that can't be sent is tried again until it can. `on_done` is called after each that was sent, `on_sent`
    after each attempt."""

    def __init__(
        self,
        target: Sender,
        on_done: Callable[[], Awaitable[None]],
        on_sent: Callable[[bool], None],
        clock: Callable[[], float],
    ) -> None:
        self._target = target
        self._clock = clock
        self._on_done = on_done
        self._on_sent = on_sent
        self._waiting: deque[tuple[Message, float]] = deque()
        self._some = asyncio.Event()
        self._failures = 0

    def put(self, told: Message, at: float) -> None:
        """Of too many that wait, the oldest is left out."""
        if len(self._waiting) >= _WAITING_AT_MOST:
            self._waiting.popleft()
            log.warning("notify.dropped", dropped=1, target=self._target.name)
        self._waiting.append((told, at))
        self._some.set()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await self._some.wait()
            while self._waiting:
                told, at = self._waiting[0]
                if await self._try(_late(told, self._clock() - at)):
                    if self._waiting and self._waiting[0][0] is told:
                        self._waiting.popleft()
                    await self._on_done()
                else:
                    await asyncio.sleep(self._delay_seconds)
            self._some.clear()

    @property
    def _delay_seconds(self) -> float:
        return min(_BACKOFF_LAST_SECONDS, _BACKOFF_FIRST_SECONDS * 2.0 ** min(self._failures - 1, 10))

    async def _try(self, told: Message) -> bool:
        try:
            await self._target.send(told)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            self._failures += 1
            self._on_sent(False)
            if self._failures == 1:
                text = str(error) or type(error).__name__
                log.warning(
                    "notify.failed", target=self._target.name, error=text, retry_seconds=self._delay_seconds
                )
            return False
        self._on_sent(True)
        if self._failures:
            log.info("notify.recovered", target=self._target.name, failures=self._failures)
        self._failures = 0
        return True

    async def last_word(self, told: Message) -> None:
        """One try, within seconds."""
        try:
            await self._target.send(told, patience_seconds=_LAST_WORD_SECONDS)
        except Exception as error:  # noqa: BLE001 - the process ends; the log has it all
            log.warning("notify.failed", target=self._target.name, error=str(error), retry_seconds=None)


def _late(told: Message, late_seconds: float) -> Message:
    if late_seconds < _LATE_SECONDS:
        return told
    body = f"{told.body}\n\nThis message is {duration(late_seconds)} late: it could not be sent before."
    return Message(told.title, body, told.tone)
