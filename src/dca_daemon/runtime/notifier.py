"""Sends notifications of what the log tells: hears each line, and never holds up who logged it.

    log ─► hear ─► bounded queue ─► desk (what is to be told, when) ─► an outbox for each target ─► sent

Nothing of the daemon waits for it, and no fault of it ends anything else.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from dca_daemon.domain.alerts import CATALOGUE
from dca_daemon.domain.errors import DcaError
from dca_daemon.runtime.alert_desk import NOTED, SHOWN, AlertDesk, Matter
from dca_daemon.runtime.alert_message import message
from dca_daemon.runtime.outbox import Outbox, Sender
from dca_daemon.services.alert_state import KeptAlert

log = structlog.get_logger()

_HEARD_AT_MOST = 1000
_LOAD_SECONDS = 5.0
_LAST_KEEP_SECONDS = 1.5
_YOUNG_SECONDS = 600.0
_FAULT_SECONDS = 1.0
_WANTED = frozenset(SHOWN) | {alert.subject for alert in CATALOGUE.values() if alert.subject}


class Notifier:
    """`load` and `save` keep what was told; both may raise `DcaError`. `on_sent` is told of each attempt.

    Without targets it only keeps count of what is wrong.
    """

    def __init__(
        self,
        targets: Sequence[Sender],
        desk: AlertDesk,
        *,
        name: str,
        load: Callable[[], Awaitable[Sequence[KeptAlert]]],
        save: Callable[[Sequence[KeptAlert]], Awaitable[None]],
        on_sent: Callable[[bool], None] = lambda ok: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.desk = desk
        self._name = name
        self._load = load
        self._save = save
        self._clock = clock
        self._began = clock()
        self._outboxes = [Outbox(target, self._keep, on_sent, clock) for target in targets]
        self._heard: deque[tuple[str, dict[str, Any], float]] = deque()
        self._dropped = 0
        self._loaded = False
        self._fault_told = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def hear(self, line: Mapping[str, Any]) -> None:
        """For `logging.listen_with`. Returns at once; may be called from any thread."""
        event = line.get("event")
        if event not in NOTED:
            return
        if len(self._heard) >= _HEARD_AT_MOST:
            self._dropped += 1
            return
        fields = {name: line[name] for name in _WANTED if name in line}
        self._heard.append((str(event), fields, self._clock()))
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            deliveries = [tasks.create_task(outbox.run()) for outbox in self._outboxes]
            stopping = tasks.create_task(stop.wait())
            await self._inherit()
            while not stop.is_set():
                self._woken.clear()
                try:
                    await self._work()
                except Exception:  # noqa: BLE001 - whatever it is, money goes on
                    self._tell_fault()
                    await asyncio.sleep(_FAULT_SECONDS)
                await self._until_something(stopping)
            for task in deliveries:
                task.cancel()

    async def _work(self) -> None:
        await self._drain()
        if self._outboxes and (items := self.desk.collect(self._clock())):
            told = message(items, self._clock(), name=self._name)
            for outbox in self._outboxes:
                outbox.put(told, self._clock())

    def _tell_fault(self) -> None:
        if not self._fault_told:
            self._fault_told = True
            log.exception("notify.error")

    async def _drain(self) -> None:
        while self._heard:
            event, fields, at = self._heard.popleft()
            if event == "daemon.active" and not self._loaded:
                await self._inherit()  # our database answers by now
            self.desk.note(event, fields, at)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            log.warning("notify.dropped", dropped=dropped)

    async def _until_something(self, stopping: asyncio.Task[Any]) -> None:
        due_at = self.desk.due_at() if self._outboxes else None
        seconds = None if due_at is None else max(0.0, due_at - self._clock())
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait({woken, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()

    async def finish(self, *, failed: bool) -> None:
        """At the end of the process: a fault that ends it is told of at once, in a few seconds or not at all."""
        try:
            await self._end(failed)
        except Exception:  # noqa: BLE001 - the process ends in its own way
            self._tell_fault()

    async def _end(self, failed: bool) -> None:
        await self._drain()
        known = self._loaded or self._clock() - self._began > _YOUNG_SECONDS  # or each of many starts would tell
        if failed and known and self._outboxes and (items := self.desk.collect_final(self._clock())):
            told = message(items, self._clock(), name=self._name)
            await asyncio.gather(*(outbox.last_word(told) for outbox in self._outboxes))
        await self._keep(_LAST_KEEP_SECONDS)

    async def _inherit(self) -> None:
        if not self._outboxes:
            return
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                kept = await self._load()
        except (DcaError, TimeoutError):  # our database is away; tried again once the daemon is active
            return
        except Exception:  # noqa: BLE001 - messages go out all the same
            self._tell_fault()
            return
        self._loaded = True
        known = [alert for alert in kept if alert.event in CATALOGUE]
        self.desk.inherit(self._matter(alert) for alert in known)

    async def _keep(self, patience_seconds: float = _LOAD_SECONDS) -> None:
        matters = list(self.desk.to_keep()) if self._outboxes else []
        if not matters:
            return
        kept = False
        try:
            async with asyncio.timeout(patience_seconds):
                await self._save([self._kept(matter) for matter in matters])
            kept = True
        except (DcaError, TimeoutError):  # our database is away
            pass
        except Exception:  # noqa: BLE001 - likewise
            self._tell_fault()
        finally:
            for matter in matters:  # the next time they are kept together with what comes then
                matter.changed = matter.changed or not kept

    def _matter(self, kept: KeptAlert) -> Matter:
        now, clock = datetime.now(UTC), self._clock()

        def ours(at: datetime | None) -> float | None:
            return None if at is None else clock - (now - at).total_seconds()

        since = ours(kept.since)
        return Matter(
            CATALOGUE[kept.event],
            kept.subject,
            clock if since is None else since,
            open=kept.calm_at is None,
            told_at=ours(kept.told_at),
            calm_at=ours(kept.calm_at),
            relapses=kept.relapses,
        )

    def _kept(self, matter: Matter) -> KeptAlert:
        now, clock = datetime.now(UTC), self._clock()

        def theirs(at: float | None) -> datetime | None:
            return None if at is None else now - timedelta(seconds=clock - at)

        return KeptAlert(
            matter.alert.event,
            matter.subject,
            theirs(matter.since) or now,
            theirs(matter.told_at),
            theirs(matter.calm_at),
            matter.relapses,
        )
