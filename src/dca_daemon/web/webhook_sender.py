"""Sends to webhooks what happened: one process at a time, one delivery after another for each webhook."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from dca_daemon.domain.errors import ConfigError, DatabaseError
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import webhook_deliveries
from dca_daemon.services.events import Feed
from dca_daemon.services.subscriptions import Subscriptions
from dca_daemon.services.webhook_deliveries import Attempt, Target
from dca_daemon.services.webhook_http import Answer, WebhookHttpConfig, post, signed_headers

log = structlog.get_logger()

_IDLE_SECONDS = 30.0
_STANDBY_SECONDS = 5.0
_AT_ONCE = 8  # webhooks that are sent to at the same time
_IN_A_ROW = 50  # deliveries, then the others' turn
_REST_FIRST_SECONDS = 1.0
_REST_LAST_SECONDS = 60.0


class _Rests:
    """Which webhooks rest, because what was sent to them last was not accepted: a backlog is not tried piece by
    piece against a receiver that is down."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[int, int] = {}
        self._until: dict[int, float] = {}

    def accepted(self, webhook_id: int) -> int:
        """It answers well; how often it had failed before."""
        self._until.pop(webhook_id, None)
        return self._failures.pop(webhook_id, 0)

    def failed(self, webhook_id: int) -> int:
        """It rests now, longer each time; how often it has failed in a row."""
        failures = self._failures.get(webhook_id, 0) + 1
        longest = min(_REST_LAST_SECONDS, _REST_FIRST_SECONDS * 2 ** min(failures - 1, 10))
        self._failures[webhook_id] = failures
        self._until[webhook_id] = self._clock() + longest * random.uniform(0.8, 1.0)  # noqa: S311 - jitter
        return failures

    def left_seconds(self, webhook_id: int) -> float:
        """How long it is still to rest."""
        return max(0.0, self._until.get(webhook_id, 0.0) - self._clock())


class WebhookSender:
    """Runs in the console's process. Several may run: the holder of a lock sends, the others stand by."""

    def __init__(
        self,
        db: Database,
        keys: KeyRing,
        feed: Feed,
        subscriptions: Subscriptions,
        config: WebhookHttpConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._keys = keys
        self._feed = feed
        self._subscriptions = subscriptions
        self._config = config or WebhookHttpConfig()
        self._clock = clock
        self._rests = _Rests(clock)
        self._broken = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. What was begun is finished; nothing is lost that is not."""
        with self._subscriptions.subscribed() as news:
            while not stop.is_set() and not news.closed:
                news.take()
                seconds = await self._pass(stop)
                await news.wait(seconds)

    async def _pass(self, stop: asyncio.Event) -> float:
        """Plans and sends what is due; in how many seconds there is more to do, if nothing happens before."""
        try:
            async with self._db.session_lock(lock_keys.WEBHOOKS) as ours:
                seconds = await self.send_due(stop) if ours else _STANDBY_SECONDS
        except DatabaseError as error:
            if not self._broken:
                log.warning("webhook.sender-waits", error=str(error), retry_seconds=_STANDBY_SECONDS)
            self._broken = True
            return _STANDBY_SECONDS
        self._broken = False
        return seconds

    async def send_due(self, stop: asyncio.Event) -> float:
        """One pass, whoever has the lock; in how many seconds the next one is due."""
        await webhook_deliveries.plan(self._db, self._feed)
        targets = await webhook_deliveries.due(self._db)
        ready = [t for t in targets if not self._rests.left_seconds(t.webhook_id)]
        room = asyncio.Semaphore(_AT_ONCE)
        faults: list[DatabaseError] = []

        async def send(target: Target) -> None:
            async with room:
                try:
                    await self._send_to(target, stop)
                except DatabaseError as error:
                    faults.append(error)

        async with asyncio.TaskGroup() as group:
            for target in ready:
                group.create_task(send(target))
        if faults:
            raise faults[0]
        return await self._next_seconds()

    async def _next_seconds(self) -> float:
        resting = [self._rests.left_seconds(t.webhook_id) for t in await webhook_deliveries.due(self._db)]
        if resting:
            return min(resting)
        due_at = await webhook_deliveries.next_due_at(self._db)
        if due_at is None:
            return _IDLE_SECONDS
        return min(_IDLE_SECONDS, max(0.1, (due_at - datetime.now(UTC)).total_seconds()))

    async def _send_to(self, target: Target, stop: asyncio.Event) -> None:
        for _ in range(_IN_A_ROW):
            if stop.is_set():
                return
            attempt = await webhook_deliveries.take(self._db, target.webhook_id)
            if attempt is None:
                return
            answer = await self._send(target, attempt)
            if not answer.accepted:
                await self._not_accepted(target, attempt, answer)
                return
            await webhook_deliveries.accepted(self._db, attempt, answer)
            if failures := self._rests.accepted(target.webhook_id):
                log.info("webhook.recovered", webhook_id=target.webhook_id, name=target.name, failures=failures)

    async def _send(self, target: Target, attempt: Attempt) -> Answer:
        body = attempt.body.encode()
        try:
            secret = self._keys.decrypt(target.secret_encrypted)
        except ConfigError as error:
            return Answer(None, str(error))
        headers = signed_headers(secret, attempt.message_id, int(time.time()), body)
        return await post(target.url, body, headers, self._config)

    async def _not_accepted(self, target: Target, attempt: Attempt, answer: Answer) -> None:
        failures = self._rests.failed(target.webhook_id)
        if failures == 1:
            log.warning(
                "webhook.failing",
                webhook_id=target.webhook_id,
                name=target.name,
                delivery_id=attempt.delivery_id,
                status=answer.status,
                error=answer.text,
            )
        await webhook_deliveries.failed(self._db, attempt, answer)
