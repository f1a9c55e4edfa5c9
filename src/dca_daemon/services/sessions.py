"""Being logged in to the console. Of every token only a hash is kept: who reads the database gets in nowhere."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import DcaError
from dca_daemon.domain.rights import Role
from dca_daemon.domain.text import plain, storable
from dca_daemon.ledger.db import Database, execute, one, rows
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import login_limits, second_factor
from dca_daemon.services.audit import audit
from dca_daemon.services.passwords import hashed, outdated, verified
from dca_daemon.services.users import UserView, show

log = structlog.get_logger()

TOUCH = timedelta(minutes=1)
LINK_MINUTES = 10
_TOKEN_BYTES = 32


class LoginRefusedError(DcaError):
    """Nobody is let in. It never tells whether it was the name, the password, or too many tries."""

    code = "login-refused"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session lasts: unused, and at all."""

    idle: timedelta
    absolute: timedelta


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where somebody comes from, as the server sees it."""

    address: str
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Whose session it is."""

    user_id: int
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class SessionView:
    """One open session; `current`: that of who asks."""

    created_at: datetime
    last_seen_at: datetime
    address: str | None
    user_agent: str | None
    current: bool


def token_hash(token: str) -> bytes:
    """What is kept of a token. They are random and long: no salt, and no slow hash, would add anything."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


async def log_in(
    db: Database, keys: KeyRing, name: str, password: str, code: str = "", *, visitor: Visitor, limits: Limits
) -> str:
    """Begins a session; its token. `code`: of who has a second factor. Raises `LoginRefusedError`."""
    if await login_limits.begin(db, name=name, address=visitor.address) is None:
        log.warning("console.login-limited", address=visitor.address)
        raise _refusal()
    async with db.transaction() as conn:
        user = await one(
            conn,
            "SELECT id, name, password_hash, disabled_at FROM console_user WHERE name = :name",
            name=login_limits.typed_name(name),
        )
    kept = user.password_hash if user is not None and user.disabled_at is None else None
    right = await verified(kept, password)
    renewed = await hashed(password) if right and kept and outdated(kept) else kept

    async def work(conn: AsyncConnection) -> str | None:
        # As it was when it was compared: another password, or an end, may have come meanwhile.
        still = await execute(
            conn,
            """UPDATE console_user SET password_hash = :renewed
                WHERE id = :id AND password_hash = :kept AND disabled_at IS NULL""",
            id=user.id,
            kept=kept,
            renewed=renewed,
        )
        if not still or not await second_factor.passes(conn, keys, user.id, code):
            return None
        await login_limits.succeeded(conn, name=name, address=visitor.address)
        return await _begin(conn, user.id, visitor, limits)

    token = await db.run(work) if right else None
    if token is None:
        # A name that is none of ours may be a password, typed into the wrong field.
        log.warning("console.login-failed", user=user.name if user else None, address=visitor.address)
        raise _refusal()
    log.info("console.login", user=user.name, address=visitor.address)
    return token


async def find(db: Database, token: str, *, idle: timedelta, touch: bool = True) -> LoggedIn | None:
    """Whose session this token is, or None. `touch`: it counts as a use of it, noted at most once a minute."""
    async with db.transaction() as conn:
        found = await one(
            conn,
            """SELECT u.id AS user_id, u.name, u.role, s.last_seen_at < now() - CAST(:stale AS interval) AS stale
                 FROM console_session s JOIN console_user u ON u.id = s.user_id
                WHERE s.token_hash = :hash AND s.ended_at IS NULL AND s.expires_at > now()
                  AND s.last_seen_at > now() - CAST(:idle AS interval) AND u.disabled_at IS NULL""",
            hash=token_hash(token),
            idle=idle,
            stale=min(TOUCH, idle / 4),
        )
        if found is None:
            return None
        if touch and found.stale:
            await execute(
                conn,
                "UPDATE console_session SET last_seen_at = now() WHERE token_hash = :hash",
                hash=token_hash(token),
            )
    return LoggedIn(found.user_id, found.name, Role(found.role))


async def log_out(db: Database, token: str) -> None:
    """Ends a session, if it is one."""
    async with db.transaction() as conn:
        await execute(
            conn,
            """UPDATE console_session SET ended_at = clock_timestamp()
                WHERE token_hash = :hash AND ended_at IS NULL""",
            hash=token_hash(token),
        )


async def end_others(db: Database, user_id: int, token: str) -> int:
    """Ends all of a person's sessions but this one; how many."""
    async with db.transaction() as conn:
        return await execute(
            conn,
            """UPDATE console_session SET ended_at = clock_timestamp()
                WHERE user_id = :id AND ended_at IS NULL AND token_hash <> :hash""",
            id=user_id,
            hash=token_hash(token),
        )


async def list_open(db: Database, user_id: int, token: str, *, limits: Limits) -> list[SessionView]:
    """A person's open sessions, the last used first; at most 50."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            """SELECT created_at, last_seen_at, address, user_agent, token_hash = :hash AS current
                 FROM console_session
                WHERE user_id = :id AND ended_at IS NULL AND expires_at > now()
                  AND last_seen_at > now() - CAST(:idle AS interval)
                ORDER BY last_seen_at DESC LIMIT 50""",
            id=user_id,
            hash=token_hash(token),
            idle=limits.idle,
        )
        return [SessionView(**r._mapping) for r in found]


async def make_link(db: Database, name: str, *, actor: str, minutes: int = LINK_MINUTES) -> tuple[UserView, str]:
    """A token that logs somebody in once, without a password. Raises `LoginRefusedError` for who is disabled."""
    user = await show(db, name)
    if user.disabled_at is not None:
        raise LoginRefusedError(f"{user.name} is disabled", remedy=f"dca-daemon user enable {user.name}")
    token = secrets.token_urlsafe(_TOKEN_BYTES)

    async def work(conn: AsyncConnection) -> None:
        await execute(
            conn,
            """INSERT INTO login_link (token_hash, user_id, expires_at)
               VALUES (:hash, :id, clock_timestamp() + CAST(:valid AS interval))""",
            hash=token_hash(token),
            id=user.user_id,
            valid=timedelta(minutes=minutes),
        )
        await audit(
            conn,
            actor=actor,
            action="user.login-link",
            subject=f"user:{user.name}",
            after={"minutes": minutes},
        )

    await db.run(work)
    return user, token


async def log_in_by_link(db: Database, token: str, *, visitor: Visitor, limits: Limits) -> str:
    """Uses a login link up, and begins a session; its token. Raises `LoginRefusedError`."""

    async def work(conn: AsyncConnection) -> tuple[str, str] | None:
        user = await one(
            conn,
            """UPDATE login_link l SET used_at = clock_timestamp() FROM console_user u
                WHERE l.token_hash = :hash AND l.used_at IS NULL AND l.expires_at > clock_timestamp()
                  AND u.id = l.user_id AND u.disabled_at IS NULL
               RETURNING u.id, u.name""",
            hash=token_hash(token),
        )
        return None if user is None else (user.name, await _begin(conn, user.id, visitor, limits))

    done = await db.run(work)
    if done is None:
        log.warning("console.login-failed", user=None, address=visitor.address)
        raise LoginRefusedError(
            "this link was used already, or its time is over",
            remedy="have another one made: dca-daemon user login-link",
        )
    name, session = done
    log.info("console.login", user=name, address=visitor.address, by="link")
    return session


async def _begin(conn: AsyncConnection, user_id: int, visitor: Visitor, limits: Limits) -> str:
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    await execute(
        conn,
        """INSERT INTO console_session (token_hash, user_id, expires_at, address, user_agent)
           VALUES (:hash, :id, clock_timestamp() + CAST(:absolute AS interval), :address, :user_agent)""",
        hash=token_hash(token),
        id=user_id,
        absolute=limits.absolute,
        address=storable(visitor.address[:100]),
        user_agent=plain(visitor.user_agent, 200),
    )
    return token


def _refusal() -> LoginRefusedError:
    return LoginRefusedError(
        "name, password or code are not right, or there were too many tries",
        remedy="check them; after several tries wait some minutes",
    )
