"""What a person decides, from the command line into the books; and pools, machines, filters and cash."""

from __future__ import annotations

import pytest

from dca_daemon.ledger.db import Database
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.cli.conftest import Cli, OnBooks
from tests.services import builders

FAILED, BARE = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001"
NOWHERE_YET = "dddddddd-0000-4000-8000-000000000001"
ENTRY = ("cash-out", "add", "--fiat", "2000", "--sats", "256000", "--reason", "paid at the counter")
NEW = (
    *ENTRY,
    "--commission",
    "5.5",
    "--machine",
    "Antigua",
    "--at",
    "2026-11-02T14:05",
    "--reference",
    "ticket-17",
)
WHY = ("--reason", "because")


@pytest.fixture(autouse=True)
def filled(on_books: OnBooks) -> None:
    """A client with 20,000.00, a failed cash-out (1) and one in review (2)."""

    async def work(db: Database) -> None:
        await builders.client(db, "20000")
        for row in (
            builders.success(external_id=FAILED, dispense_confirmed=False),
            builders.success(external_id=BARE, commission_percentage=None),
        ):
            await Intake(db, IntakeConfig()).process([row])

    on_books(work)


def process(on_books: OnBooks, **changes: object) -> None:
    on_books(lambda db: Intake(db, IntakeConfig()).process([builders.success(**changes)]))


def test_an_entry_is_shown_and_asked_for(cli: Cli) -> None:
    cli(*NEW).refused("confirmation", "--yes")
    shown = cli(*NEW, "--dry-run").done().out
    assert "nothing is changed yet" in shown and "241,920 sats" in shown
    rehearsed = cli(*NEW, "--dry-run", "--json").done().json
    assert [c["id"] for c in cli("cash-out", "list", "--json").done().json["cash_outs"]] == [2, 1]
    done = cli(*NEW, "--yes", "--json").done().json
    assert done["split"] == rehearsed["split"]
    assert (done["cash_out"]["source"], done["cash_out"]["external_id"]) == ("manual", "ticket-17")
    assert done["cash_out"]["entry_reason"] == "paid at the counter"
    cli(*NEW, "--yes").refused("'ticket-17' has been entered already")
    assert "Entered     by os:" in cli("cash-out", "show", "TICKET-17").done().out


def test_an_entry_settles_what_it_names(cli: Cli, on_books: OnBooks) -> None:
    settle = (*ENTRY, "--reference", "ticket-18", "--yes")
    out = cli(*settle, "--lamassu-id", FAILED[:8]).done().out
    assert "Cash-out 1 is settled by it" in out
    settled = cli("cash-out", "show", "1", "--json").done().json["cash_out"]
    entered = cli("cash-out", "show", "ticket-18", "--json").done().json["cash_out"]
    assert (settled["state"], settled["settled_by_id"]) == ("settled-by-hand", entered["id"])
    assert entered["settles_id"] == 1
    process(on_books, external_id=FAILED)
    assert cli("cash-out", "show", "1", "--json").done().json["cash_out"]["state"] == "settled-by-hand"
    again = (*ENTRY, "--reference", "ticket-19", "--yes")
    cli(*again, "--lamassu-id", FAILED).refused("is settled-by-hand already")
    cli(*again, "--lamassu-id", NOWHERE_YET).refused("Lamassu can't be asked", "try again")
    cli(*again, "--lamassu-id", "cccccc").refused("there is no cash-out")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--at", "2026-13-01"), "is not a time"),
        (("--at", "2999-01-01T00:00:00Z"), "in the future"),
        (("--fiat", "1.005"), "finer"),
        (("--sats", "-5"), "no amount"),
        (("--commission", "200"), "not a commission"),
        (("--machine", "Nowhere"), "there is no machine"),
        (("--currency", "USD"), "is in GTQ, not in USD"),
        (("--reference", "17"), "our own number"),
    ],
)
def test_a_malformed_entry_changes_nothing(cli: Cli, more: tuple[str, str], words: str) -> None:
    cli(*NEW, *more, "--yes").refused(words)
    assert len(cli("cash-out", "list", "--json").done().json["cash_outs"]) == 2


def test_what_waits_is_listed_and_decided(cli: Cli, on_books: OnBooks) -> None:
    process(on_books, error="Operator cancel")
    (cancelled, bare) = cli("cash-out", "review", "--json").done().json["cash_outs"]
    assert (cancelled["reason"], bare["reason"]) == ("paid-and-cancelled", "unusable")
    assert "enter, ignore; or a setting" in cli("cash-out", "review").done().out
    assert "To decide: distribute, ignore, enter" in cli("cash-out", "review", "3").done().out
    cli("cash-out", "review", "1", "--ignore", *WHY).refused("does not wait: it is failed")
    cli("cash-out", "review", "3", "--ignore", "--distribute", *WHY).refused("one way", status=2)
    cli("cash-out", "review", "--ignore", *WHY).refused("name the cash-out", status=2)
    cli("cash-out", "review", "3", "--ignore").refused("needs a reason")
    cli("cash-out", "review", "2", "--enter", *WHY).refused("--fiat and --sats", status=2)
    cli("cash-out", "review", "2", "--distribute", *WHY, "--yes").refused("no commission_percentage")
    done = cli("cash-out", "review", "3", "--distribute", *WHY, "--yes", "--json").done().json
    assert (done["cash_out"]["state"], done["cash_out"]["reason"]) == ("distributed", "operator")
    amounts = ("--fiat", "1800", "--sats", "230000", "--commission", "6")
    entered = cli("cash-out", "review", "2", "--enter", *amounts, *WHY, "--yes", "--json").done().json
    assert (entered["cash_out"]["external_id"], entered["cash_out"]["settles_id"]) == ("review-2", 2)
    assert cli("cash-out", "review", "--json").done().json == {"cash_outs": []}
    assert "Nothing waits" in cli("cash-out", "review").done().out


def test_what_is_ignored_is_asked_for_and_stays(cli: Cli, on_books: OnBooks) -> None:
    cli("cash-out", "ignore", "1", *WHY).refused("confirmation")
    assert "is ignored: by hand" in cli("cash-out", "ignore", "1", *WHY, "--yes").done().out
    process(on_books, external_id=FAILED)
    assert cli("cash-out", "show", "1", "--json").done().json["cash_out"]["state"] == "ignored"
    cli("cash-out", "process", "2", *WHY, "--yes").refused("no commission_percentage")
    assert "Distribute it?" not in cli("cash-out", "process", "1", *WHY, "--dry-run").done().out
    assert "is distributed" in cli("cash-out", "process", "1", *WHY, "--yes").done().out
    cli("cash-out", "process", "1", *WHY, "--yes").refused("is distributed already")
    cli("cash-out", "process", *WHY).refused("name a cash-out", status=2)
    cli("cash-out", "process", "1", "--since", "2026-01-01T00:00:00Z", *WHY).refused("--filtered", status=2)


def test_what_filters_leave_out_is_processed_on_demand(cli: Cli, on_books: OnBooks) -> None:
    added = cli("filter", "add", "coin", "ln", *WHY, "--json").done().json["filter"]
    assert (added["kind"], added["value"], added["left_out"]) == ("coin", "LN", 0)
    cli("filter", "add", "coin", "DOGE", *WHY).refused("no coin to filter")
    cli("filter", "add", "planet", "LN", *WHY).refused("coin", status=2)
    process(on_books, crypto_code="LN")
    assert "because" in cli("filter", "list").done().out
    removed = cli("filter", "remove", "1", *WHY).done().out
    assert "It has left out 1" in removed
    cli("filter", "remove", "1", *WHY).refused("removed by")
    assert cli("filter", "list", "--json").done().json == {"filters": []}
    assert cli("filter", "list", "--all", "--json").done().json["filters"][0]["removed_by"].startswith("os:")
    several = ("cash-out", "process", "--filtered", *WHY)
    cli(*several).refused("confirmation")
    assert "1 cash-outs, 4000.00 GTQ, 512,400 sats" in cli(*several, "--dry-run").done().out
    later = cli(*several, "--since", "2027-01-01T00:00:00Z", "--json").done().json
    assert (later["cash_outs"], later["distributed"]) == (0, 0)
    done = cli(*several, "--yes", "--json").done().json
    assert (done["cash_outs"], done["distributed"], done["refused"]) == (1, 1, [])


def test_pools_and_machines(cli: Cli) -> None:
    assert cli("pool", "add", "Playa", "gtq", "--json").done().json["pool"]["id"] == 2
    cli("pool", "add", "playa", "GTQ").refused("there is a pool")
    cli("machine", "move", "Antigua", "Nowhere", *WHY).refused("no pool")
    cli("machine", "move", "Antigua", "Playa", *WHY).refused("confirmation")
    moved = cli("machine", "move", "Antigua", "playa", *WHY, "--yes", "--json").done().json
    assert (moved["machine"]["pool"], moved["pool_before"], moved["distributed"]) == ("Playa", "default", 0)
    cli("machine", "accept", "Antigua", "--yes").refused("is in the pool 'Playa' already")
    assert cli("machine", "name", "Antigua", "La Merced", "--json").done().json["machine"]["name"] == "La Merced"
    assert cli("machine", "show", "la merced", "--json").done().json["machine"]["pool_id"] == 2
    assert "La Merced" in cli("machine", "list").done().out + cli("machine", "show", "dddddd").done().out
    assert [m["name"] for m in cli("machine", "list", "--json").done().json["machines"]] == ["La Merced"]
    assert "Playa" in cli("pool", "list").done().out
    assert cli("pool", "show", "2", "--json").done().json["pool"]["machines"][0]["name"] == "La Merced"
    cli("pool", "show", "3").refused("no pool")


def test_cash_comes_and_goes(cli: Cli) -> None:
    cli("pool", "add", "Playa", "USD").done()
    cli("deposit", "record", "1", "5", "--currency", "USD").refused("pools in USD: 'Playa'")
    dollars = cli("deposit", "record", "1", "5", "--pool", "Playa", "--confirm", "--json").done().json
    assert (dollars["deposit"]["pool"], dollars["currency"]) == ("Playa", "USD")
    cli("deposit", "record", "1", "5", "--machine", "Antigua").refused("--confirm", status=2)
    told = cli("deposit", "record", "1", "100", "--confirm", "--machine", "Antigua", "--json").done().json
    assert told["deposit"]["device_id"] == "d" * 64
    cli("deposit", "give-back", "1", "20100.01", *WHY, "--yes").refused("has only 20,100.00 GTQ left")
    cli("deposit", "give-back", "1", "100", *WHY).refused("confirmation")
    back = cli("deposit", "give-back", "1", "100", *WHY, "--yes", "--json").done().json
    assert (back["kind"], back["balance_before"], back["balance_after"]) == ("give-back", "20100.00", "20000.00")
    assert "Put in: 50.00 GTQ" in cli("cash", "refill", "50", "--machine", "Antigua", *WHY, "--yes").done().out
    cli("cash", "remove", "20050.01", *WHY, "--yes").refused("can't be taken out")
    assert "the clients'" in cli("cash", "remove", "60", *WHY, "--yes").done().out
    here = cli("cash", "report", "--json").done().json["pools"][0]
    assert (here["cash"], here["clients_part"], here["house_part"]) == ("19990.00", "20000.00", "-10.00")
    assert [(m["name"], m["cash"]) for m in here["machines"]] == [("Antigua", "150.00"), (None, "19840.00")]
    assert "not told which machine" in cli("cash", "report", "--pool", "default").done().out
