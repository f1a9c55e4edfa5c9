"""Writes the journal, or a part of it, in one of the formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from dca_daemon.domain.errors import InputError
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.export import beancount, data, hledger
from dca_daemon.ledger.export.journal import ExportedEntry, Head, Span, entries, head


class ExportFormat(StrEnum):
    """For scripts (JSON, CSV), or for programs that keep books themselves."""

    JSON = "json"
    CSV = "csv"
    BEANCOUNT = "beancount"
    HLEDGER = "hledger"


@dataclass(frozen=True, slots=True)
class _Writer:
    begin: Callable[[Head, Span], Iterator[str]]
    entry: Callable[[ExportedEntry, Span], Iterator[str]]
    end: Callable[[Head, Span], Iterator[str]]
    between: str = ""  # two entries


_WRITERS = {
    ExportFormat.JSON: _Writer(data.json_begin, data.json_entry, data.json_end, ","),
    ExportFormat.CSV: _Writer(data.csv_begin, data.csv_entry, data.csv_end),
    ExportFormat.BEANCOUNT: _Writer(beancount.begin, beancount.entry, beancount.end),
    ExportFormat.HLEDGER: _Writer(hledger.begin, hledger.entry, hledger.end),
}


async def export(db: Database, span: Span, form: ExportFormat, write: Callable[[str], object]) -> int:
    """Writes piece by piece; how many entries there were. One consistent snapshot of the books.

    Raises `InputError` for a span that ends before it begins.
    """
    if span.since is not None and span.until is not None and span.until <= span.since:
        raise InputError("the export would end before it begins", remedy="--until must be later than --since")
    writer = _WRITERS[form]
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # Who reads our output may take its time.
        await conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '1h'")
        known = await head(conn, span)
        for text in writer.begin(known, span):
            write(text)
        count = 0
        async for entry in entries(conn, span):
            if count:
                write(writer.between)
            count += 1
            for text in writer.entry(entry, span):
                write(text)
        for text in writer.end(known, span):
            write(text)
    return count
