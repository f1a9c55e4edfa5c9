"""Taking back and adjusting, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dca_daemon.ledger.db import Database
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.cli.conftest import Cli, FakeWallet, OnBooks
from tests.ledger.filled import invoice, reserve, settle, submit
from tests.services.builders import success


@pytest.fixture
def booked(cli: Cli, wallet: FakeWallet, key_file: Path, on_books: OnBooks) -> None:
    """A client with a deposit, and a cash-out that was shared."""
    cli("client", "add", "Ana", "--lnbits-key-file", str(key_file)).done()
    cli("deposit", "record", "1", "20000", "--confirm").done()

    async def book(db: Database) -> None:
        await Intake(db, IntakeConfig()).process([success()])

    on_books(book)


def test_a_cash_out_is_taken_back(cli: Cli, booked: None) -> None:
    cli("cash-out", "reverse", "1", "--reason", " ", "--yes").refused("needs a reason")
    asked = cli("cash-out", "reverse", "1", "--reason", "wrong machine")
    assert asked.status == 1 and "--yes" in asked.err and "484,218 sats" in asked.out
    assert cli("cash-out", "show", "1", "--json").done().json["cash_out"]["state"] == "distributed"
    done = cli("cash-out", "reverse", "1", "--reason", "wrong machine", "--yes").done().out
    assert "Cash-out 1 waits for a decision" in done
    shown = cli("cash-out", "show", "1", "--json").done().json
    assert (shown["cash_out"]["state"], shown["cash_out"]["reason"], shown["split"]) == (
        "review",
        "reversed",
        None,
    )
    cli("cash-out", "reverse", "1", "--reason", "again", "--yes").refused("no distribution to reverse")
    cli("distribution", "reverse", "1", "--reason", "again", "--yes").refused("reversed already")
    (listed,) = cli("distribution", "list", "--reversed", "--json").done().json["distributions"]
    assert listed["reversal_entry_id"] is not None and listed["records"][0]["state"] == "reversed"
    assert "Reversed" in cli("distribution", "show", "1").done().out
    assert cli("ledger", "verify", "--json").done().json["holds"]
    assert cli("client", "show", "1", "--json").done().json["client"]["balances"][0]["balance"] == "20000.00"


def test_what_was_paid_is_followed_by_an_adjustment(cli: Cli, booked: None, on_books: OnBooks) -> None:
    async def pay(db: Database) -> None:
        payout_id = await reserve(db, 1)
        assert payout_id is not None
        await invoice(db, payout_id)
        await submit(db, payout_id)
        await settle(db, payout_id)

    on_books(pay)
    cli("cash-out", "reverse", "1", "--reason", "x", "--yes").refused("has been paid", "client adjust")
    back = (
        "client",
        "adjust",
        "Ana",
        "--sats",
        "-484218",
        "--reason",
        "wrong machine",
        "--corrects",
        "cash-out 1",
    )
    refused = cli(*back)
    assert refused.status == 1 and "484,218 sats paid ahead" in refused.out
    done = cli(*back, "--yes", "--json").done().json
    assert (done["before"], done["after"], done["adjustment"]["sats"]) == (0, -484_218, -484_218)
    again = cli(
        "client", "adjust", "Ana", "--fiat", "+3780", "--reason", "wrong machine", "--yes", "--json"
    ).done()
    assert (again.json["before"], again.json["after"]) == ("16220.00", "20000.00")
    listed = cli("client", "adjustments", "Ana", "--json").done().json["adjustments"]
    assert [(a["fiat"], a["sats"], a["corrects"]) for a in listed] == [
        ("3780.00", None, None),
        (None, -484_218, "cash-out 1"),
    ]
    assert "−484,218 sats" in cli("client", "adjustments", "Ana").done().out
    assert cli("ledger", "verify", "--json").done().json["holds"]


def test_bad_input_changes_nothing(cli: Cli, booked: None) -> None:
    adjust = ("client", "adjust", "Ana", "--reason", "x", "--yes")
    cli(*adjust, "--fiat", "-20000").refused("16,220.00 GTQ left")
    cli(*adjust, "--fiat", "ten").refused("not an amount")
    cli(*adjust, "--fiat", "5", "--pool", "Nowhere").refused("no pool")
    cli(*adjust, "--sats", "0").refused("1 to")
    cli(*adjust, "--sats", "5", "--fiat", "5").refused("either")
    cli(*adjust).refused("either")
    cli("client", "adjust", "Nobody", "--sats", "5", "--reason", "x", "--yes").refused("no client")
    cli("distribution", "show", "77").refused("no distribution 77", "distribution list")
    cli("cash-out", "reverse", "77", "--reason", "x", "--yes").refused("no cash-out")
    assert cli("client", "adjustments", "Ana", "--json").done().json == {"adjustments": []}
