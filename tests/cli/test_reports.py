"""`dca-daemon report` and `ledger export` as an operator calls them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from tests.cli.conftest import Cli, OnBooks
from tests.ledger.filled import fill


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_reports(cli: Cli, on_books: OnBooks, tmp_path: Path) -> None:
    ids = on_books(fill)
    a = str(ids.a)
    data = cli("report", "client", a, "--json").done().json
    assert data["reports"][0]["deposited"] == "20000.00" and len(data["records"]) == 2
    assert data["reports"][0]["largest"]["fiat_per_btc"] == data["records"][0]["fiat_per_btc"]
    text = cli("report", "client", a, "--limit", "1").done().out
    assert "20,000.00 GTQ" in text and "GTQ" in text and "average price" in text
    rows = read(cli("report", "client", a, "--csv", "-").done().out)
    assert [int(r["sats"]) for r in rows] == [r["sats"] for r in data["records"]]
    cli("report", "client", "nobody").refused("no client 'nobody'")
    cli("report", "client", "nobody", "--csv", str(tmp_path / "x.csv")).refused("no client 'nobody'")
    assert not list(tmp_path.glob("*x.csv*"))
    every = cli("report", "clients", "--json").done().json["reports"]
    assert [r["client_id"] for r in every] == [ids.a, ids.b]
    assert "of all" not in cli("report", "clients").done().out
    path = tmp_path / "clients.csv"
    assert "2 lines are in" in cli("report", "clients", "--csv", str(path)).done().err
    assert [r["deposited"] for r in read(path.read_text())] == ["20000.00", "10000.00"]
    cli("report", "clients", "--csv", str(tmp_path / "no" / "x.csv")).refused("can't write")
    cli("report", "clients", "--csv", "-", "--json").refused("not both", status=2)


def test_periods(cli: Cli, on_books: OnBooks) -> None:
    assert "Nothing happened." in cli("report", "period").done().out
    on_books(fill)
    data = cli("report", "period", "--by", "day", "--zone", "America/Guatemala", "--json").done().json
    assert data["currencies"][0]["cash_outs"] == 2 and data["currencies"][0]["fiat"] == "8000.00"
    assert data["zone"] == "America/Guatemala" and data["payouts"]
    assert "8,000.00 GTQ" in cli("report", "period").done().out
    assert read(cli("report", "period", "--csv", "-").done().out)[0]["sats"] == "1024800"
    assert cli("report", "period", "--since", "2027-01-01", "--json").done().json["currencies"] == []
    cli("report", "period", "--zone", "Nowhere/At-all").refused("no time zone")
    cli("report", "period", "--since", "yesterday").refused("'yesterday' is not a time")
    cli("report", "period", "--since", "2026-02-30").refused("not a time")
    cli("report", "period", "--since", "0001-01-01", "--zone", "Asia/Tokyo").refused("not a time")
    cli("report", "period", "--since", "2026-02-02", "--until", "2026-02-02").refused("no time between")
    cli("report", "period", "--by", "year").refused("year", status=2)


def test_export(cli: Cli, on_books: OnBooks, tmp_path: Path) -> None:
    on_books(fill)
    document = json.loads(cli("ledger", "export", "--format", "json").done().out)
    path = tmp_path / "books.beancount"
    done = cli("ledger", "export", "--format", "beancount", "-o", str(path)).done()
    assert done.out == "" and f"{len(document['entries'])} entries" in done.err
    assert path.stat().st_mode & 0o777 == 0o600 and " balance Assets:Cash:Pool1" in path.read_text()
    cli("ledger", "export", "--format", "csv", "-o", str(tmp_path)).refused("can't write")
    assert list(tmp_path.parent.glob(f".{tmp_path.name}*")) == []
    cli("ledger", "export", "--format", "xml").refused("xml", status=2)
    cli("ledger", "export").refused("--format", status=2)
