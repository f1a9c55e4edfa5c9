"""Webhooks: programs elsewhere that are told what happens here. What is sent when: `webhook_deliveries`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, constraint, execute, one, rows, scalar
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import webhook_deliveries
from dca_daemon.services.audit import audit
from dca_daemon.services.decisions import a_reason
from dca_daemon.services.events import EVERYTHING, check_kinds, newest_id
from dca_daemon.services.pools import clean_name
from dca_daemon.services.webhook_http import WebhookHttpConfig, check_url, new_secret

log = structlog.get_logger()

WEBHOOKS_MAX = 50
TEST = "webhook.test"


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook. `url` is shown without its query, which may hold a secret; the numbers are of its deliveries that
    are kept."""

    webhook_id: int
    name: str
    url: str
    kinds: tuple[str, ...]
    created_by: str
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None
    pending: int
    delivered: int
    given_up: int
    last_delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """An event that is, or was, sent to a webhook. `next_attempt_at`: while it is pending."""

    delivery_id: int
    webhook_id: int
    event_id: int
    kind: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None
    body: str


async def add(
    db: Database,
    keys: KeyRing,
    *,
    name: str,
    url: str,
    kinds: Sequence[str],
    config: WebhookHttpConfig,
    actor: str,
) -> tuple[WebhookView, str]:
    """Adds a webhook for what happens from now on; with it the secret that signs, which is never shown again.

    Raises `InputError` for a URL that messages may not be sent to, `ConflictError` for a name that is in use.
    """
    url = await check_new(name=name, url=url, kinds=kinds, config=config)
    return await add_checked(db, keys, name=name, url=url, kinds=kinds, actor=actor)


async def check_new(*, name: str, url: str, kinds: Sequence[str], config: WebhookHttpConfig) -> str:
    """The URL as it is kept, after its name was resolved; no transaction is open meanwhile.

    Raises `InputError` that names the field.
    """
    clean_name(name, "a webhook")
    _kinds(kinds)
    return await check_url(url, config)


async def add_checked(
    db: Database, keys: KeyRing, *, name: str, url: str, kinds: Sequence[str], actor: str
) -> tuple[WebhookView, str]:
    """The same with a URL that `check_new` gave."""
    name = clean_name(name, "a webhook")
    wanted = _kinds(kinds)
    secret = new_secret()

    async def work(conn: AsyncConnection) -> WebhookView:
        if await scalar(conn, "SELECT count(*) FROM webhook WHERE disabled_at IS NULL") >= WEBHOOKS_MAX:
            raise ConflictError(f"there are {WEBHOOKS_MAX} webhooks already", remedy="disable one first")
        webhook_id = await scalar(
            conn,
            """INSERT INTO webhook (name, url, secret_encrypted, kinds, after_event_id, created_by)
               VALUES (:name, :url, :secret, :kinds, 0, :actor) RETURNING id""",
            name=name,
            url=url,
            secret=keys.encrypt(secret),
            kinds=wanted,
            actor=actor,
        )
        await audit(
            conn,
            actor=actor,
            action="webhook.add",
            subject=f"webhook:{webhook_id}",
            after={"name": name, "host": httpx.URL(url).host, "kinds": wanted},
        )
        await execute(
            conn,
            "UPDATE webhook SET after_event_id = :newest WHERE id = :id",
            id=webhook_id,
            newest=await newest_id(conn),
        )
        return await _view(conn, webhook_id)

    try:
        view = await db.run(work)
    except IntegrityError as error:
        if constraint(error) != "webhook_name":
            raise
        raise ConflictError(
            f"there is a webhook {name!r} already", remedy="choose another name", field="name"
        ) from None
    log.info("webhook.added", webhook_id=view.webhook_id, name=view.name)
    return view, secret


def _kinds(kinds: Sequence[str]) -> list[str]:
    """As they are kept: `*` for all. Raises `InputError`."""
    given = [kind.strip() for kind in kinds if kind.strip()]
    if not given:
        remedy = f"such as payout.settled, cash-out, or {EVERYTHING} for all"
        raise InputError("which kinds of events?", remedy=remedy, field="kinds")
    try:
        return check_kinds(given) or [EVERYTHING]
    except InputError as error:
        error.field = "kinds"
        raise


async def list_all(db: Database, *, disabled: bool = True) -> list[WebhookView]:
    """All webhooks, those in use first."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            f"{_VIEW} WHERE w.disabled_at IS NULL OR :disabled ORDER BY w.disabled_at DESC NULLS FIRST, w.id",
            disabled=disabled,
        )
        return [_from_row(r) for r in found]


async def show(db: Database, reference: str) -> WebhookView:
    """One webhook, by id or name. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        return await _view(conn, await find(conn, reference))


async def deliveries(
    db: Database,
    webhook_id: int,
    *,
    before: int | None = None,
    state: str | None = None,
    limit: int = 50,
) -> list[DeliveryView]:
    """The delivery log, newest first: those with an id below `before`."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            f"""{_DELIVERY} WHERE webhook_id = :id
                  AND (CAST(:before AS bigint) IS NULL OR id < :before)
                  AND (CAST(:state AS text) IS NULL OR state = :state)
                ORDER BY id DESC LIMIT :limit""",
            id=webhook_id,
            before=before,
            state=state,
            limit=limit,
        )
        return [DeliveryView(**r._mapping) for r in found]


async def disable(db: Database, reference: str, *, reason: str, actor: str) -> WebhookView:
    """Ends a webhook for good: nothing more is sent. Raises `ConflictError` when it has ended already."""
    reason = a_reason(reason)

    async def work(conn: AsyncConnection) -> WebhookView:
        webhook_id = await find(conn, reference)
        await _in_use(conn, webhook_id)
        await webhook_deliveries.end_webhook(conn, webhook_id, reason=reason, actor=actor)
        return await _view(conn, webhook_id)

    view = await db.run(work)
    log.info("webhook.disabled", webhook_id=view.webhook_id, name=view.name, reason=reason, actor=actor)
    return view


async def send_test(db: Database, reference: str, *, actor: str) -> DeliveryView:
    """Sends an event of the kind `webhook.test`, whatever the webhook's kinds are; soon, not at once."""

    async def work(conn: AsyncConnection) -> DeliveryView:
        webhook_id = await find(conn, reference)
        await _in_use(conn, webhook_id)
        subject = f"webhook:{webhook_id}"
        await audit(conn, actor=actor, action=TEST, subject=subject)
        event_id = await scalar(
            conn, "SELECT max(id) FROM event WHERE kind = :kind AND subject = :subject", kind=TEST, subject=subject
        )
        return await _delivery(conn, await webhook_deliveries.plan_one(conn, webhook_id, event_id))

    view = await db.run(work)
    log.info("webhook.test-asked", webhook_id=view.webhook_id, delivery_id=view.delivery_id)
    return view


async def retry(db: Database, delivery_id: int, *, actor: str) -> DeliveryView:
    """Sends once more what was given up, or at once what waits. Raises `ConflictError` for what was delivered."""

    async def work(conn: AsyncConnection) -> DeliveryView:
        before = await _delivery(conn, delivery_id, lock=True)
        await _in_use(conn, before.webhook_id)
        if before.state == "delivered":
            raise ConflictError(f"delivery {delivery_id} was delivered already")
        await execute(
            conn,
            """UPDATE webhook_delivery SET state = 'pending', ended_at = NULL, attempts = 0,
                      next_attempt_at = clock_timestamp() WHERE id = :id""",
            id=delivery_id,
        )
        await audit(
            conn,
            actor=actor,
            action="webhook.retry",
            subject=f"webhook:{before.webhook_id}",
            before={"delivery_id": delivery_id, "state": before.state, "attempts": before.attempts},
            after={"delivery_id": delivery_id, "state": "pending", "attempts": 0},
        )
        return await _delivery(conn, delivery_id)

    view = await db.run(work)
    log.info("webhook.retry-asked", webhook_id=view.webhook_id, delivery_id=delivery_id)
    return view


async def find(conn: AsyncConnection, reference: str) -> int:
    """The webhook that a person named, by id or name; rather one in use. Raises `NotFoundError`."""
    found = await scalar(
        conn,
        """SELECT id FROM webhook WHERE id::text = :text OR lower(name) = lower(:text)
            ORDER BY id::text <> :text, disabled_at DESC NULLS FIRST LIMIT 1""",
        text=" ".join(reference.split()),
    )
    if found is None:
        raise NotFoundError(f"there is no webhook {plain(reference)!r}", remedy="see: dca-daemon webhook list")
    return int(found)


async def _in_use(conn: AsyncConnection, webhook_id: int) -> None:
    """Holds the webhook until the transaction ends. Raises `ConflictError` when it is disabled."""
    found = await one(
        conn, "SELECT name, disabled_at FROM webhook WHERE id = :id FOR NO KEY UPDATE", id=webhook_id
    )
    if found.disabled_at is not None:
        raise ConflictError(f"the webhook {found.name!r} is disabled", remedy="add a new one in its place")


_VIEW = """
    SELECT w.id AS webhook_id, w.name, w.url, w.kinds, w.created_by, w.created_at, w.disabled_at,
           w.disabled_reason, n.pending, n.delivered, n.given_up, n.last_delivered_at
      FROM webhook w
     CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE d.state = 'pending') AS pending,
                  count(*) FILTER (WHERE d.state = 'delivered') AS delivered,
                  count(*) FILTER (WHERE d.state = 'given-up') AS given_up,
                  max(d.ended_at) FILTER (WHERE d.state = 'delivered') AS last_delivered_at
             FROM webhook_delivery d WHERE d.webhook_id = w.id) n
"""

_DELIVERY = """
    SELECT id AS delivery_id, webhook_id, event_id, kind, state, attempts,
           CASE WHEN state = 'pending' THEN next_attempt_at END AS next_attempt_at,
           last_status, last_error, created_at, ended_at, body
      FROM webhook_delivery
"""


async def _view(conn: AsyncConnection, webhook_id: int) -> WebhookView:
    return _from_row(await one(conn, f"{_VIEW} WHERE w.id = :id", id=webhook_id))


def _from_row(row: Any) -> WebhookView:
    fields: Mapping[str, Any] = row._mapping
    return WebhookView(**{**fields, "kinds": tuple(row.kinds), "url": _shown(row.url)})


def _shown(url: str) -> str:
    base, mark, _ = url.partition("?")
    return f"{base}?…" if mark else base


async def _delivery(conn: AsyncConnection, delivery_id: int, *, lock: bool = False) -> DeliveryView:
    """Raises `NotFoundError`."""
    found = await one(conn, f"{_DELIVERY} WHERE id = :id {'FOR UPDATE' if lock else ''}", id=delivery_id)
    if found is None:
        raise NotFoundError(f"there is no delivery {delivery_id}", remedy="see: dca-daemon webhook show")
    return DeliveryView(**found._mapping)
