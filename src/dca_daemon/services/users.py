"""People who may use the console. One who can do everything is always left."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.domain.rights import Role
from dca_daemon.domain.text import plain
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database, execute, one, rows, scalar
from dca_daemon.services import login_limits
from dca_daemon.services.audit import audit
from dca_daemon.services.passwords import check_password, hashed, verified

log = structlog.get_logger()

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class UserView:
    """Somebody who may use the console. Without a password only a login link lets them in; `sessions`: how many
    are open."""

    user_id: int
    name: str
    role: Role
    has_password: bool
    has_second_factor: bool
    created_at: datetime
    disabled_at: datetime | None
    last_seen_at: datetime | None
    sessions: int


def clean_user_name(text: str) -> str:
    """The name as it is kept. Raises `InputError`."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{plain(text)!r} can't be a user's name: at most 40 of a-z, 0-9, '.', '_' and '-'", field="name"
        )
    return name


async def has_admin(db: Database) -> bool:
    """Whether there is an admin who is not disabled."""
    async with db.transaction() as conn:
        return await _admins(conn) > 0


async def add(db: Database, *, name: str, role: Role, password: str | None, actor: str) -> UserView:
    """Adds somebody. Raises `InputError` for a name or password that can't be, `ConflictError` for one taken."""
    name = clean_user_name(name)
    if password is not None:
        check_password(password, name)
    kept = None if password is None else await hashed(password)

    async def work(conn: AsyncConnection) -> UserView:
        user_id = await scalar(
            conn,
            """INSERT INTO console_user (name, role, password_hash) VALUES (:name, :role, :kept)
               ON CONFLICT (name) DO NOTHING RETURNING id""",
            name=name,
            role=role.value,
            kept=kept,
        )
        if user_id is None:
            raise ConflictError(f"there is a user {name!r} already", remedy="choose another name", field="name")
        await audit(
            conn,
            actor=actor,
            action="user.add",
            subject=f"user:{name}",
            after={"role": role.value, "password": kept is not None},
        )
        return await _view(conn, name)

    view = await db.run(work)
    log.info("console.user-added", user=view.name, role=view.role.value)
    return view


async def set_role(db: Database, name: str, role: Role, *, actor: str) -> UserView:
    """Gives somebody another role; their sessions end. Raises `ConflictError` for the last admin."""

    async def work(conn: AsyncConnection) -> UserView:
        before = await _locked(conn, name)
        if before.role is role:
            raise ConflictError(f"{before.name} is {role.value} already", field="role")
        await execute(
            conn, "UPDATE console_user SET role = :role WHERE id = :id", role=role.value, id=before.user_id
        )
        await _an_admin_is_left(conn, before)
        await end_access(conn, before.user_id)
        await audit(
            conn,
            actor=actor,
            action="user.set-role",
            subject=f"user:{before.name}",
            before={"role": before.role.value},
            after={"role": role.value},
        )
        return await _view(conn, before.name)

    return await db.run(work)


async def set_password(
    db: Database, name: str, password: str, *, actor: str, keep_session: bytes | None = None
) -> UserView:
    """Gives somebody another password; their sessions end, but for the one whose token has the hash
    `keep_session`. Raises `InputError`."""
    user = await show(db, name)
    check_password(password, user.name)
    kept = await hashed(password)

    async def work(conn: AsyncConnection) -> UserView:
        before = await _locked(conn, name)
        await execute(
            conn, "UPDATE console_user SET password_hash = :kept WHERE id = :id", kept=kept, id=before.user_id
        )
        await end_access(conn, before.user_id, keep_session)
        await audit(
            conn,
            actor=actor,
            action="user.set-password",
            subject=f"user:{before.name}",
            before={"password": before.has_password},
            after={"password": True},
        )
        return await _view(conn, before.name)

    return await db.run(work)


async def change_own_password(
    db: Database, name: str, *, old: str, new: str, address: str, keep_session: bytes | None
) -> UserView:
    """The same by the person, who knows the old one; tries count as those of a login. Raises `InputError`."""
    async with db.transaction() as conn:
        kept = await scalar(conn, "SELECT password_hash FROM console_user WHERE name = :name", name=name)
    if kept is not None:
        counted = await login_limits.begin(db, name=name, address=address)
        if counted is None or not await verified(kept, old):
            raise InputError("this is not your password, or there were too many tries", field="old")
        async with db.transaction() as conn:
            await login_limits.succeeded(conn, name=name, address=address)
    return await set_password(db, name, new, actor=f"user:{name}", keep_session=keep_session)


async def disable(db: Database, name: str, *, actor: str) -> UserView:
    """Lets somebody in no longer; their sessions end. Raises `ConflictError` for the last admin."""

    async def work(conn: AsyncConnection) -> UserView:
        before = await _locked(conn, name)
        if before.disabled_at is not None:
            raise ConflictError(f"{before.name} is disabled already")
        await execute(
            conn, "UPDATE console_user SET disabled_at = clock_timestamp() WHERE id = :id", id=before.user_id
        )
        await _an_admin_is_left(conn, before)
        await end_access(conn, before.user_id)
        return await _switch_audit(conn, "user.disable", before, actor)

    return await db.run(work)


async def enable(db: Database, name: str, *, actor: str) -> UserView:
    """Lets somebody in again, with the same password. Raises `ConflictError` for who is not disabled."""

    async def work(conn: AsyncConnection) -> UserView:
        before = await _locked(conn, name)
        if before.disabled_at is None:
            raise ConflictError(f"{before.name} is not disabled")
        await execute(conn, "UPDATE console_user SET disabled_at = NULL WHERE id = :id", id=before.user_id)
        return await _switch_audit(conn, "user.enable", before, actor)

    return await db.run(work)


async def list_all(db: Database, *, limit: int = 200) -> list[UserView]:
    """Everybody, those who may log in first."""
    async with db.transaction() as conn:
        found = await rows(conn, f"{_VIEW} ORDER BY u.disabled_at IS NOT NULL, u.name LIMIT :limit", limit=limit)
        return [_from_row(r) for r in found]


async def show(db: Database, name: str) -> UserView:
    """One of them. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        return await _view(conn, name)


async def _switch_audit(conn: AsyncConnection, action: str, before: UserView, actor: str) -> UserView:
    after = await _view(conn, before.name)
    await audit(
        conn,
        actor=actor,
        action=action,
        subject=f"user:{before.name}",
        before={"enabled": before.disabled_at is None},
        after={"enabled": after.disabled_at is None},
    )
    return after


async def _locked(conn: AsyncConnection, name: str) -> UserView:
    """One change of people at a time: two admins who demote each other must meet."""
    await execute(conn, "SELECT pg_advisory_xact_lock(:key)", key=lock_keys.USERS)
    return await _view(conn, name)


async def _an_admin_is_left(conn: AsyncConnection, before: UserView) -> None:
    if before.role is Role.ADMIN and before.disabled_at is None and await _admins(conn) == 0:
        raise ConflictError(
            f"{before.name} is the only admin: nobody could undo it", remedy="make somebody else admin first"
        )


async def _admins(conn: AsyncConnection) -> int:
    return int(
        await scalar(conn, "SELECT count(*) FROM console_user WHERE role = 'admin' AND disabled_at IS NULL")
    )


async def end_access(conn: AsyncConnection, user_id: int, keep: bytes | None = None) -> None:
    """Ends the sessions, and the login links that nobody has used."""
    await execute(
        conn,
        """UPDATE console_session SET ended_at = clock_timestamp()
            WHERE user_id = :id AND ended_at IS NULL AND token_hash IS DISTINCT FROM CAST(:keep AS bytea)""",
        id=user_id,
        keep=keep,
    )
    await execute(
        conn,
        "UPDATE login_link SET expires_at = clock_timestamp() WHERE user_id = :id AND used_at IS NULL",
        id=user_id,
    )


_VIEW = """
    SELECT u.id AS user_id, u.name, u.role, u.password_hash IS NOT NULL AS has_password,
           u.totp_secret_encrypted IS NOT NULL AS has_second_factor, u.created_at, u.disabled_at,
           s.last_seen_at, s.sessions
      FROM console_user u
     CROSS JOIN LATERAL (
           SELECT max(last_seen_at) AS last_seen_at,
                  count(*) FILTER (WHERE ended_at IS NULL AND expires_at > now()) AS sessions
             FROM console_session WHERE user_id = u.id) s
"""


async def _view(conn: AsyncConnection, name: str) -> UserView:
    found = await one(conn, f"{_VIEW} WHERE u.name = lower(:name)", name=name.strip())
    if found is None:
        raise NotFoundError(f"there is no user {plain(name)!r}", remedy="see: dca-daemon user list")
    return _from_row(found)


def _from_row(row: Any) -> UserView:
    return UserView(**{**row._mapping, "role": Role(row.role)})
