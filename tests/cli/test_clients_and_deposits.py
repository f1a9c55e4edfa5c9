"""Clients and deposits, from the command line into the books."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.domain.errors import WalletRefusedError
from dca_daemon.ledger.db import Database, rows
from tests.cli.conftest import INVOICE_KEY, Cli, FakeWallet, OnBooks, write_config
from tests.fixtures.postgres import TestDb


def audit_log(on_books: OnBooks) -> list[tuple[str, str, str]]:
    async def read(db: Database) -> list[tuple[str, str, str]]:
        async with db.transaction() as conn:
            found = await rows(conn, "SELECT actor, action, subject FROM audit_log ORDER BY id")
            return [(r.actor, r.action, r.subject) for r in found]

    found: list[tuple[str, str, str]] = on_books(read)
    return found


def test_a_client_is_added_by_key_file(cli: Cli, wallet: FakeWallet, key_file: Path) -> None:
    outcome = cli("client", "add", "  María   López ", "--lnbits-key-file", str(key_file), "--json").done()
    client = outcome.json["client"]
    assert client["name"] == "María López"
    assert (client["mode"], client["status"], client["destination_kind"]) == ("flow", "active", "lnbits")
    assert outcome.json["destination_info"] == {"name": "Wallet", "min_sats": 1, "max_sats": 1000}
    assert datetime.fromisoformat(client["created_at"]).tzinfo is not None
    assert wallet.checked[0].invoice_key == INVOICE_KEY
    assert INVOICE_KEY not in outcome.out + cli("client", "show", "maría lópez", "--json").done().out
    assert "'Wallet'" in cli("client", "add", "Ana", "--lightning-address", "Ana@Example.com").done().out
    assert wallet.checked[-1].address == "ana@example.com"


def test_a_client_is_added_by_stdin(
    cli: Cli, wallet: FakeWallet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = tmp_path / "stdin"
    key.write_text(INVOICE_KEY + "\n")
    with key.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        cli("client", "add", "Ana", "--mode", "fixed", "--lnbits-key-stdin").done()
    assert wallet.checked[0].invoice_key == INVOICE_KEY


@pytest.mark.parametrize("content", ["", "two words", "short", "x" * 300, "clé-clé-clé"])
def test_what_is_no_key_is_refused_and_not_shown(
    cli: Cli, wallet: FakeWallet, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "wrong.key"
    path.write_text(content)
    line = cli("client", "add", "Ana", "--lnbits-key-file", str(path)).refused("no invoice key")
    assert not content or content not in line
    assert cli("client", "list", "--json").done().json == {"clients": []}


def test_a_destination_that_refuses_adds_nobody(
    cli: Cli, wallet: FakeWallet, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: object) -> None:
        raise WalletRefusedError("LNbits refused: 404", status=404, remedy="check the key")

    monkeypatch.setattr(wallet, "check_destination", refuse)
    cli("client", "add", "Ana", "--lnbits-key-file", str(key_file)).refused("404", "check the key")
    assert cli("client", "list", "--json").done().json["clients"] == []


def test_a_real_wallet_answers_with_its_name(
    cli: Cli, lnbits: LnbitsAdmin, books_db: TestDb, keys_text: str, tmp_path: Path
) -> None:
    source, receiver = lnbits.create_wallet("source"), lnbits.create_wallet("Wallet of María")
    config = write_config(
        tmp_path / "real.toml",
        books_db.dsn,
        keys_text,
        {"lnbits": {"url": lnbits.url, "admin_key": source.adminkey, "requests_per_minute": 100_000}},
    )
    key = tmp_path / "key"
    key.write_text(receiver.inkey)
    outcome = cli("client", "add", "María", "--lnbits-key-file", str(key), config_path=config).done()
    assert "'Wallet of María'" in outcome.out
    key.write_text(receiver.adminkey)
    line = cli("client", "add", "Eva", "--lnbits-key-file", str(key), config_path=config).refused("admin key")
    assert receiver.adminkey not in line
    key.write_text("0" * 32)
    cli("client", "add", "Eva", "--lnbits-key-file", str(key), config_path=config).refused("404", "check the key")
    assert len(cli("client", "list", "--json").done().json["clients"]) == 1


def test_a_client_changes_one_thing_at_a_time(
    cli: Cli, wallet: FakeWallet, key_file: Path, on_books: OnBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "operator")
    cli("client", "add", "Ana", "--lnbits-key-file", str(key_file)).done()
    assert cli("client", "set", "Ana", "--name", "Anna", "--json").done().json["client"]["name"] == "Anna"
    assert cli("client", "set", "1", "--mode", "fixed", "--json").done().json["client"]["mode"] == "fixed"
    elsewhere = ("client", "set", "1", "--lightning-address", "anna@example.com")
    cli(*elsewhere).refused("confirmation", "--yes")
    assert cli("client", "show", "1", "--json").done().json["client"]["destination_kind"] == "lnbits"
    changed = cli(*elsewhere, "--yes", "--json").done().json["client"]
    assert changed["destination"] == "anna@example.com"
    assert cli("client", "deactivate", "1", "--json").done().json["client"]["status"] == "inactive"
    assert "active" in cli("client", "activate", "1").done().out
    log = audit_log(on_books)
    assert {actor for actor, _, _ in log} == {"os:operator"}
    assert [action for _, action, _ in log] == [
        "client.add",
        "client.rename",
        "client.set-mode",
        "client.set-destination",
        "client.set-inactive",
        "client.set-active",
    ]


def test_what_was_changed_of_a_client_is_listed_with_the_reason(cli: Cli, ana: None) -> None:
    cli("client", "deactivate", "Ana", "--reason", "travels").done()
    cli("client", "set", "Ana", "--lightning-address", "ana@example.com", "--yes", "--reason", "new wallet").done()
    newest, older, added = cli("client", "changes", "Ana", "--json").done().json["changes"]
    assert (newest["action"], newest["after"]["destination"]) == ("client.set-destination", "ana@example.com")
    assert (newest["reason"], older["reason"], added["action"]) == ("new wallet", "travels", "client.add")
    assert older["before"] == {"status": "active"} and older["after"] == {"status": "inactive"}
    cli("client", "changes", "Eva").refused("no client 'Eva'")
    assert "travels" in cli("client", "changes", "Ana").done().out


def test_the_audit_log_is_listed_by_what_and_who(cli: Cli, ana: None) -> None:
    cli("deposit", "record", "Ana", "1000", "--confirm").done()
    actions = [c["action"] for c in cli("audit", "--json").done().json["changes"]]
    assert actions == ["deposit.confirm", "deposit.record", "client.add"]
    (added,) = cli("audit", "--action", "client", "--json").done().json["changes"]
    assert cli("audit", "--subject", "client:1", "--actor", added["actor"], "--json").done().json["changes"] == [
        added
    ]
    assert cli("audit", "--since", "2999-01-01T00:00:00Z", "--json").done().json["changes"] == []
    assert "Nothing was changed" in cli("audit", "--actor", "os:nobody-at-all").done().out
    cli("audit", "--since", "yesterday").refused("not a time")


@pytest.fixture
def ana(cli: Cli, wallet: FakeWallet, key_file: Path) -> None:
    cli("client", "add", "Ana", "--lnbits-key-file", str(key_file)).done()


def test_a_deposit_counts_once_it_is_confirmed(cli: Cli, ana: None) -> None:
    recorded = cli("deposit", "record", "Ana", "1000.50", "--currency", "gtq", "--note", "notes", "--json").done()
    assert recorded.json["deposit"]["amount"] == "1000.50"
    assert recorded.json["deposit"]["state"] == "pending"
    balances = cli("client", "show", "Ana", "--json").done().json["client"]["balances"]
    assert balances[0]["balance"] == "0.00" and balances[0]["pending"] == "1000.50"
    assert "from 0.00 GTQ to 1,000.50 GTQ" in cli("deposit", "confirm", "1").done().out
    cli("deposit", "confirm", "1").refused("confirmed, only a pending one")
    change = cli("deposit", "record", "1", "500", "--confirm", "--json").done().json
    assert (change["balance_before"], change["balance_after"]) == ("1000.50", "1500.50")
    void = cli("deposit", "void", "2", "--reason", "counted twice", "--json").done().json
    assert (void["balance_before"], void["balance_after"]) == ("1500.50", "1000.50")
    assert void["deposit"]["void_reason"] == "counted twice"
    states = [d["state"] for d in cli("deposit", "list", "--client", "ana", "--json").done().json["deposits"]]
    assert states == ["void", "confirmed"]
    assert cli("deposit", "list", "--state", "pending", "--json").done().json == {"deposits": []}


@pytest.mark.parametrize(
    "amount", ["abc", "0", "-5", "1.005", "1e30", "1e999999999", "nan", "inf", "", "1,000", "１e"]
)
def test_a_malformed_amount_changes_nothing(cli: Cli, ana: None, amount: str) -> None:
    cli("deposit", "record", "Ana", "--", amount).refused("amount" if amount not in ("1.005",) else "finer")
    assert cli("deposit", "list", "--json").done().json == {"deposits": []}


def test_another_currency_than_the_pools_is_refused(cli: Cli, ana: None) -> None:
    cli("deposit", "record", "Ana", "5", "--currency", "EUR").refused("GTQ", "EUR")


def test_tables_are_not_cut_when_piped(cli: Cli, ana: None) -> None:
    long = "a note that is much longer than any terminal is wide, " * 6
    cli("deposit", "record", "Ana", "5", "--note", long).done()
    table = cli("deposit", "list").done().out
    assert long.strip() in table
    assert "\x1b" not in table
    assert len(table.splitlines()) == 3
