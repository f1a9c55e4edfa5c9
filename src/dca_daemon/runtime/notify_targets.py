"""Where notifications go: one address of apprise each (mailto://, ntfy://, tgram://, nostr://, json://, …).

apprise is imported when it is first needed: it takes a fifth of a second. It blocks, so each message has a thread
of its own, which does not keep the daemon from ending.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dca_daemon.domain.errors import ConfigError, DcaError
from dca_daemon.runtime.alert_message import Message
from dca_daemon.runtime.redaction import redact_text

if TYPE_CHECKING:
    from apprise import AppriseAsset, NotifyBase

_PATIENCE_SECONDS = 60.0
_LONGEST_REASON = 300


class NotifyError(DcaError):
    """A notification could not be sent."""

    code = "notify-failed"


class Target:
    """One address. `name` tells which without telling the address: its kind, and its line among those set."""

    def __init__(self, name: str, service: NotifyBase) -> None:
        self.name = name
        self._service = service

    async def send(self, message: Message, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Raises `NotifyError` with the reason, as far as it is known."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str | None] = loop.create_future()

        def settle(reason: str | None) -> None:
            if not done.done():
                done.set_result(reason)

        def work() -> None:
            reason = self._send(message)
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, reason)

        threading.Thread(target=work, name=f"notify {self.name}", daemon=True).start()
        try:
            async with asyncio.timeout(patience_seconds):
                reason = await done
        except TimeoutError:
            reason = f"no answer within {patience_seconds:.0f} s"
        if reason is not None:
            raise NotifyError(reason)

    def _send(self, message: Message) -> str | None:
        """Why it could not be sent; None if it was. Never raises: it has a thread of its own."""
        import apprise

        with _said() as lines:
            try:
                sent = self._service.notify(
                    title=message.title, body=message.body, notify_type=apprise.NotifyType(message.tone)
                )
            except Exception as error:  # noqa: BLE001 - a plugin's fault is a message that was not sent
                return redact_text(f"{type(error).__name__}: {error}")
        if sent:
            return None
        return redact_text(" ".join(lines)[:_LONGEST_REASON]) if lines else "it was refused"


@contextmanager
def _said() -> Iterator[list[str]]:
    """What apprise logs within the block, in this thread. It is kept out of the daemon's own log."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    handler = _Lines(threading.get_ident())
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self, thread: int) -> None:
        super().__init__()
        self._thread = thread
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())


def open_targets(urls: Sequence[str]) -> list[Target]:
    """Raises `ConfigError` that tells which line is wrong, and never what is in it."""
    if not urls:
        return []
    targets = []
    for number, url in enumerate(urls, 1):
        service = _service(url)
        if service is None:
            raise ConfigError(
                f"setting notify.urls: line {number} is no address that apprise knows",
                remedy="see docs/alerts.md for examples, or apprise's own documentation for every service",
            )
        targets.append(Target(f"{url.partition(':')[0].lower()} {number}", service))
    return targets


def _service(url: str) -> NotifyBase | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of modules that its plugins look for
        import apprise

        service: NotifyBase | None = apprise.Apprise.instantiate(url, asset=_asset(), suppress_exceptions=True)
        return service


def _asset() -> AppriseAsset:
    import apprise

    # Nothing is written to disk; no picture of apprise's own is linked to.
    return apprise.AppriseAsset(
        app_id="dca-daemon",
        app_desc="dca-daemon",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        async_mode=False,
    )
