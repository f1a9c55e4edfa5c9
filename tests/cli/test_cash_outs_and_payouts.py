"""A cash-out from the books to the screen: explained to the last sat; and what a person can do about a payout."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dca_daemon.ledger.db import Database
from dca_daemon.payouts import store
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.cli.conftest import Cli, OnBooks
from tests.services import builders


@pytest.fixture
def ids(on_books: OnBooks) -> dict[str, str]:
    """Two clients with 3000.00 and 1000.00, and three cash-outs; Lamassu's ids by name."""
    whole = builders.success(discount=10, crypto_atoms=Decimal(512400), fiat=Decimal("2000.00000"))
    more = builders.success(fiat=Decimal("4000.00000"))
    bad = builders.success(commission_percentage=None)

    async def work(db: Database) -> None:
        await builders.client(db, "3000")
        await builders.client(db, "1000")
        intake = Intake(db, IntakeConfig())
        for row in (whole, more, bad):
            await intake.process([row])
        await intake.process([whole])

    on_books(work)
    return {"whole": whole.external_id, "more": more.external_id, "bad": bad.external_id}


def test_a_cash_out_is_explained_to_the_last_sat(cli: Cli, ids: dict[str, str]) -> None:
    shown = cli("cash-out", "show", ids["whole"], "--json").done().json
    split = shown["split"]
    # c' = 5.5 % less 10 % of it = 4.95 %: round(512,400 × 0.0495) = 25,364 (25,363.8); 2000.00 − 99.00 = 1901.00
    assert (split["commission_sats"], split["principal_sats"]) == (25_364, 487_036)
    assert (split["fiat"], split["charge_fiat"], split["house_fiat"]) == ("2000.00", "1901.00", "99.00")
    first, second = shown["shares"]
    assert (first["balance_before"], second["balance_before"]) == ("3000.00", "1000.00")
    assert (first["sats"], second["sats"]) == (365_277, 121_759)
    assert (first["fiat"], second["fiat"]) == ("1425.75", "475.25")
    assert first["sats"] + second["sats"] + split["house_sats"] == split["total_sats"]
    assert shown["cash_out"]["duplicates"] == 1
    assert [line["event"] for line in shown["log"]][:2] == ["seen", "booked"]

    text = cli("cash-out", "show", ids["whole"][:8]).done().out
    assert "5.5 % less a discount of 10 % = 4.95 % of 512,400 sats = 25,364 sats" in text
    assert "2,000.00 GTQ − 99.00 GTQ of commission = 1,901.00 GTQ" in text
    assert "75.0000 %" in text and "25.0000 %" in text
    assert "25,364 sats of commission + 0 sats of principal" in text
    assert "charge 1,901.00 GTQ" in text


def test_what_no_balance_covers_is_the_houses_in_words(cli: Cli, ids: dict[str, str]) -> None:
    shown = cli("cash-out", "show", "2", "--json").done().json
    split, shares = shown["split"], shown["shares"]
    assert [share["balance_before"] for share in shares] == ["1574.25", "524.75"]
    assert split["uncovered_fiat"] == "1681.00"
    assert split["house_sats"] == split["commission_sats"] + split["uncovered_sats"]
    assert sum(share["sats"] for share in shares) + split["house_sats"] == split["total_sats"]
    text = cli("cash-out", "show", "2").done().out
    assert "the clients' balances covered 2,099.00 GTQ" in text
    assert "weight of the other 1,681.00 GTQ" in text
    assert "house" in text.split("Shares of the principal")[1]


def test_a_list_shows_all_states(cli: Cli, ids: dict[str, str]) -> None:
    found = cli("cash-out", "list", "--json").done().json["cash_outs"]
    assert sorted(c["state"] for c in found) == ["distributed", "distributed", "review"]
    assert {c["external_id"] for c in found} == set(ids.values())
    assert all(isinstance(c["sats"], int) for c in found)
    reviews = cli("cash-out", "list", "--state", "review", "--state", "due", "--json").done().json["cash_outs"]
    assert [c["external_id"] for c in reviews] == [ids["bad"]]
    table = cli("cash-out", "list", "--machine", "Antigua").done().out
    assert "no commission_percentage" in table and "512,400 sats" in table


def test_what_is_distributed_or_unusable_has_no_preview(cli: Cli, ids: dict[str, str]) -> None:
    cli("cash-out", "preview", ids["whole"]).refused("distributed already", "cash-out show 1")
    cli("cash-out", "preview", ids["bad"]).refused("no commission_percentage")


def test_a_preview_is_what_would_be_booked(cli: Cli, on_books: OnBooks) -> None:
    row = builders.success(dispense_confirmed=False)

    async def work(db: Database) -> None:
        await builders.client(db, "20000")
        await Intake(db, IntakeConfig()).process([row])

    on_books(work)
    before = cli("cash-out", "preview", row.external_id, "--json").done().json
    assert before["state"] == "failed" and before["shares"][0]["state"] == "preview"
    assert "nothing is changed" in cli("cash-out", "preview", "1").done().out
    assert cli("cash-out", "show", "1", "--json").done().json["split"] is None

    confirmed = builders.success(external_id=row.external_id, tx_version=6)
    on_books(lambda db: Intake(db, IntakeConfig()).process([confirmed]))
    after = cli("cash-out", "show", "1", "--json").done().json
    assert after["split"] == before["split"]
    for key in ("client_id", "balance_before", "sats", "fiat"):
        assert after["shares"][0][key] == before["shares"][0][key]


def test_bad_rows_are_shown_as_they_are(cli: Cli, on_books: OnBooks) -> None:
    rows = [
        builders.success(crypto_atoms=Decimal("1.5")),
        builders.success(crypto_atoms=Decimal(-3)),
        builders.success(fiat=Decimal("10.00500")),
        builders.success(fiat_code="XXQ"),
        builders.success(crypto_atoms=Decimal(10) ** 29),
        builders.success(crypto_code="ETH"),
    ]
    on_books(lambda db: Intake(db, IntakeConfig()).process(rows))
    by_id = {c["external_id"]: c for c in cli("cash-out", "list", "--json").done().json["cash_outs"]}
    assert [by_id[row.external_id]["sats"] for row in rows[:2]] == ["1.5", -3]
    assert by_id[rows[2].external_id]["fiat"] == "10.005"
    assert by_id[rows[3].external_id]["currency"] == "XXQ"
    assert by_id[rows[5].external_id]["state"] == "ignored"
    assert "10.005 GTQ" in cli("cash-out", "list").done().out
    for row in rows:
        cli("cash-out", "show", row.external_id).done()
        cli("cash-out", "show", row.external_id, "--json").done()


@pytest.fixture
def payout_id(on_books: OnBooks, ids: dict[str, str]) -> str:
    """A payout of both of the first client's records, just reserved."""

    async def work(db: Database) -> str:
        async def reserve(conn: Any) -> str:
            found = await store.reserve(conn, 1, max_sats=10_000_000, actor="test")
            assert found is not None
            return found[0]

        return await db.run(reserve)

    found: str = on_books(work)
    return found


def test_a_payout_is_shown_with_its_records(cli: Cli, payout_id: str) -> None:
    (listed,) = cli("payout", "list", "--state", "reserved", "--client", "1", "--json").done().json["payouts"]
    assert (listed["id"], listed["records"], listed["fee_msat"]) == (payout_id, 2, None)
    shown = cli("payout", "show", payout_id[:8], "--json").done().json
    assert sum(record["sats"] for record in shown["records"]) == shown["payout"]["amount_sats"]
    assert payout_id in cli("payout", "list").done().out
    assert "Records that it pays" in cli("payout", "show", payout_id).done().out
    cli("payout", "show", payout_id[:3]).refused("no payout")
    assert cli("payout", "list", "--client", "2", "--json").done().json == {"payouts": []}


def test_a_payout_is_held_and_released(cli: Cli, payout_id: str, on_books: OnBooks) -> None:
    cli("payout", "release", payout_id, "--reason", "x").refused("reserved: only a held one")
    assert cli("payout", "retry", payout_id, "--json").done().json["payout"]["state"] == "reserved"
    held = cli("payout", "hold", payout_id, "--reason", "asked by phone", "--json").done()
    assert (held.json["payout"]["state"], held.json["payout"]["reason"]) == ("held", "asked by phone")
    cli("payout", "retry", payout_id).refused("is held", "payout release")
    cli("payout", "hold", payout_id, "--reason", "again").refused("only an open one")
    released = cli("payout", "release", payout_id, "--reason", "found out", "--json").done().json["payout"]
    assert released["state"] == "void"
    records = cli("client", "show", "1", "--json").done().json["records"]
    assert {record["state"] for record in records} == {"owed"}


def test_the_books_are_listed_and_verified(cli: Cli, ids: dict[str, str]) -> None:
    accounts = {a["account"]: a for a in cli("ledger", "balances", "--json").done().json["accounts"]}
    assert accounts["client:1:fiat:1"]["balance"] == "0.00"
    assert isinstance(accounts["house:sats"]["balance"], int)
    only = cli("ledger", "balances", "--unit", "GTQ", "--json").done().json["accounts"]
    assert {a["unit"] for a in only} == {"GTQ"}
    statement = cli("ledger", "statement", "client:1:fiat:1", "--json").done().json
    assert [line["amount"] for line in statement["lines"]] == ["1574.25", "1425.75", "-3000.00"]
    assert "1,574.25 GTQ" in cli("ledger", "statement", "client:1:fiat:1").done().out
    report = cli("ledger", "verify", "--json").done().json
    assert report["holds"] and all(check["holds"] for check in report["checks"])


def test_books_that_were_tampered_with_do_not_verify(cli: Cli, ids: dict[str, str], on_books: OnBooks) -> None:
    async def tamper(db: Database) -> None:
        await builders.sql(db, "ALTER TABLE account DISABLE TRIGGER account_protect")
        await builders.sql(db, "UPDATE account SET balance = balance + 1 WHERE name = 'house:sats'")

    on_books(tamper)
    outcome = cli("ledger", "verify", "--json")
    outcome.refused("do not hold", "balances-kept")
    assert outcome.json["holds"] is False
    (wrong,) = [check for check in outcome.json["checks"] if not check["holds"]]
    assert "house:sats" in wrong["findings"][0]
    text = cli("ledger", "verify")
    text.refused("do not hold")
    assert "BROKEN" in text.out and "house:sats" in text.out


def test_a_held_payout_is_resolved_after_a_confirmation(cli: Cli, payout_id: str) -> None:
    cli("payout", "resolve", payout_id, "--as", "void", "--reason", "x", "--yes").refused("only a held one")
    cli("payout", "hold", payout_id, "--reason", "look first").done()
    cli("payout", "resolve", payout_id, "--as", "void", "--reason", "x").refused("add --yes")
    cli("payout", "resolve", payout_id, "--as", "settled", "--reason", "x", "--yes").refused("never submitted")
    arguments = ("payout", "resolve", payout_id, "--as", "void", "--reason", "sure", "--yes", "--json")
    assert cli(*arguments).done().json["payout"]["state"] == "void"
