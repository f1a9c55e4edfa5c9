"""Tokens of programs that use the API: each shown once, kept as a hash, with scopes and perhaps an end."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.domain.rights import Scope
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, constraint, execute, one, rows, scalar
from dca_daemon.services import clients
from dca_daemon.services.audit import audit
from dca_daemon.services.pools import clean_name
from dca_daemon.services.sessions import TOUCH, token_hash

log = structlog.get_logger()

PREFIX = "dca_"  # so that scanners for lost secrets, and people, know one when they see it
DAYS_MAX = 3650
_HINT_CHARS = len(PREFIX) + 4


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token, without itself; `hint`: how it begins. `client_id`: whose own it is."""

    token_id: int
    name: str
    hint: str
    scopes: tuple[Scope, ...]
    client_id: int | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


async def add(
    db: Database,
    *,
    name: str,
    scopes: Collection[Scope],
    actor: str,
    days: int | None = None,
    client_id: int | None = None,
) -> tuple[TokenView, str]:
    """Makes a token; with it the token itself, which is never shown again. It lasts `days`; None: for ever.

    Raises `InputError` for no scope, or `client` with another one; `ConflictError` for a name that a token has or
    had: in the audit log a program is told by it, and with it by which key a request was done once.
    """
    name = _clean(name)
    wanted = _scopes(scopes, client_id)
    if days is not None and not 1 <= days <= DAYS_MAX:
        raise InputError(f"a token lasts 1 to {DAYS_MAX} days", field="days")
    token = PREFIX + secrets.token_urlsafe(32)

    async def work(conn: AsyncConnection) -> TokenView:
        if (
            client_id is not None
            and await scalar(conn, "SELECT id FROM client WHERE id = :id", id=client_id) is None
        ):
            raise NotFoundError(f"there is no client {client_id}", field="client")
        if client_id is not None:
            await clients.refuse_erased(conn, client_id)
        if client_id is None and await _was_named(conn, name):
            raise _taken(name)
        token_id = await scalar(
            conn,
            """INSERT INTO api_token (name, token_hash, hint, scopes, client_id, created_by, expires_at)
               VALUES (:name, :hash, :hint, :scopes, :client_id, :actor,
                       clock_timestamp() + CAST(:valid AS interval)) RETURNING id""",
            name=name,
            hash=token_hash(token),
            hint=token[:_HINT_CHARS],
            scopes=wanted,
            client_id=client_id,
            actor=actor,
            valid=None if days is None else timedelta(days=days),
        )
        view = await _view(conn, token_id)
        await audit(
            conn,
            actor=actor,
            action="token.add",
            subject=f"token:{token_id}",
            after={"name": name, "scopes": wanted, "client_id": client_id, "expires_at": view.expires_at},
        )
        return view

    try:
        view = await db.run(work)
    except IntegrityError as error:
        if constraint(error) != "api_token_name":
            raise
        raise _taken(name) from None
    log.info("console.token-added", token_id=view.token_id, name=view.name)
    return view, token


async def revoke(db: Database, reference: str, *, actor: str) -> TokenView:
    """Ends a token, by id or name, for good. Raises `NotFoundError`, `ConflictError` when it is revoked."""

    async def work(conn: AsyncConnection) -> TokenView:
        before = await _view(conn, await _named(conn, reference))
        if not await execute(
            conn,
            "UPDATE api_token SET revoked_at = clock_timestamp() WHERE id = :id AND revoked_at IS NULL",
            id=before.token_id,
        ):
            raise ConflictError(f"the token {before.name!r} is revoked already")
        await audit(
            conn,
            actor=actor,
            action="token.revoke",
            subject=f"token:{before.token_id}",
            before={"revoked": False},
            after={"revoked": True, "name": before.name},
        )
        return await _view(conn, before.token_id)

    return await db.run(work)


async def list_all(
    db: Database,
    *,
    revoked: bool = False,
    client_id: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[TokenView]:
    """Tokens, the newest first, with an id below `before`; of one client, if that is given."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            f"""{_VIEW} WHERE (:revoked OR revoked_at IS NULL)
                  AND (CAST(:client_id AS bigint) IS NULL OR client_id = :client_id)
                  AND (CAST(:before AS bigint) IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit""",
            revoked=revoked,
            client_id=client_id,
            before=before,
            limit=limit,
        )
        return [_from_row(r) for r in found]


async def find(db: Database, token: str) -> TokenView | None:
    """The token that a program has shown, if it opens anything. Its use is noted at most once a minute."""
    if not token.startswith(PREFIX):
        return None
    async with db.transaction() as conn:
        found = await one(
            conn,
            f"""{_VIEW} WHERE token_hash = :hash AND revoked_at IS NULL
                  AND (expires_at IS NULL OR expires_at > now())""",
            hash=token_hash(token),
        )
        if found is None:
            return None
        await execute(
            conn,
            """UPDATE api_token SET last_used_at = now()
                WHERE id = :id AND (last_used_at IS NULL OR last_used_at < now() - CAST(:touch AS interval))""",
            id=found.token_id,
            touch=TOUCH,
        )
    return _from_row(found)


async def _was_named(conn: AsyncConnection, name: str) -> bool:
    """Whether a program's token has or had this name. What clients do is told by the client."""
    query = "SELECT count(*) FROM api_token WHERE lower(name) = lower(:name) AND client_id IS NULL"
    return bool(await scalar(conn, query, name=name))


def _taken(name: str) -> ConflictError:
    return ConflictError(
        f"there is a token {name!r} already, or was: the audit log has its name",
        remedy="choose another name",
        field="name",
    )


def _clean(name: str) -> str:
    name = clean_name(name, "a token")
    if name.isdigit():
        raise InputError(
            "a token's name can't be a number: it would be taken for another token's id", field="name"
        )
    return name


def _scopes(scopes: Collection[Scope], client_id: int | None) -> list[str]:
    wanted = [scope.value for scope in Scope if scope in scopes]
    if not wanted:
        raise InputError("which scopes may it have?", field="scopes")
    if Scope.CLIENT in scopes and (len(wanted) > 1 or client_id is None):
        raise InputError("the scope client is for one client's own token, and stands alone", field="scopes")
    if client_id is not None and Scope.CLIENT not in scopes:
        raise InputError("a client's own token has the scope client", field="scopes")
    return wanted


async def _named(conn: AsyncConnection, reference: str) -> int:
    found = await scalar(
        conn,
        """SELECT id FROM api_token WHERE id::text = :text OR lower(name) = lower(:text)
            ORDER BY id::text <> :text, revoked_at DESC NULLS FIRST LIMIT 1""",
        text=" ".join(reference.split()),
    )
    if found is None:
        raise NotFoundError(f"there is no token {plain(reference)!r}", remedy="see: dca-daemon token list")
    return int(found)


_VIEW = """
    SELECT id AS token_id, name, hint, scopes, client_id, created_by, created_at, expires_at, last_used_at,
           revoked_at
      FROM api_token
"""


async def _view(conn: AsyncConnection, token_id: int) -> TokenView:
    return _from_row(await one(conn, f"{_VIEW} WHERE id = :id", id=token_id))


def _from_row(row: Any) -> TokenView:
    return TokenView(**{**row._mapping, "scopes": tuple(Scope(word) for word in row.scopes)})
