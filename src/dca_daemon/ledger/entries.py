"""Reads the journal: entries with their postings, by what they are, whom they concern and when they happened."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class EntryPage:
    """What was found. `further`: the search ended at this entry, and there may be more after it; None: at the end,
    or with as many as were asked for."""

    entries: tuple[EntryView, ...]
    further: int | None = None


# So many postings are looked at for a page: an account may have very many, and none that is wanted.
_LOOKED_AT = 50_000
_ENTRY = """
    SELECT e.id AS entry_id, e.template, e.idempotency_key AS key, e.happened_at, e.written_at, e.actor, e.cause,
           e.corrects_entry_id,
           (SELECT min(x.id) FROM journal_entry x WHERE x.corrects_entry_id = e.id) AS corrected_by
      FROM journal_entry e
"""


async def list_all(
    db: Database,
    wanted: EntryFilter | None = None,
    *,
    limit: int = 50,
    after: int | None = None,
    looked_at: int = _LOOKED_AT,
) -> EntryPage:
    """The last that happened first, from after the entry `after` on; of an account or a client the last written.

    Of these it looks at the newest `looked_at` postings. Raises `NotFoundError` for an account, or an `after`,
    that there is not.
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
        if wanted.account is not None or wanted.client_id is not None:
            spans = await _spans(conn, wanted, after, looked_at)
            found = await _of_accounts(conn, spans, conditions, limit)
            further = await _further(conn, spans)
            # What was written before it may not be all there is: it is found from there on.
            kept = [r for r in found if further is None or r.entry_id >= further]
            return EntryPage(await _with_postings(conn, kept), further if len(kept) < limit else None)
        if at is not None:
            conditions.always("(e.happened_at, e.id) < (:after_at, :after)", after_at=at.happened_at, after=at.id)
        found = await rows(
            conn,
            f"{_ENTRY} {conditions.where} ORDER BY e.happened_at DESC, e.id DESC LIMIT :limit",
            limit=limit,
            **conditions.values,
        )
        return EntryPage(await _with_postings(conn, found))


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


@dataclass(frozen=True, slots=True)
class _Span:
    """An account's postings that are looked at: from version `first` on, before version `below`."""

    account_id: int
    first: int
    below: int


async def _spans(conn: AsyncConnection, wanted: EntryFilter, after: int | None, looked_at: int) -> list[_Span]:
    conditions = Conditions()
    conditions.given("name = :account", account=wanted.account)
    conditions.given("client_id = :client", client=wanted.client_id)
    query = f"SELECT id, version FROM account {conditions.where} ORDER BY id"  # noqa: S608 - every part stands here
    found = await rows(conn, query, **conditions.values)
    if not found and wanted.account is not None:
        text = f"there is no account {plain(wanted.account)!r}"
        raise NotFoundError(text, remedy="see: dca-daemon ledger balances", field="account")
    each = max(1, looked_at // max(1, len(found)))
    spans = []
    for account in found:
        newest = account.version if after is None else await version_before(conn, account.id, after)
        spans.append(_Span(account.id, max(1, newest + 1 - each), newest + 1))
    return spans


async def _of_accounts(
    conn: AsyncConnection, spans: Sequence[_Span], conditions: Conditions, limit: int
) -> list[Any]:
    """The newest of the heads of each account's postings."""
    return await rows(
        conn,
        f"""{_ENTRY} WHERE e.id IN (
                SELECT k.id FROM unnest(CAST(:accounts AS bigint[]), CAST(:first AS bigint[]),
                                        CAST(:below AS bigint[])) a (id, first, below)
                 CROSS JOIN LATERAL (
                       SELECT e.id FROM posting p JOIN journal_entry e ON e.id = p.entry_id
                        WHERE p.account_id = a.id AND p.account_version >= a.first
                          AND p.account_version < a.below AND {conditions.all}
                        ORDER BY p.account_version DESC LIMIT :limit) k)
             ORDER BY e.id DESC LIMIT :limit""",  # noqa: S608 - every part stands here
        accounts=int_array(one.account_id for one in spans),
        first=int_array(one.first for one in spans),
        below=int_array(one.below for one in spans),
        limit=limit,
        **conditions.values,
    )


async def _further(conn: AsyncConnection, spans: Sequence[_Span]) -> int | None:
    """The newest entry up to which, in an account, was looked."""
    ended = [one for one in spans if one.first > 1]
    found: int | None = await scalar(
        conn,
        """SELECT max(p.entry_id) FROM unnest(CAST(:accounts AS bigint[]), CAST(:first AS bigint[])) a (id, first)
             JOIN posting p ON p.account_id = a.id AND p.account_version = a.first""",
        accounts=int_array(one.account_id for one in ended),
        first=int_array(one.first for one in ended),
    )
    return found


async def _with_postings(conn: AsyncConnection, found: Sequence[Any]) -> tuple[EntryView, ...]:
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
    return tuple([EntryView(**r._mapping, postings=tuple(postings[r.entry_id])) for r in found])
