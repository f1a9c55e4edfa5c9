"""The journal as data: one JSON document, or CSV with a line per posting."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from dca_daemon.domain.money import from_minor
from dca_daemon.ledger.accounts import MSAT
from dca_daemon.ledger.export.journal import ExportedEntry, Head, Span

CSV_COLUMNS = (
    "entry_id",
    "happened_at",
    "written_at",
    "template",
    "key",
    "cause",
    "actor",
    "corrects_entry_id",
    "account",
    "unit",
    "amount",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(text: str) -> str:
    """A person's text for CSV: a spreadsheet must not take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_line(values: list[Any] | tuple[Any, ...]) -> str:
    """One line of CSV."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(["" if v is None else v for v in values])
    return buffer.getvalue()


def csv_begin(head: Head, span: Span) -> Iterator[str]:
    """The names of the columns, and what the accounts held before."""
    yield csv_line(CSV_COLUMNS)
    for account in head.accounts:
        if account.opening:
            amount = _amount(account.opening, account.unit)
            at = None if span.since is None else span.since.isoformat()
            yield csv_line((None, at, None, "opening", *(None,) * 4, account.name, account.unit, amount))


def csv_entry(entry: ExportedEntry, span: Span) -> Iterator[str]:
    """A line for each posting."""
    for line in entry.lines:
        yield csv_line(
            (
                entry.entry_id,
                entry.happened_at.isoformat(),
                entry.written_at.isoformat(),
                entry.template,
                cell(entry.key),
                cell(entry.cause),
                cell(entry.actor),
                entry.corrects_entry_id,
                line.account,
                line.unit,
                _amount(line.amount, line.unit),
            )
        )


def csv_end(head: Head, span: Span) -> Iterator[str]:
    """Nothing: the balances are the sums of the amounts."""
    return iter(())


def json_begin(head: Head, span: Span) -> Iterator[str]:
    """The accounts with their balances before and after."""
    accounts = [
        {
            "account": a.name,
            "unit": a.unit,
            "kind": a.kind,
            "client": a.client,
            "opening": _amount(a.opening, a.unit),
            "closing": _amount(a.closing, a.unit),
        }
        for a in head.accounts
    ]
    since, until = (None if at is None else at.isoformat() for at in (span.since, span.until))
    yield f'{{"since": {json.dumps(since)}, "until": {json.dumps(until)},\n'
    yield f'"accounts": {json.dumps(accounts, ensure_ascii=False)},\n"entries": ['


def json_entry(entry: ExportedEntry, span: Span) -> Iterator[str]:
    """One object."""
    lines = [{"account": x.account, "unit": x.unit, "amount": _amount(x.amount, x.unit)} for x in entry.lines]
    data = {
        "entry_id": entry.entry_id,
        "template": entry.template,
        "key": entry.key,
        "happened_at": entry.happened_at.isoformat(),
        "written_at": entry.written_at.isoformat(),
        "actor": entry.actor,
        "cause": entry.cause,
        "corrects_entry_id": entry.corrects_entry_id,
        "lines": lines,
    }
    yield f"\n{json.dumps(data, ensure_ascii=False)}"


def json_end(head: Head, span: Span) -> Iterator[str]:
    """Closes the document."""
    yield "\n]}\n"


def _amount(amount: int, unit: str) -> int | str:
    """An integer of msat, or a fiat amount as a decimal string."""
    return amount if unit == MSAT else format(Decimal(from_minor(amount, unit)), "f")
