"""Reads the journal: entries with their postings, by what they are, whom they concern and when they happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import NotFoundError
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, int_array, one, rows, scalar
from dca_daemon.ledger.pages import Conditions, anchor


@dataclass(frozen=True, slots=True)
class PostingView:
    """One side of an entry: debit > 0, credit < 0, in the unit of the account: msat, or a currency's minor."""

    account: str
    unit: str
    amount: int
    balance_after: int


@dataclass(frozen=True, slots=True)
class EntryView:
    """A journal entry with all its postings, by account. `corrected_by`: the entry that takes it back."""

    entry_id: int
    template: str
    key: str
    happened_at: datetime
    written_at: datetime
    actor: str
    cause: str
    corrects_entry_id: int | None
    corrected_by: int | None
    postings: tuple[PostingView, ...]


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """What a list of entries is to show; None: all of it. They happened from `since` until before `until`."""

    template: str | None = None
    account: str | None = None
    client_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


_ENTRY = """
    SELECT e.id AS entry_id, e.template, e.idempotency_key AS key, e.happened_at, e.written_at, e.actor, e.cause,
           e.corrects_entry_id,
           (SELECT min(x.id) FROM journal_entry x WHERE x.corrects_entry_id = e.id) AS corrected_by
      FROM journal_entry e
"""


async def list_all(
    db: Database, wanted: EntryFilter | None = None, *, limit: int = 50, after: int | None = None
) -> list[EntryView]:
    """The last that happened first, from after the entry `after` on; of an account or a client the last written.

    Raises `NotFoundError` for an account, or an `after`, that there is not.
    """
    wanted = wanted or EntryFilter()
    conditions = Conditions()
    conditions.given("e.template = :template", template=wanted.template)
    conditions.given("e.happened_at >= :since", since=wanted.since)
    conditions.given("e.happened_at < :until", until=wanted.until)
    async with db.transaction() as conn:
        at = None
        if after is not None:
            query = "SELECT happened_at, id FROM journal_entry WHERE id = :after"
            at = await anchor(conn, "journal entry", query, after)
        if wanted.account is None and wanted.client_id is None:
            if at is not None:
                conditions.always(
                    "(e.happened_at, e.id) < (:after_at, :after)", after_at=at.happened_at, after=at.id
                )
            found = await rows(
                conn,
                f"{_ENTRY} {conditions.where} ORDER BY e.happened_at DESC, e.id DESC LIMIT :limit",
                limit=limit,
                **conditions.values,
            )
        else:
            found = await _of_accounts(conn, await _accounts(conn, wanted), conditions, limit, after)
        return await _with_postings(conn, found)


async def show(db: Database, entry_id: int) -> EntryView:
    """One entry. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        found = await one(conn, f"{_ENTRY} WHERE e.id = :id", id=entry_id)
        if found is None:
            raise NotFoundError(f"there is no journal entry {entry_id}")
        return (await _with_postings(conn, [found]))[0]


async def templates(db: Database) -> list[str]:
    """The kinds of entries that there are, by name."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            # From one to the next by index: there are few among very many entries.
            """WITH RECURSIVE t AS (
                   (SELECT template FROM journal_entry ORDER BY template LIMIT 1)
                   UNION ALL
                   SELECT (SELECT e.template FROM journal_entry e WHERE e.template > t.template
                            ORDER BY e.template LIMIT 1) FROM t WHERE t.template IS NOT NULL)
               SELECT template FROM t WHERE template IS NOT NULL ORDER BY template""",
        )
        return [str(r.template) for r in found]


async def version_before(conn: AsyncConnection, account_id: int, entry_id: int) -> int:
    """How many postings an account had had before an entry, found by halving.

    Postings of an account are numbered in the order of their entries, which no index needs to tell again.
    """
    version: int = await scalar(
        conn,
        """WITH RECURSIVE half AS (
               SELECT CAST(0 AS bigint) AS low, version AS high FROM account WHERE id = :account
               UNION ALL
               SELECT CASE WHEN p.entry_id < :entry THEN p.account_version ELSE low END,
                      CASE WHEN p.entry_id < :entry THEN high ELSE p.account_version - 1 END
                 FROM half JOIN posting p ON p.account_id = :account AND p.account_version = (low + high + 1) / 2
                WHERE low < high)
           SELECT low FROM half WHERE low = high""",
        account=account_id,
        entry=entry_id,
    )
    return version


async def _accounts(conn: AsyncConnection, wanted: EntryFilter) -> list[int]:
    conditions = Conditions()
    conditions.given("name = :account", account=wanted.account)
    conditions.given("client_id = :client", client=wanted.client_id)
    found = await rows(conn, f"SELECT id FROM account {conditions.where} ORDER BY id", **conditions.values)  # noqa: S608
    if not found and wanted.account is not None:
        text = f"there is no account {plain(wanted.account)!r}"
        raise NotFoundError(text, remedy="see: dca-daemon ledger balances", field="account")
    return [int(r.id) for r in found]


async def _of_accounts(
    conn: AsyncConnection, accounts: Iterable[int], conditions: Conditions, limit: int, after: int | None
) -> list[Any]:
    """The newest of the heads of each account's postings."""
    below = {a: 2**62 if after is None else 1 + await version_before(conn, a, after) for a in accounts}
    return await rows(
        conn,
        f"""{_ENTRY} WHERE e.id IN (
                SELECT k.id FROM unnest(CAST(:accounts AS bigint[]), CAST(:below AS bigint[])) a (id, below)
                 CROSS JOIN LATERAL (
                       SELECT e.id FROM posting p JOIN journal_entry e ON e.id = p.entry_id
                        WHERE p.account_id = a.id AND p.account_version < a.below AND {conditions.all}
                        ORDER BY p.account_version DESC LIMIT :limit) k)
             ORDER BY e.id DESC LIMIT :limit""",  # noqa: S608 - every part stands here
        accounts=int_array(below),
        below=int_array(below.values()),
        limit=limit,
        **conditions.values,
    )


async def _with_postings(conn: AsyncConnection, found: list[Any]) -> list[EntryView]:
    postings: dict[int, list[PostingView]] = {}
    for p in await rows(
        conn,
        """SELECT p.entry_id, a.name, a.unit, p.amount, p.balance_after
             FROM posting p JOIN account a ON a.id = p.account_id
            WHERE p.entry_id = ANY(CAST(:ids AS bigint[]))
            ORDER BY p.entry_id, a.unit = 'msat', a.unit, a.id, p.account_version""",
        ids=int_array(r.entry_id for r in found),
    ):
        postings.setdefault(p.entry_id, []).append(PostingView(p.name, p.unit, p.amount, p.balance_after))
    return [EntryView(**r._mapping, postings=tuple(postings[r.entry_id])) for r in found]
