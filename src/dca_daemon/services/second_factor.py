"""Codes of an authenticator app (TOTP, RFC 6238): six digits of 30 seconds, each taken once."""

from __future__ import annotations

import hmac
import time

import pyotp
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.ledger.db import Database, execute, one
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import login_limits
from dca_daemon.services.audit import audit
from dca_daemon.services.users import UserView, end_access, show

STEP_SECONDS = 30
_STEPS_OFF = 1  # how far the clock of the app may be off, either way
_WRONG = "this code is not right, or was used already, or there were too many tries"


def new_secret() -> str:
    """As apps take it: base32."""
    return pyotp.random_base32()


def address_for_apps(secret: str, name: str) -> str:
    """What an app reads from a link or a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name="dca-daemon")


def code_at(secret: str, step: int) -> str:
    """The code of one step of time."""
    return pyotp.HOTP(secret).at(step)


def step_of(secret: str, code: str, *, after: int, now: float | None = None) -> int | None:
    """The step whose code this is, if it is about now and later than `after`."""
    typed = "".join(code.split())
    here = int(time.time() if now is None else now) // STEP_SECONDS
    for step in range(here - _STEPS_OFF, here + _STEPS_OFF + 1):
        if step > after and hmac.compare_digest(code_at(secret, step).encode(), typed.encode("utf-8", "replace")):
            return step
    return None


async def passes(conn: AsyncConnection, keys: KeyRing, user_id: int, code: str) -> bool:
    """Whether the code is right, and uses it up; without a second factor any is."""
    found = await one(
        conn,
        """SELECT totp_secret_encrypted AS sealed, totp_last_step AS last
             FROM console_user WHERE id = :id FOR UPDATE""",
        id=user_id,
    )
    if found.sealed is None:
        return True
    step = step_of(keys.decrypt(bytes(found.sealed)), code, after=found.last)
    if step is None:
        return False
    await execute(conn, "UPDATE console_user SET totp_last_step = :step WHERE id = :id", step=step, id=user_id)
    return True


async def turn_on(db: Database, keys: KeyRing, name: str, *, secret: str, code: str, actor: str) -> UserView:
    """From now on a login takes a code too. Raises `InputError` for a wrong code, `ConflictError` if it is on."""
    step = step_of(secret, code, after=0)
    if step is None:
        raise InputError(_WRONG, field="code")

    async def work(conn: AsyncConnection) -> None:
        done = await execute(
            conn,
            """UPDATE console_user SET totp_secret_encrypted = :sealed, totp_last_step = :step
                WHERE name = :name AND totp_secret_encrypted IS NULL""",
            sealed=keys.encrypt(secret),
            step=step,
            name=name,
        )
        if not done:
            raise ConflictError("a second factor is on already", remedy="turn it off first", field="code")
        await _audit(conn, "user.second-factor-on", name, actor, on=True)

    await db.run(work)
    return await show(db, name)


async def turn_off_own(db: Database, keys: KeyRing, name: str, *, code: str, address: str) -> UserView:
    """By the person, who has to show a code; tries count as those of a login. Raises `InputError`."""
    user = await show(db, name)
    if await login_limits.begin(db, name=name, address=address) is None:
        raise InputError(_WRONG, field="code")

    async def work(conn: AsyncConnection) -> None:
        if not await passes(conn, keys, user.user_id, code):
            raise InputError(_WRONG, field="code")
        await _turn_off(conn, user, f"user:{user.name}")
        await login_limits.succeeded(conn, name=name, address=address)

    await db.run(work)
    return await show(db, name)


async def turn_off(db: Database, name: str, *, actor: str, reason: str | None = None) -> UserView:
    """For who has lost the app; all sessions end. Raises `ConflictError` when there is none."""
    user = await show(db, name)

    async def work(conn: AsyncConnection) -> None:
        await _turn_off(conn, user, actor, reason)
        await end_access(conn, user.user_id)

    await db.run(work)
    return await show(db, name)


async def _turn_off(conn: AsyncConnection, user: UserView, actor: str, reason: str | None = None) -> None:
    done = await execute(
        conn,
        """UPDATE console_user SET totp_secret_encrypted = NULL
            WHERE id = :id AND totp_secret_encrypted IS NOT NULL""",
        id=user.user_id,
    )
    if not done:
        raise ConflictError(f"{user.name} has no second factor")
    await _audit(conn, "user.second-factor-off", user.name, actor, on=False, reason=reason)


async def _audit(
    conn: AsyncConnection, action: str, name: str, actor: str, *, on: bool, reason: str | None = None
) -> None:
    await audit(
        conn,
        actor=actor,
        action=action,
        subject=f"user:{name}",
        before={"second_factor": not on},
        after={"second_factor": on},
        reason=reason,
    )
