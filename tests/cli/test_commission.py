"""Commission from the command line: receivers, shares, release, history; and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dca_daemon.ledger.db import Database
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.cli.conftest import INVOICE_KEY, Cli, FakeWallet, OnBooks
from tests.services.builders import success


@pytest.fixture
def people(cli: Cli, wallet: FakeWallet, key_file: Path) -> None:
    """A client with a deposit, and a wallet that only receives commission."""
    cli("client", "add", "Ana María", "--lnbits-key-file", str(key_file)).done()
    cli("deposit", "record", "1", "20000", "--confirm").done()
    cli("commission", "add-receiver", "Office", "--lightning-address", "Office@Example.com").done()


def cash_out(on_books: OnBooks) -> None:
    async def book(db: Database) -> None:
        await Intake(db, IntakeConfig()).process([success()])

    on_books(book)


def test_from_shares_to_amounts(cli: Cli, people: None, on_books: OnBooks, key_file: Path) -> None:
    assert cli("commission", "show", "--json").done().json["version"]["id"] is None
    table = cli("commission", "set", "ana maría=20", "2=12.5", "--reason", "agreed", "--yes").done().out
    assert "67.5 %" in table and "1 Ana María" in table
    cash_out(on_books)
    gathering = ("commission", "set", "--pay-at", "18:30", "--zone", "America/Guatemala", "--yes", "--json")
    version = cli(*gathering).done().json["version"]
    assert (version["id"], version["pay"], version["pay_times"]) == (2, "at-times", ["18:30"])
    assert [(s["receiver"], s["percent"]) for s in version["shares"]] == [("Ana María", "20"), ("Office", "12.5")]
    assert (version["shared_percent"], version["house_percent"]) == ("32.5", "67.5")
    cash_out(on_books)
    shown = cli("commission", "show", "--json").done().json
    found = [(r["receiver"], r["gathered_sats"], r["owed_sats"], r["mode"]) for r in shown["receivers"]]
    assert found == [("Ana María", 5636, 5636, "flow"), ("Office", 3523, 3523, "commission")]
    assert shown["house_sats"] == 2 * 19_023 and shown["next_release_at"] is not None
    assert "18:30 (America/Guatemala)" in cli("commission", "show").done().out
    cli("commission", "release", "office").refused("confirmation", "--yes")
    assert cli("commission", "release", "office", "--yes", "--json").done().json["released_sats"] == 3523
    assert "5,636 sats are payable" in cli("commission", "release", "--yes").done().out
    cli("commission", "release", "--yes").refused("nothing is gathered")
    history = cli("commission", "history", "--by", "day", "--since", "2026-11-01", "--json").done().json
    assert [v["reason"] for v in history["versions"]] == [None, "agreed"]
    assert [(a["receiver"], a["sats"], a["records"]) for a in history["amounts"]] == [
        ("Ana María", 11_272, 2),
        ("Office", 7046, 2),
    ]
    assert "11,272 sats" in cli("commission", "history").done().out
    explained = cli("cash-out", "show", "1", "--json").done().json
    assert [(c["receiver"], c["percent"], c["sats"]) for c in explained["commission"]] == [
        ("Ana María", "20", 5636),
        ("Office", "12.5", 3523),
    ]
    assert any("32.5 % is shared (version 1" in line for line in explained["explanation"])
    assert "Shares of the commission, 28,182 sats" in cli("cash-out", "show", "1").done().out


def test_a_receiver_is_shown_where_it_belongs(cli: Cli, people: None, wallet: FakeWallet, key_file: Path) -> None:
    assert wallet.checked[-1].address == "office@example.com"
    assert [c["name"] for c in cli("client", "list", "--json").done().json["clients"]] == ["Ana María"]
    receiver = cli("commission", "show", "--json").done().json["receivers"][0]
    assert (receiver["receiver"], receiver["percent"], receiver["destination"]) == (
        "Office",
        None,
        "office@example.com",
    )
    cli("client", "set", "Office", "--lnbits-key-file", str(key_file), "--yes").done()
    assert wallet.checked[-1].invoice_key == INVOICE_KEY
    assert "LNbits wallet" in cli("commission", "show").done().out
    cli("client", "set", "Office", "--mode", "flow").refused("only receives commission")
    cli("deposit", "record", "Office", "5").refused("can have no deposit")
    cli("commission", "add-receiver", "ana maría", "--lnbits-key-file", str(key_file)).refused("named")


BAD_INPUT: tuple[tuple[tuple[str, ...], str, int], ...] = (
    (("ana maría=60", "Office=40.01"), "100.01 %", 1),
    (("Nobody=5",), "'Nobody'", 1),
    (("=5",), "no share", 1),
    (("Office",), "no share", 1),
    (("Office=0",), "more than 0 %", 1),
    (("Office=-5",), "not a percentage", 1),
    (("Office=101",), "at most 100 %", 1),
    (("Office=5", "2=6"), "two shares", 1),
    (("--pay-at", "25:00", "--zone", "UTC"), "'25:00' is no time of the day", 1),
    (("--pay-at", "12:00", "--zone", "Mars/Phobos"), "Mars/Phobos", 1),
    (("--pay-at", "12:00"), "--zone", 1),
    (("--pay-from-sats", "0"), "amount to pay from", 1),
    (("--pay-from-sats", "many"), "whole number", 2),
    (("--pay-at-once", "--pay-from-sats", "5"), "once", 1),
    (("--none", "Office=5"), "not both", 2),
    (("--inactive", "Office"), "has no share", 1),
    ((), "what is to change", 2),
)


def test_what_is_refused(cli: Cli, people: None) -> None:
    for arguments, words, status in BAD_INPUT:
        cli("commission", "set", *arguments, "--yes").refused(words, status=status)
    assert cli("commission", "show", "--json").done().json["version"]["id"] is None


def test_a_refusal_or_no_answer_makes_no_version(cli: Cli, people: None) -> None:
    outcome = cli("commission", "set", "Office=5")
    assert outcome.status == 1 and "confirmation" in outcome.err
    cli("commission", "set", "Office=500", "--yes").refused()
    assert cli("commission", "history", "--json").done().json == {"versions": [], "amounts": []}
    cli("commission", "set", "Office=5", "--yes").done()
    cli("commission", "set", "--inactive", "Office", "--yes").done()
    assert "5 % (inactive)" in cli("commission", "show").done().out
    cli("commission", "set", "--none", "--yes").done()
    assert cli("commission", "show", "--json").done().json["version"]["house_percent"] == "100"
