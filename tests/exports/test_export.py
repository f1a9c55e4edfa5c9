"""The journal as other programs read it: their own checkers accept it, and prove the balances."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dca_daemon.domain.errors import InputError
from dca_daemon.ledger import reports
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.export import beancount, hledger
from dca_daemon.ledger.export.export import ExportFormat, export
from dca_daemon.ledger.export.journal import ExportedAccount, ExportedEntry, ExportedLine, Head, Span
from dca_daemon.ledger.export.plain_text import account_name
from dca_daemon.services import deposits
from tests.exports import checkers
from tests.exports.checkers import beancount_entries, beancount_errors, needs_hledger
from tests.ledger.filled import fill
from tests.services.builders import client

GUATEMALA = ZoneInfo("America/Guatemala")
ALL = Span(None, None, GUATEMALA)
NASTY = 'says "no" \\ ; date:2020-01-01, [2020/1/1]\n2020-01-01 open Assets:X\t| {}'


async def text_of(db: Database, form: ExportFormat, span: Span = ALL) -> str:
    parts: list[str] = []
    await export(db, span, form, parts.append)
    return "".join(parts)


@pytest.fixture
async def filled(books: Database) -> AsyncIterator[Database]:
    """A bit of everything, with a voided deposit whose reason is made to break files."""
    await fill(books)
    wrong = await client(books)
    recorded = await deposits.record(
        books, client=str(wrong), amount="5.05", currency=None, note=None, actor="test"
    )
    await deposits.confirm(books, recorded.deposit_id, actor='a "quoted" actor')
    await deposits.void(books, recorded.deposit_id, reason=NASTY, actor="test")
    yield books


async def kept(db: Database) -> dict[str, int]:
    return {a.name: a.balance for a in await reports.balances(db)}


async def test_beancount_accepts_all_of_it_and_proves_the_balances(filled: Database) -> None:
    text = await text_of(filled, ExportFormat.BEANCOUNT)
    entries = beancount_entries(text)
    assert sum(type(e).__name__ == "Balance" for e in entries) == len(await kept(filled))
    voided = [e for e in entries if type(e).__name__ == "Transaction" and "corrects" in e.meta]
    assert len(voided) == 1 and voided[0].meta["template"] == "reversal"


async def test_beancount_finds_a_balance_that_is_off_by_one_millisatoshi(filled: Database) -> None:
    text = await text_of(filled, ExportFormat.BEANCOUNT)
    line = next(x for x in text.splitlines() if " balance Equity:House:Sats" in x)
    amount = line.split("  ")[1].split()[0]
    off = amount[:-1] + ("1" if amount[-1] == "0" else "0")
    assert beancount_errors(text.replace(line, line.replace(amount, off)))


@needs_hledger
async def test_hledger_accepts_all_of_it_and_proves_the_balances(filled: Database, tmp_path: Path) -> None:
    path = tmp_path / "books.journal"
    path.write_text(await text_of(filled, ExportFormat.HLEDGER))
    assert checkers.hledger(path, "check", "--strict").returncode == 0
    shown = checkers.hledger(path, "balance", "-N", "--flat", "--empty", "-O", "csv", "-c", "1000.000 SAT").stdout
    found = {row[0]: row[1] for row in csv.reader(io.StringIO(shown))}
    balances = await kept(filled)
    house = found["Equity:House:Sats"]
    assert house == f"-{balances['house:sats'] / 1000:.3f} SAT"
    path.write_text(path.read_text().replace(f"= {house}", f"= {house.replace('-', '-1')}"))
    assert checkers.hledger(path, "check").returncode != 0


async def test_a_part_carries_its_opening_balances_and_still_checks(filled: Database, tmp_path: Path) -> None:
    happened = [r["happened_at"] for r in json.loads(await text_of(filled, ExportFormat.JSON))["entries"]]
    moments = sorted({datetime.fromisoformat(at) for at in happened})
    middle = moments[len(moments) // 2]
    counts = 0
    for span in (Span(middle, None, GUATEMALA), Span(None, middle, UTC_ZONE), Span(moments[1], middle, GUATEMALA)):
        beancount_entries(await text_of(filled, ExportFormat.BEANCOUNT, span))
        document = json.loads(await text_of(filled, ExportFormat.JSON, span))
        sums: dict[str, Any] = {}
        for entry in document["entries"]:
            for line in entry["lines"]:
                sums[line["account"]] = sums.get(line["account"], 0) + _number(line["amount"])
        for account in document["accounts"]:
            assert _number(account["closing"]) == _number(account["opening"]) + sums.get(account["account"], 0)
        counts += len(document["entries"])
        if checkers.HLEDGER:
            path = tmp_path / "part.journal"
            path.write_text(await text_of(filled, ExportFormat.HLEDGER, span))
            assert checkers.hledger(path, "check", "--strict").returncode == 0
    assert counts > len(happened)  # the first two make the whole, the third is within the second


UTC_ZONE = ZoneInfo("UTC")


def _number(amount: int | str) -> int:
    return amount if isinstance(amount, int) else int(amount.replace(".", ""))


async def test_csv_and_json_have_every_posting(filled: Database) -> None:
    rows = list(csv.DictReader(io.StringIO(await text_of(filled, ExportFormat.CSV))))
    document = json.loads(await text_of(filled, ExportFormat.JSON))
    assert len(rows) == sum(len(e["lines"]) for e in document["entries"])
    assert NASTY.strip() in document["entries"][-1]["cause"]  # as it is
    assert sum(int(r["amount"]) for r in rows if r["unit"] == "msat") == 0


async def test_empty_books_and_spans_make_files_that_check(books: Database) -> None:
    assert beancount_errors(await text_of(books, ExportFormat.BEANCOUNT)) == []
    assert json.loads(await text_of(books, ExportFormat.JSON))["entries"] == []
    await client(books, "100")
    later = Span(datetime.now(UTC) + timedelta(days=9), None, GUATEMALA)
    assert beancount_errors(await text_of(books, ExportFormat.BEANCOUNT, later)) == []
    with pytest.raises(InputError, match="before it begins"):
        await text_of(books, ExportFormat.CSV, Span(later.since, later.since, GUATEMALA))


def test_account_names() -> None:
    assert account_name("client:5:fiat:1", "liability") == "Liabilities:Client5:Fiat1"
    assert account_name("payouts:in-flight", "liability") == "Liabilities:Payouts:In-Flight"
    assert account_name("expense:fees", "expense") == "Expenses:Fees"


def _made_up(texts: list[str]) -> tuple[Head, list[ExportedEntry]]:
    """Entries that are made of these texts, each of 1 msat."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    lines = (
        ExportedLine("coins:received", "msat", "asset", 1),
        ExportedLine("house:sats", "msat", "equity", -1),
    )
    entries = [ExportedEntry(n, t, t, at, at, t, t, n, lines) for n, t in enumerate(texts, 1)]
    n = len(texts)
    accounts = (
        ExportedAccount("coins:received", "msat", "asset", texts[0], 0, n),
        ExportedAccount("house:sats", "msat", "equity", None, 0, -n),
    )
    return Head(accounts, ALL.day(at), ALL.day(at)), entries


ANY_TEXTS = st.lists(st.text(max_size=60), min_size=1, max_size=8)


@given(ANY_TEXTS)
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_a_beancount_file(texts: list[str]) -> None:
    head, entries = _made_up([*texts, NASTY])
    text = "".join(
        [
            *beancount.begin(head, ALL),
            *(p for e in entries for p in beancount.entry(e, ALL)),
            *beancount.end(head, ALL),
        ]
    )
    assert sum(type(e).__name__ == "Transaction" for e in beancount_entries(text)) == len(entries)


@needs_hledger
@given(st.lists(st.text(max_size=40), min_size=40, max_size=60))
@settings(max_examples=2, deadline=None)
def test_no_text_breaks_an_hledger_file(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    head, entries = _made_up([*texts, NASTY, "date:", "date:x", "comment", "* x", "( x", "x:y,date:z"])
    path = tmp_path_factory.mktemp("hledger") / "any.journal"
    path.write_text(
        "".join(
            [
                *hledger.begin(head, ALL),
                *(p for e in entries for p in hledger.entry(e, ALL)),
                *hledger.end(head, ALL),
            ]
        )
    )
    done = checkers.hledger(path, "check", "--strict")
    assert done.returncode == 0, done.stderr
    tags = set(checkers.hledger(path, "tags").stdout.split())
    assert tags == {"account", "client", "template", "key", "actor", "happened", "written", "corrects"}
    shown = checkers.hledger(path, "print", "-O", "csv").stdout
    assert len({row[0] for row in csv.reader(io.StringIO(shown))}) == len(entries) + 2  # a heading, the balances
