"""How a client gets at its own account: by a personal link, kept as a hash only; and what it may change there."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.ledger.db import Database, execute, one, scalar
from dca_daemon.services import clients
from dca_daemon.services.audit import audit
from dca_daemon.services.sessions import TOUCH, token_hash

log = structlog.get_logger()

_TOKEN_BYTES = 32
_TOKEN_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a client may change by itself."""

    may_switch_mode: bool = False
    may_change_amount: bool = False


@dataclass(frozen=True, slots=True)
class LinkView:
    """A link in force, without itself."""

    created_by: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccessView:
    """How a client gets at its account. `link` is None while there is none in force."""

    client_id: int
    client: str
    link: LinkView | None
    permissions: Permissions


async def show(db: Database, reference: str) -> AccessView:
    """One client's access. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        return await _view(conn, await clients.find(conn, reference))


async def make_link(db: Database, reference: str, *, actor: str) -> tuple[AccessView, str]:
    """Makes a client's personal link, and with it the token, which is never shown again.

    The one that was in force opens nothing any more. Raises `NotFoundError`; `InputError` for a receiver.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)

    async def work(conn: AsyncConnection) -> AccessView:
        client_id = await _locked(conn, reference)
        before = await _view(conn, client_id)
        await _end_link(conn, client_id)
        await execute(
            conn,
            "INSERT INTO client_link (client_id, token_hash, created_by) VALUES (:client, :hash, :actor)",
            client=client_id,
            hash=token_hash(token),
            actor=actor,
        )
        await audit(
            conn,
            actor=actor,
            action="client.make-link",
            subject=f"client:{client_id}",
            before={"link": before.link is not None},
            after={"link": True},
        )
        return await _view(conn, client_id)

    view = await db.run(work)
    log.info("client.link-made", client_id=view.client_id)
    return view, token


async def revoke_link(db: Database, reference: str, *, actor: str, reason: str | None = None) -> AccessView:
    """Ends a client's personal link for good. Raises `NotFoundError`; `ConflictError` when there is none."""

    async def work(conn: AsyncConnection) -> AccessView:
        client_id = await _locked(conn, reference)
        if not await _end_link(conn, client_id):
            raise ConflictError("the client has no personal link that could be revoked")
        await audit(
            conn,
            actor=actor,
            action="client.revoke-link",
            subject=f"client:{client_id}",
            before={"link": True},
            after={"link": False},
            reason=reason,
        )
        return await _view(conn, client_id)

    view = await db.run(work)
    log.info("client.link-revoked", client_id=view.client_id)
    return view


async def allow(
    db: Database,
    reference: str,
    *,
    switch_mode: bool | None = None,
    change_amount: bool | None = None,
    actor: str,
    reason: str | None = None,
) -> AccessView:
    """Sets what a client may change by itself; None: as it was.

    Raises `NotFoundError`; `InputError` for a receiver, or where nothing was said.
    """
    if switch_mode is None and change_amount is None:
        raise InputError("say what the client may or may not change: its mode, its amount a day")

    async def work(conn: AsyncConnection) -> AccessView:
        client_id = await _locked(conn, reference)
        before = (await _view(conn, client_id)).permissions
        after = Permissions(
            before.may_switch_mode if switch_mode is None else switch_mode,
            before.may_change_amount if change_amount is None else change_amount,
        )
        if after != before:
            await _set_permissions(conn, client_id, before, after, actor, reason)
        return await _view(conn, client_id)

    return await db.run(work)


async def _set_permissions(
    conn: AsyncConnection, client_id: int, before: Permissions, after: Permissions, actor: str, reason: str | None
) -> None:
    await execute(
        conn,
        """INSERT INTO client_permission (client_id, may_switch_mode, may_change_amount)
           VALUES (:client, :mode, :amount)
           ON CONFLICT (client_id) DO UPDATE SET may_switch_mode = :mode, may_change_amount = :amount""",
        client=client_id,
        mode=after.may_switch_mode,
        amount=after.may_change_amount,
    )
    await audit(
        conn,
        actor=actor,
        action="client.allow",
        subject=f"client:{client_id}",
        before=_audited(before),
        after=_audited(after),
        reason=reason,
    )


async def open_link(db: Database, token: str) -> int | None:
    """Whose personal link this is; None for what opens nothing. Its use is noted at most once a minute."""
    if not token or len(token) > _TOKEN_CHARS_MAX:
        return None
    async with db.transaction() as conn:
        found = await one(
            conn,
            """SELECT id, client_id,
                      last_used_at IS NULL OR last_used_at < now() - CAST(:touch AS interval) AS stale
                 FROM client_link WHERE token_hash = :hash AND revoked_at IS NULL""",
            hash=token_hash(token),
            touch=TOUCH,
        )
        if found is None:
            return None
        if found.stale:
            await execute(conn, "UPDATE client_link SET last_used_at = now() WHERE id = :id", id=found.id)
    return int(found.client_id)


async def permissions(conn: AsyncConnection, client_id: int, *, hold: bool = False) -> Permissions:
    """What a client may change by itself; `hold`: it stays so until the transaction ends."""
    found = await one(
        conn,
        f"""SELECT may_switch_mode, may_change_amount FROM client_permission
             WHERE client_id = :client {"FOR SHARE" if hold else ""}""",  # noqa: S608 - both stand here
        client=client_id,
    )
    return Permissions() if found is None else Permissions(**found._mapping)


async def _locked(conn: AsyncConnection, reference: str) -> int:
    """A client whose access stands still until the transaction ends: two new links at once must meet."""
    client_id = await clients.find(conn, reference)
    await scalar(conn, "SELECT id FROM client WHERE id = :id FOR NO KEY UPDATE", id=client_id)
    await clients.refuse_receiver(conn, client_id, "has no page of its own")
    return client_id


async def _end_link(conn: AsyncConnection, client_id: int) -> bool:
    return bool(
        await execute(
            conn,
            """UPDATE client_link SET revoked_at = clock_timestamp()
                WHERE client_id = :client AND revoked_at IS NULL""",
            client=client_id,
        )
    )


async def _view(conn: AsyncConnection, client_id: int) -> AccessView:
    name: str = await scalar(conn, "SELECT name FROM client WHERE id = :id", id=client_id)
    link: Any = await one(
        conn,
        """SELECT created_by, created_at, last_used_at FROM client_link
            WHERE client_id = :client AND revoked_at IS NULL""",
        client=client_id,
    )
    return AccessView(
        client_id,
        name,
        None if link is None else LinkView(**link._mapping),
        await permissions(conn, client_id),
    )


def _audited(given: Permissions) -> dict[str, bool]:
    return {"may_switch_mode": given.may_switch_mode, "may_change_amount": given.may_change_amount}
