"""Erasing a client's personal data, while the books stay whole.

The client's number takes its name's place; amounts, times and ids stay as they were. What goes are its name, where
it was paid, its access, its notes, and its words wherever a text names it. Migration 0011 has the database's own
rules for that; docs/privacy.md says what stays, and docs/decisions.md why it is safe.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, constraint, execute, lock_pool, rows, scalar
from dca_daemon.services import clients, erasing_open, erasing_places
from dca_daemon.services.audit import audit
from dca_daemon.services.decisions import a_reason

log = structlog.get_logger()

WORD_CHARS = (3, 200)
WORDS_MAX = 50


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is gone of a client, or would be. `texts`: rows in which its words were, by table."""

    client_id: int
    name: str  # as it was
    name_after: str
    destinations: int
    personal_links: int
    tokens: int
    texts: Mapping[str, int]


async def erase(
    db: Database, reference: str, *, reason: str, words: Collection[str] = (), actor: str, rehearse: bool = False
) -> Erasure:
    """Erases a client's personal data for good. `words`: what else is to go from texts, such as a phone number.

    `rehearse`: tells what would go; nothing is changed. Raises `NotFoundError`; `ConflictError` while the client
    has something in or coming; `InputError` for a reason that would itself name it, or a word that can't be one.
    """
    reason = a_reason(reason)
    more = _checked(words)

    async def work(conn: AsyncConnection) -> Erasure:
        return await _erase(conn, await clients.find(conn, reference), reason, more, actor)

    try:
        if rehearse:
            return await db.rehearse(work)
        done = await db.run(work)
    except IntegrityError as error:
        if constraint(error) in ("erasure_open", "client_name"):
            raise ConflictError("the client can't be erased at this moment", remedy="look again") from None
        raise
    log.info("client.erased", client_id=done.client_id, texts=sum(done.texts.values()))
    return done


async def _erase(conn: AsyncConnection, client_id: int, reason: str, more: Collection[str], actor: str) -> Erasure:
    await _hold(conn, client_id)
    await _refuse_open(conn, client_id)
    name: str = await scalar(conn, "SELECT name FROM client WHERE id = :id", id=client_id)
    name_after: str = await scalar(conn, "SELECT erased_name(:id)", id=client_id)
    subjects = await erasing_places.own_subjects(conn, client_id)
    words = _variants({name, *await erasing_places.known_words(conn, client_id), *more})
    _refuse_naming(reason, words)
    await execute(
        conn, "INSERT INTO erasure (client_id, actor) VALUES (:client, :actor)", client=client_id, actor=actor
    )
    given = json.dumps({"words": words, "keep": await _others(conn, client_id, words)})
    await execute(conn, "SELECT set_config('dca.erasing', :given, true)", given=given)
    places = erasing_places.Places(conn, client_id, subjects, words)
    tokens, links, destinations = await places.access(), await places.links(), await places.destinations()
    texts = await places.texts()
    await execute(
        conn,
        """UPDATE client SET name = erased_name(id), status = 'inactive', erased_at = clock_timestamp()
            WHERE id = :id""",
        id=client_id,
    )
    await execute(conn, "SELECT set_config('dca.erasing', '', true)")
    done = Erasure(client_id, name, name_after, destinations, links, tokens, texts)
    await audit(
        conn,
        actor=actor,
        action="client.erase",
        subject=f"client:{client_id}",
        after={"destinations": destinations, "personal_links": links, "tokens": tokens, "texts": texts},
        reason=reason,
    )
    return done


async def _hold(conn: AsyncConnection, client_id: int) -> None:
    """Nothing is booked for the client until the transaction ends."""
    for r in await rows(conn, "SELECT id FROM pool ORDER BY id"):
        await lock_pool(conn, r.id)
    await scalar(conn, "SELECT id FROM client WHERE id = :id FOR UPDATE", id=client_id)


async def _refuse_open(conn: AsyncConnection, client_id: int) -> None:
    await clients.refuse_erased(conn, client_id)
    found = await erasing_open.still_open(conn, client_id)
    if found:
        raise ConflictError(
            f"client {client_id} can't be erased yet: {', '.join(one.what for one in found)}",
            remedy="; ".join(dict.fromkeys(one.remedy for one in found)),
            field="client",
        )


async def _others(conn: AsyncConnection, client_id: int, words: Collection[str]) -> list[str]:
    """Names of others that contain one of the words: they stay as they are. The longest first."""
    low = [word.lower() for word in words]
    found = await rows(conn, "SELECT name FROM client WHERE id <> :id", id=client_id)
    names = [r.name for r in found if any(word in r.name.lower() for word in low)]
    return sorted(names, key=lambda name: (-len(name), name))


def _checked(words: Collection[str]) -> list[str]:
    least, most = WORD_CHARS
    given = [" ".join(word.split()) for word in words]
    if len(given) > WORDS_MAX:
        raise InputError(f"at most {WORDS_MAX} further words can be erased at once", field="words")
    for word in given:
        if not least <= len(word) <= most or not word.isprintable():
            raise InputError(
                f"{plain(word)!r} can't be looked for: a word to erase has {least} to {most} printable characters",
                field="words",
            )
    return given


def _variants(words: Collection[str]) -> list[str]:
    """Each as it may be written: the database compares letters beyond ASCII as they are. The longest first."""
    found = set()
    for word in words:
        for form in ("NFC", "NFD"):
            text = unicodedata.normalize(form, word)
            for written in (text, text.lower(), text.upper()):
                found |= {written, *(json.dumps(written, ensure_ascii=way)[1:-1] for way in (True, False))}
    return sorted(found, key=lambda word: (-len(word), word))


def _refuse_naming(reason: str, words: Collection[str]) -> None:
    text = unicodedata.normalize("NFC", reason).lower()
    if any(re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", text) for word in words):
        raise InputError(
            "this reason names the client, and is kept",
            remedy="say it without, such as: asked for by letter of 2026-11-25",
            field="reason",
        )
