"""What is exported: the accounts, what they held before, the entries one by one, what they held after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import BooksError
from dca_daemon.ledger.db import one, rows, statement

_PAGE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class ExportedAccount:
    """An account; its balances before and after what is exported, debit > 0."""

    name: str
    unit: str
    kind: str
    client: str | None
    opening: int
    closing: int


@dataclass(frozen=True, slots=True)
class ExportedLine:
    """One posting: debit > 0, credit < 0, in msat or the currency's minor unit."""

    account: str
    unit: str
    kind: str
    amount: int


@dataclass(frozen=True, slots=True)
class ExportedEntry:
    """One journal entry, with its postings in the order of their accounts."""

    entry_id: int
    template: str
    key: str
    happened_at: datetime
    written_at: datetime
    actor: str
    cause: str
    corrects_entry_id: int | None
    lines: tuple[ExportedLine, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """What part of the journal: by when things happened, `since` included, `until` not."""

    since: datetime | None
    until: datetime | None
    zone: ZoneInfo  # whose days the dates are

    def day(self, moment: datetime) -> date:
        """The date of a moment."""
        return moment.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True)
class Head:
    """What is known before the first entry. Dates are None when nothing ever happened."""

    accounts: tuple[ExportedAccount, ...]
    first_day: date | None
    last_day: date | None


_WITHIN = """(CAST(:since AS timestamptz) IS NULL OR e.happened_at >= :since)
         AND (CAST(:until AS timestamptz) IS NULL OR e.happened_at < :until)"""
_ENTRIES = f"""
    SELECT e.id, e.template, e.idempotency_key, e.happened_at, e.written_at, e.actor, e.cause,
           e.corrects_entry_id, a.name, a.unit, a.kind, p.amount
      FROM journal_entry e JOIN posting p ON p.entry_id = e.id JOIN account a ON a.id = p.account_id
     WHERE {_WITHIN} ORDER BY e.id, a.id"""  # noqa: S608 - both parts stand here


async def head(conn: AsyncConnection, span: Span) -> Head:
    """Accounts and their balances. Raises `BooksError` when the postings are not what is kept."""
    found = await rows(
        conn,
        """SELECT a.name, a.unit, a.kind, a.balance, c.name AS client,
                  coalesce(p.opening, 0) AS opening, coalesce(p.closing, 0) AS closing
             FROM account a
             LEFT JOIN client c ON c.id = a.client_id
             LEFT JOIN (SELECT p.account_id,
                               sum(p.amount) FILTER (WHERE e.happened_at < CAST(:since AS timestamptz)) AS opening,
                               sum(p.amount) FILTER (WHERE CAST(:until AS timestamptz) IS NULL
                                                        OR e.happened_at < :until) AS closing
                          FROM posting p JOIN journal_entry e ON e.id = p.entry_id
                         GROUP BY p.account_id) p ON p.account_id = a.id
            ORDER BY a.id""",
        since=span.since,
        until=span.until,
    )
    days = await one(
        conn,
        f"SELECT min(e.happened_at) AS first, max(e.happened_at) AS last FROM journal_entry e WHERE {_WITHIN}",  # noqa: S608
        since=span.since,
        until=span.until,
    )
    if span.until is None:
        for r in found:
            if r.closing != r.balance:
                raise BooksError(f"{r.name} keeps {r.balance}, its postings come to {r.closing}")
    first = span.since or days.first
    last = days.last or first
    return Head(
        tuple(ExportedAccount(r.name, r.unit, r.kind, r.client, int(r.opening), int(r.closing)) for r in found),
        None if first is None else span.day(first),
        None if last is None else span.day(last),
    )


async def entries(conn: AsyncConnection, span: Span) -> AsyncIterator[ExportedEntry]:
    """The entries as they were written, read from a cursor of the server: memory does not grow with history."""
    # Fast from the first row on, in the order of the index: no sort of the whole history.
    await conn.exec_driver_sql("SET LOCAL cursor_tuple_fraction = 0.0001")
    stream = await conn.stream(
        statement(_ENTRIES),
        {"since": span.since, "until": span.until},
        execution_options={"yield_per": _PAGE_ROWS},
    )
    head_row: Any = None
    lines: list[ExportedLine] = []
    async for r in stream:
        if head_row is not None and r.id != head_row.id:
            yield _entry(head_row, lines)
            lines = []
        head_row = r
        lines.append(ExportedLine(r.name, r.unit, r.kind, r.amount))
    if head_row is not None:
        yield _entry(head_row, lines)


def _entry(r: Any, lines: list[ExportedLine]) -> ExportedEntry:
    return ExportedEntry(
        entry_id=r.id,
        template=r.template,
        key=r.idempotency_key,
        happened_at=r.happened_at,
        written_at=r.written_at,
        actor=r.actor,
        cause=r.cause,
        corrects_entry_id=r.corrects_entry_id,
        lines=tuple(lines),
    )
