"""`client export`, `client import` and `client erase`, as a user runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.cli.conftest import INVOICE_KEY, Cli, FakeWallet, OnBooks
from tests.services.builders import value

DOCUMENT = (Path(__file__).parents[2] / "docs" / "client-data.md").read_text(encoding="utf-8")


def keys(data: Any) -> set[str]:
    if isinstance(data, dict):
        inner = (keys(v) for k, v in data.items() if k not in ("before", "after"))
        return set(data).union(*inner)
    return set().union(*map(keys, data)) if isinstance(data, list) else set()


def test_a_clients_data_come_out_go_in_and_go_away(
    cli: Cli, wallet: FakeWallet, key_file: Path, tmp_path: Path, on_books: OnBooks
) -> None:
    cli("client", "add", "Ana", "--lnbits-key-file", str(key_file)).done()
    cli("client", "add", "Otto", "--lightning-address", "otto@example.com").done()
    cli("deposit", "record", "Ana", "100", "--note", "Ana's first", "--confirm").done()
    cli("client", "make-link", "Ana").done()

    # One, for itself: every key is documented, and no secret is in it.
    one = json.loads(cli("client", "export", "Ana").done().out)
    for key in keys(one):
        assert re.search(rf"`{key}`", DOCUMENT), key
    assert (one["client"]["name"], one["balances"][0]["balance"]) == ("Ana", "100.00")
    assert one["deposits"][0]["note"] == "Ana's first" and len(one["personal_links"]) == 1
    assert [change["action"] for change in one["changes"]][:2] == ["client.add", "deposit.record"]
    assert INVOICE_KEY not in json.dumps(one)

    # All, for another installation.
    file = tmp_path / "all.json"
    cli("client", "export", "--all", "--out", str(file)).done()
    assert INVOICE_KEY not in file.read_text() and file.stat().st_mode & 0o777 == 0o600
    whole = json.loads(cli("client", "export", "--all").done().out)
    for key in keys(whole):
        assert re.search(rf'[`"]{key}[`"]', DOCUMENT), key
    cli("client", "export", "--all", "--with-keys", "--out", str(file)).done()
    assert INVOICE_KEY in file.read_text() and file.stat().st_mode & 0o777 == 0o600
    for wrong in (("--all", "--with-keys"), ("Ana", "--with-keys", "--out", "x"), (), ("Ana", "--all")):
        assert cli("client", "export", *wrong).status == 2
    cli("client", "export", "Nobody").refused("there is no client")

    # Into this one again: the names are taken, and each is told.
    told = cli("client", "import", str(file))
    assert "clients[0].name: there is a client named 'Ana' here" in told.out
    told.refused("2 problems: nothing was imported")
    moved = json.loads(file.read_text())
    moved["clients"] = [{**moved["clients"][0], "id": 99, "name": "Ana Two"}]
    file.write_text(json.dumps(moved))
    seen = cli("client", "import", str(file), "--json").done().json
    assert (seen["import_id"], seen["clients"][0]["balances"][0]["balance"]) == (None, "100.00")
    cli("client", "import", str(file), "--apply").refused("nobody to ask")
    assert on_books(lambda db: value(db, "SELECT count(*) FROM client")) == 2
    done = cli("client", "import", str(file), "--apply", "--yes", "--json").done().json
    assert done["import_id"] == 1 and INVOICE_KEY not in json.dumps(done)
    file.write_bytes(b"\xff")
    cli("client", "import", str(file)).refused("no text in UTF-8")
    cli("client", "import", str(tmp_path / "none")).refused("can't read")

    # And away: first what would go, then only with a yes.
    cli("client", "erase", "Ana", "--reason", "asked for").refused("100.00 GTQ", "give-back")
    cli("deposit", "give-back", "Ana", "100", "--reason", "Ana leaves", "--yes").done()
    before = cli("client", "erase", "Ana", "--reason", "asked for", "--also", "first")
    before.refused("nobody to ask")
    assert "client-1 (erased)" in before.out
    cli("client", "erase", "Ana", "--reason", "Ana asked", "--yes").refused("names the client")
    erased = cli("client", "erase", "Ana", "--reason", "asked for", "--yes", "--json").done().json["erasure"]
    assert (erased["name"], erased["name_after"], erased["personal_links"]) == ("Ana", "client-1 (erased)", 1)
    gone = cli("client", "export", "1").done().out
    assert "Ana Two" not in gone and not re.search(r"\bAna\b", gone)
    assert cli("client", "show", "Ana Two", "--json").done().json["client"]["name"] == "Ana Two"
    cli("ledger", "verify").done()
