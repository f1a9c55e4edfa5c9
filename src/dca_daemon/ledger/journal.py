"""Writes journal entries: balanced, chained, once.

The database checks all of it again (see the first migration); here it fails earlier and says more.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import BooksError, ConflictError
from dca_daemon.ledger.accounts import Account
from dca_daemon.ledger.db import execute, int_array, rows


@dataclass(frozen=True, slots=True)
class Line:
    """One side of an entry: debit > 0, credit < 0, in the account's unit."""

    account: Account
    amount: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One business event. `key` makes it happen once; `cause` and `actor` say why and by whom."""

    template: str
    key: str
    happened_at: datetime
    actor: str
    cause: str
    lines: tuple[Line, ...]
    corrects_entry_id: int | None = None

    @property
    def input_hash(self) -> str:
        """What the same key must come with again, to count as the same event."""
        content = [
            self.template,
            self.corrects_entry_id,
            sorted((x.account.name, x.amount) for x in self.lines),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def lines(*pairs: tuple[Account, int]) -> tuple[Line, ...]:
    """Lines from (account, amount), without the empty ones."""
    return tuple(Line(account, amount) for account, amount in pairs if amount)


@dataclass(slots=True)
class _Balance:
    account_id: int
    balance: int
    version: int


async def post(conn: AsyncConnection, entries: Sequence[Entry]) -> list[int]:
    """Writes the entries in their order, and returns their ids.

    An entry whose key is there already with the same content is not written again: its stored id is
    returned. With other content it raises `ConflictError`. Raises `BooksError` when one does not balance.
    """
    for entry in entries:
        _check_balanced(entry)
    balances = await _lock_accounts(conn, (line.account for entry in entries for line in entry.lines))
    once = _once(entries)
    ids, fresh = await _insert_entries(conn, once)
    await _insert_postings(
        conn, [(ids[e.key], line) for e in once if e.key in fresh for line in e.lines], balances
    )
    return [ids[entry.key] for entry in entries]


def _once(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, each key once. The same key with other content raises `ConflictError`."""
    by_key: dict[str, Entry] = {}
    for entry in entries:
        if by_key.setdefault(entry.key, entry).input_hash != entry.input_hash:
            raise _other_amounts(entry)
    return list(by_key.values())


def _other_amounts(entry: Entry) -> ConflictError:
    return ConflictError(f"{entry.key} is booked already, with other amounts")


def _check_balanced(entry: Entry) -> None:
    totals: dict[str, int] = defaultdict(int)
    for line in entry.lines:
        totals[line.account.unit] += line.amount
    names = {line.account.name for line in entry.lines}
    if any(totals.values()) or not entry.lines or len(names) != len(entry.lines):
        raise BooksError(f"journal entry {entry.key} does not balance: {dict(totals)}")


async def _lock_accounts(conn: AsyncConnection, wanted: Iterable[Account]) -> dict[str, _Balance]:
    """Locks the accounts in the order of their ids, so that no two writers wait for each other in a ring.

    New ones are opened in the order of their names, for the same reason.
    """
    accounts = {account.name: account for account in wanted}
    found = await _select_accounts(conn, list(accounts))
    missing = [account for name, account in sorted(accounts.items()) if name not in found]
    if missing:
        await _open_accounts(conn, missing)
        found = await _select_accounts(conn, list(accounts))
    return found


async def _select_accounts(conn: AsyncConnection, names: list[str]) -> dict[str, _Balance]:
    found = await rows(
        conn,
        """SELECT id, name, balance, version FROM account
           WHERE name = ANY(:names) ORDER BY id FOR NO KEY UPDATE""",
        names=names,
    )
    return {name: _Balance(account_id, balance, version) for account_id, name, balance, version in found}


async def _open_accounts(conn: AsyncConnection, missing: list[Account]) -> None:
    await execute(
        conn,
        """INSERT INTO account (name, unit, kind, purpose, guarded, client_id, pool_id)
           SELECT * FROM unnest(CAST(:names AS text[]), CAST(:units AS text[]), CAST(:kinds AS text[]),
                                CAST(:purposes AS text[]), CAST(:guarded AS boolean[]),
                                CAST(:clients AS bigint[]), CAST(:pools AS integer[]))
           ON CONFLICT (name) DO NOTHING""",
        names=[a.name for a in missing],
        units=[a.unit for a in missing],
        kinds=[a.kind for a in missing],
        purposes=[a.purpose for a in missing],
        guarded=[a.guarded for a in missing],
        clients=[a.client_id for a in missing],
        pools=[a.pool_id for a in missing],
    )


async def _insert_entries(conn: AsyncConnection, entries: Sequence[Entry]) -> tuple[dict[str, int], set[str]]:
    """Entry ids by key, and the keys that were not there before."""
    inserted = await rows(
        conn,
        """INSERT INTO journal_entry
                  (template, idempotency_key, input_hash, happened_at, actor, cause, corrects_entry_id)
           SELECT * FROM unnest(CAST(:templates AS text[]), CAST(:keys AS text[]), CAST(:hashes AS text[]),
                                CAST(:happened AS timestamptz[]), CAST(:actors AS text[]),
                                CAST(:causes AS text[]), CAST(:corrects AS bigint[]))
           ON CONFLICT (idempotency_key) DO NOTHING
           RETURNING id, idempotency_key""",
        templates=[e.template for e in entries],
        keys=[e.key for e in entries],
        hashes=[e.input_hash for e in entries],
        happened=[e.happened_at for e in entries],
        actors=[e.actor for e in entries],
        causes=[e.cause for e in entries],
        corrects=[e.corrects_entry_id for e in entries],
    )
    ids = {r.idempotency_key: int(r.id) for r in inserted}
    fresh = set(ids)
    for entry in entries:
        if entry.key not in ids:
            ids[entry.key] = await _stored_entry(conn, entry)
    return ids, fresh


async def _stored_entry(conn: AsyncConnection, entry: Entry) -> int:
    stored = await rows(
        conn, "SELECT id, input_hash FROM journal_entry WHERE idempotency_key = :key", key=entry.key
    )
    if stored[0].input_hash != entry.input_hash:
        raise _other_amounts(entry)
    return int(stored[0].id)


async def _insert_postings(
    conn: AsyncConnection, postings: Sequence[tuple[int, Line]], balances: dict[str, _Balance]
) -> None:
    if not postings:
        return
    columns: tuple[list[int], ...] = ([], [], [], [], [])
    for entry_id, line in postings:
        account = balances[line.account.name]
        account.balance += line.amount
        account.version += 1
        row = (account.account_id, account.version, entry_id, line.amount, account.balance)
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    await execute(
        conn,
        """INSERT INTO posting (account_id, account_version, entry_id, amount, balance_after)
           SELECT * FROM unnest(CAST(:accounts AS bigint[]), CAST(:versions AS bigint[]),
                                CAST(:entries AS bigint[]), CAST(:amounts AS bigint[]),
                                CAST(:balances AS bigint[]))""",
        accounts=int_array(columns[0]),
        versions=int_array(columns[1]),
        entries=int_array(columns[2]),
        amounts=int_array(columns[3]),
        balances=int_array(columns[4]),
    )
