"""Doing a thing once: what a person was shown and confirms, and what a program asks for with a key.

A preview is the deed itself, rolled back. Its intent is used up by the commit that carries it out, so that a
double click or a reload does it once; and only what was shown is done: when it would come to something else
meanwhile, in the books or in what the preview told, nothing is, and the person looks again.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.ledger import effect
from dca_daemon.ledger.db import Database, execute, one, scalar
from dca_daemon.ledger.one_transaction import OneTransaction
from dca_daemon.payouts.cipher import KeyRing

T = TypeVar("T")
Facts = Sequence[tuple[str, str]]  # what a preview tells: name and value

INTENT_MINUTES = 30
KEY_MAX_CHARS = 128


@dataclass(frozen=True, slots=True)
class Rehearsal(Generic[T]):
    """What a deed would come to."""

    result: T
    effect: effect.Effect


@dataclass(frozen=True, slots=True)
class Intent:
    """An offer to carry something out: what was entered, and where it led if it was done already."""

    fields: Mapping[str, Any]
    effect_hash: str
    over: bool
    result_path: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program is answered; `again`: it was done earlier, with the same key."""

    status: int
    body: str
    again: bool = False


class NotAsShownError(ConflictError):
    """It would come to something else than what was shown; nothing was done."""


async def rehearse(db: Database, work: Callable[[Database], Awaitable[T]]) -> Rehearsal[T]:
    """Does `work` whole, looks at the books, and takes it all back."""
    async with db.transaction() as conn:
        begun = await effect.mark(conn)
        result = await work(OneTransaction(db, conn))
        await conn.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        found = await effect.since(conn, begun)
        await conn.rollback()
    return Rehearsal(result, found)


def as_shown(found: effect.Effect, told: Facts) -> str:
    """One and the same for the same effect, told in the same words."""
    return hashlib.sha256(json.dumps([found.fingerprint, list(told)]).encode()).hexdigest()


async def offer(
    db: Database, keys: KeyRing, *, actor: str, action: str, fields: Mapping[str, Any], effect_hash: str
) -> str:
    """Keeps what was entered, sealed; the token that carries it out once."""
    token = secrets.token_urlsafe(32)

    async def work(conn: AsyncConnection) -> None:
        await execute(
            conn,
            """INSERT INTO intent (token_hash, actor, action, input_sealed, effect_hash, expires_at)
               VALUES (:hash, :actor, :action, :input, :effect, now() + make_interval(mins => :minutes))""",
            hash=_hash(token),
            actor=actor,
            action=action,
            input=keys.encrypt(json.dumps(dict(fields))),
            effect=effect_hash,
            minutes=INTENT_MINUTES,
        )

    await db.run(work)
    return token


async def find(db: Database, keys: KeyRing, token: str, *, actor: str, action: str) -> Intent:
    """What was offered. Raises `InputError` for a token that is none of this person's for this action."""
    async with db.transaction() as conn:
        return await _find(conn, keys, token, actor=actor, action=action)


async def _find(conn: AsyncConnection, keys: KeyRing, token: str, *, actor: str, action: str) -> Intent:
    found = await one(
        conn,
        """SELECT input_sealed, effect_hash, expires_at < now() AS over, result_path FROM intent
            WHERE token_hash = :hash AND actor = :actor AND action = :action FOR UPDATE""",
        hash=_hash(token),
        actor=actor,
        action=action,
    )
    if found is None:
        raise InputError("this confirmation is not known", remedy="enter it again")
    return Intent(
        json.loads(keys.decrypt(bytes(found.input_sealed))), found.effect_hash, found.over, found.result_path
    )


async def carry_out(
    db: Database,
    keys: KeyRing,
    token: str,
    *,
    actor: str,
    action: str,
    work: Callable[[Database], Awaitable[T]],
    told: Callable[[T], Facts],
    leads_to: Callable[[T], str],
) -> T | str:
    """Carries out what was shown, once: the result of `work`, or the path it led to when it was done already.

    `told`: what a preview of it tells. Raises `NotAsShownError` when that, or the effect on the books, is another
    now, or the offer is over.
    """

    async def whole(conn: AsyncConnection) -> T | str:
        intent = await _find(conn, keys, token, actor=actor, action=action)
        if intent.result_path is not None:
            return intent.result_path
        if intent.over:
            raise NotAsShownError("that was shown too long ago: look again")
        begun = await effect.mark(conn)
        result = await work(OneTransaction(db, conn))
        if as_shown(await effect.since(conn, begun), told(result)) != intent.effect_hash:
            raise NotAsShownError("meanwhile it would come to something else: look again")
        await execute(
            conn,
            "UPDATE intent SET used_at = now(), result_path = :path WHERE token_hash = :hash",
            path=leads_to(result),
            hash=_hash(token),
        )
        return result

    return await db.run(whole)


async def once(
    db: Database,
    keys: KeyRing,
    *,
    actor: str,
    key: str | None,
    request: str,
    work: Callable[[Database], Awaitable[Answer]],
) -> Answer:
    """Does `work` in one transaction; with a key, once: the same request is answered as it was then.

    Raises `ConflictError` when the key came with another request before.
    """
    if key is not None and not (0 < len(key) <= KEY_MAX_CHARS and key.isprintable()):
        raise InputError(f"Idempotency-Key must be 1 to {KEY_MAX_CHARS} printable characters")
    request_hash = hashlib.sha256(request.encode()).hexdigest()

    async def whole(conn: AsyncConnection) -> Answer:
        if key is None:
            return await work(OneTransaction(db, conn))
        await scalar(conn, "SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", name=f"once {actor} {key}")
        stored = await _answered(conn, keys, actor, key, request_hash)
        if stored is not None:
            return stored
        answer = await work(OneTransaction(db, conn))
        await execute(
            conn,
            """INSERT INTO idempotency_key (actor, key, request_hash, status, body_sealed)
               VALUES (:actor, :key, :request, :status, :body)""",
            actor=actor,
            key=key,
            request=request_hash,
            status=answer.status,
            body=keys.encrypt(answer.body),  # it may hold a secret that is told once
        )
        return answer

    return await db.run(whole)


async def answered(db: Database, keys: KeyRing, *, actor: str, key: str, request: str) -> Answer | None:
    """What `once` answered to this request with this key, if it did: known before anything outside is asked again.

    Raises `ConflictError` as `once` does.
    """
    async with db.transaction() as conn:
        return await _answered(conn, keys, actor, key, hashlib.sha256(request.encode()).hexdigest())


async def _answered(
    conn: AsyncConnection, keys: KeyRing, actor: str, key: str, request_hash: str
) -> Answer | None:
    stored = await one(
        conn,
        "SELECT request_hash, status, body_sealed FROM idempotency_key WHERE actor = :actor AND key = :key",
        actor=actor,
        key=key,
    )
    if stored is None:
        return None
    if stored.request_hash != request_hash:
        raise ConflictError(
            "this Idempotency-Key came with another request before", remedy="take a new key for it"
        )
    return Answer(stored.status, keys.decrypt(bytes(stored.body_sealed)), again=True)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
