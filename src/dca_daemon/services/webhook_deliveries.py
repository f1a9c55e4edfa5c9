"""What is sent to webhooks, and what becomes of it. Each step is one transaction; sending is between two of them.

An event becomes one delivery for each webhook that wants its kind, in the transaction that moves the webhook's
mark. A delivery is sent until it is accepted, at growing intervals for three days. It may be accepted twice: when
we never heard that it was, or were killed before we wrote it down.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError
from dca_daemon.ledger.db import Database, execute, one, rows, scalar
from dca_daemon.services.audit import audit
from dca_daemon.services.events import EVERYTHING, Event, Feed
from dca_daemon.services.webhook_http import Answer

log = structlog.get_logger()

ACTOR = "console"
PLANNED_AT_ONCE = 500
HOUR = 3600
# Before the second attempt, the third, and so on: 72 hours in all.
WAITS_SECONDS = (5, 30, 120, 600, 1800, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, *(8 * HOUR,) * 7)
FAILING_DAYS = 3
LEASE_SECONDS = 60  # a sender that was killed within an attempt: the next one is made after so long
GONE = 410


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook that has something to be sent now."""

    webhook_id: int
    name: str
    url: str
    secret_encrypted: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery that is to be sent now. `attempts` counts this one."""

    delivery_id: int
    webhook_id: int
    event_id: int
    kind: str
    body: str
    attempts: int

    @property
    def message_id(self) -> str:
        """The same at each attempt, and never another event's, even if a restored backup reuses the number."""
        return f"evt_{self.event_id}_{hashlib.sha256(self.body.encode()).hexdigest()[:12]}"


def body_of(event: Event) -> str:
    """What is sent: an event as JSON."""
    return json.dumps(
        {
            "id": event.event_id,
            "at": event.at.astimezone(UTC).isoformat(),
            "kind": event.kind,
            "subject": event.subject,
            "data": event.data,
        },
        ensure_ascii=False,
    )


async def plan(db: Database, feed: Feed) -> int:
    """Makes the deliveries of what has happened since the last time; how many."""
    async with db.transaction() as conn:
        found = await rows(
            conn, "SELECT id, kinds, after_event_id FROM webhook WHERE disabled_at IS NULL ORDER BY id"
        )
    planned = 0
    for webhook in found:
        after, more = webhook.after_event_id, True
        kinds = [] if EVERYTHING in webhook.kinds else webhook.kinds
        while more:
            try:
                page = await feed.page(after, limit=PLANNED_AT_ONCE, kinds=kinds)
            except ConflictError:  # numbers are given out again: the database was set back
                await _plan(db, webhook.id, after, await feed.newest(), ())
                break
            planned += await _plan(db, webhook.id, after, page.next_after, page.events)
            after, more = page.next_after, not page.is_last
    return planned


async def _plan(db: Database, webhook_id: int, after: int, until: int, events: tuple[Event, ...]) -> int:
    if until == after:
        return 0

    async def work(conn: AsyncConnection) -> int:
        moved = await execute(
            conn,
            """UPDATE webhook SET after_event_id = :until
                WHERE id = :id AND after_event_id = :after AND disabled_at IS NULL""",
            id=webhook_id,
            after=after,
            until=until,
        )
        return await _insert(conn, webhook_id, events) if moved and events else 0

    return await db.run(work)


async def _insert(conn: AsyncConnection, webhook_id: int, events: tuple[Event, ...]) -> int:
    return await execute(
        conn,
        """INSERT INTO webhook_delivery (webhook_id, event_id, kind, body)
           SELECT :id, * FROM unnest(CAST(:events AS bigint[]), CAST(:kinds AS text[]), CAST(:bodies AS text[]))
           ON CONFLICT (webhook_id, event_id) DO NOTHING""",
        id=webhook_id,
        events=[e.event_id for e in events],
        kinds=[e.kind for e in events],
        bodies=[body_of(e) for e in events],
    )


async def plan_one(conn: AsyncConnection, webhook_id: int, event_id: int) -> int:
    """The delivery of one event, whatever the webhook's kinds; its id."""
    found = await one(
        conn, "SELECT id AS event_id, at, kind, subject, data FROM event WHERE id = :id", id=event_id
    )
    await _insert(conn, webhook_id, (Event(**found._mapping),))
    return int(
        await scalar(
            conn,
            "SELECT id FROM webhook_delivery WHERE webhook_id = :webhook AND event_id = :event",
            webhook=webhook_id,
            event=event_id,
        )
    )


async def due(db: Database) -> list[Target]:
    """The webhooks that have something to be sent now."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            """SELECT w.id AS webhook_id, w.name, w.url, w.secret_encrypted FROM webhook w
                WHERE w.disabled_at IS NULL
                  AND EXISTS (SELECT FROM webhook_delivery d WHERE d.webhook_id = w.id AND d.state = 'pending'
                                 AND d.next_attempt_at <= clock_timestamp())
                ORDER BY w.id""",
        )
    return [Target(**{**r._mapping, "secret_encrypted": bytes(r.secret_encrypted)}) for r in found]


async def next_due_at(db: Database) -> datetime | None:
    """When the next attempt is to be made."""
    async with db.transaction() as conn:
        found: datetime | None = await scalar(
            conn,
            """SELECT min(d.next_attempt_at) FROM webhook w
                CROSS JOIN LATERAL (SELECT next_attempt_at FROM webhook_delivery
                                     WHERE webhook_id = w.id AND state = 'pending'
                                     ORDER BY next_attempt_at LIMIT 1) d
                WHERE w.disabled_at IS NULL""",
        )
    return found


async def take(db: Database, webhook_id: int) -> Attempt | None:
    """The oldest event that is to be sent to a webhook now. Who takes it sends it: nobody else does meanwhile."""

    async def work(conn: AsyncConnection) -> Any:
        return await one(
            conn,
            """UPDATE webhook_delivery SET attempts = attempts + 1,
                      next_attempt_at = clock_timestamp() + make_interval(secs => :lease)
                WHERE id = (SELECT id FROM webhook_delivery
                             WHERE webhook_id = :id AND state = 'pending' AND next_attempt_at <= clock_timestamp()
                             ORDER BY event_id LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id AS delivery_id, webhook_id, event_id, kind, body, attempts""",
            id=webhook_id,
            lease=LEASE_SECONDS,
        )

    found = await db.run(work)
    return None if found is None else Attempt(**found._mapping)


async def accepted(db: Database, attempt: Attempt, answer: Answer) -> None:
    """The receiver has it."""

    async def work(conn: AsyncConnection) -> None:
        await execute(
            conn,
            """UPDATE webhook_delivery SET state = 'delivered', ended_at = clock_timestamp(),
                      last_status = :status, last_error = NULL
                WHERE id = :id AND state <> 'delivered'""",
            id=attempt.delivery_id,
            status=answer.status,
        )

    await db.run(work)


async def failed(db: Database, attempt: Attempt, answer: Answer) -> bool:
    """It was not accepted: it is sent again later, or given up. Whether the webhook goes on."""
    waits = WAITS_SECONDS[attempt.attempts - 1] if attempt.attempts <= len(WAITS_SECONDS) else None

    async def work(conn: AsyncConnection) -> str | None:
        await one(conn, "SELECT id FROM webhook WHERE id = :id FOR NO KEY UPDATE", id=attempt.webhook_id)
        await execute(
            conn,
            """UPDATE webhook_delivery SET last_status = :status, last_error = :error,
                      state = CASE WHEN CAST(:seconds AS double precision) IS NULL THEN 'given-up' ELSE state END,
                      ended_at = CASE WHEN CAST(:seconds AS double precision) IS NULL THEN clock_timestamp() END,
                      next_attempt_at = clock_timestamp() + make_interval(secs => coalesce(:seconds, 0))
                WHERE id = :id AND state = 'pending'""",
            id=attempt.delivery_id,
            status=answer.status,
            error=answer.text,
            seconds=None if waits is None else waits * random.uniform(0.9, 1.1),  # noqa: S311 - spreads load
        )
        reason = await _no_use(conn, attempt, answer, given_up=waits is None)
        if reason is not None:
            await end_webhook(conn, attempt.webhook_id, reason=reason, actor=ACTOR)
        return reason

    reason = await db.run(work)
    if waits is None:
        log.error(
            "webhook.given-up",
            webhook_id=attempt.webhook_id,
            delivery_id=attempt.delivery_id,
            kind=attempt.kind,
            attempts=attempt.attempts,
            status=answer.status,
            error=answer.text,
        )
    if reason is not None:
        log.error("webhook.ended", webhook_id=attempt.webhook_id, reason=reason)
    return reason is None


async def _no_use(conn: AsyncConnection, attempt: Attempt, answer: Answer, *, given_up: bool) -> str | None:
    """Why nothing more is to be sent to this webhook, if that is so."""
    if answer.status == GONE:
        return f"it answered {GONE}: nobody is there any more"
    if not given_up:
        return None
    delivered = await scalar(
        conn,
        """SELECT EXISTS (SELECT FROM webhook_delivery WHERE webhook_id = :id AND state = 'delivered'
                             AND ended_at > clock_timestamp() - make_interval(days => :days))""",
        id=attempt.webhook_id,
        days=FAILING_DAYS,
    )
    return None if delivered else f"nothing could be delivered for {FAILING_DAYS} days"


async def end_webhook(conn: AsyncConnection, webhook_id: int, *, reason: str, actor: str) -> None:
    """Disables a webhook, and gives up what still waits to be sent. One that is disabled stays as it is."""
    touched = await execute(
        conn,
        """UPDATE webhook SET disabled_at = clock_timestamp(), disabled_reason = :reason
            WHERE id = :id AND disabled_at IS NULL""",
        id=webhook_id,
        reason=reason,
    )
    if not touched:
        return
    given_up = await execute(
        conn,
        """UPDATE webhook_delivery SET state = 'given-up', ended_at = clock_timestamp(),
                  last_error = coalesce(last_error, 'the webhook was disabled')
            WHERE webhook_id = :id AND state = 'pending'""",
        id=webhook_id,
    )
    await audit(
        conn,
        actor=actor,
        action="webhook.disable",
        subject=f"webhook:{webhook_id}",
        after={"given_up": given_up},
        reason=reason,
    )
