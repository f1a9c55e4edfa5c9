"""Fixed Mode from the command line: what is set, previewed, run by hand and refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.domain.errors import WalletRefusedError
from dca_daemon.ledger.db import Database, rows
from tests.cli.conftest import Cli, FakeWallet, OnBooks, write_config
from tests.fixtures.postgres import TestDb
from tests.services.builders import client, sql
from tests.services.fixed_bench import Feed, at

SET = ("fixed", "set", "--zone", "America/Guatemala", "--times", "18:00, 08:00")


class Clock:
    """What time it is for the program."""

    def __init__(self) -> None:
        self.now = at("2026-11-02T12:00")

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("dca_daemon.services.rates.utc_now", clock)
    return clock


class ClosableFeed(Feed):
    async def close(self) -> None:
        pass


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Feed:
    feed = ClosableFeed()
    monkeypatch.setattr("dca_daemon.runtime.wiring.price_feed", lambda settings: feed)
    return feed


@pytest.fixture
def ana(on_books: OnBooks) -> int:
    """A client in Fixed Mode with 300 GTQ in."""
    client_id: int = on_books(lambda db: client(db, "300", mode="fixed"))
    return client_id


def table(on_books: OnBooks, name: str) -> list[Any]:
    async def read(db: Database) -> list[Any]:
        async with db.transaction() as conn:
            return await rows(conn, f"SELECT * FROM {name} ORDER BY id")

    found: list[Any] = on_books(read)
    return found


def nothing_changed(on_books: OnBooks) -> None:
    assert [table(on_books, name) for name in ("fixed_schedule", "fixed_amount", "fixed_run")] == [[], [], []]


def test_a_schedule_is_set_changed_and_stopped(cli: Cli, on_books: OnBooks, ana: int) -> None:
    schedule = cli(*SET, "--json").done().json
    assert schedule["schedule"] | {"since": "", "actor": ""} == {
        "pool": {"id": 1, "name": "default", "currency": "GTQ"},
        "active": True,
        "zone": "America/Guatemala",
        "times": ["08:00", "18:00"],
        "missed": "catch-up",
        "max_per_day": "2000.00",
        "since": "",
        "actor": "",
    }
    assert [slot["due_at"] for slot in schedule["upcoming"][:2]] == [
        "2026-11-02T14:00:00+00:00",
        "2026-11-03T00:00:00+00:00",
    ]
    text = cli("fixed", "set", "--missed", "skip", "--max-per-day", "1500.50", "--reason", "less risk").done().out
    assert "08:00, 18:00 in America/Guatemala" in text and "1,500.50 GTQ" in text
    cli("fixed", "set", "--pool", "default").done()  # nothing new: nothing is written
    assert cli("fixed", "off", "--json").done().json["schedule"]["active"] is False
    cli("fixed", "off").refused("no schedule that could be stopped")
    shown = cli("fixed", "show", "--json").done().json
    assert shown["upcoming"] == [] and shown["schedule"]["missed"] == "skip"
    assert cli("fixed", "set", "--pool", "1", "--json").done().json["schedule"]["active"] is True
    assert len(table(on_books, "fixed_schedule")) == 4
    log = [(r.action, r.subject) for r in table(on_books, "audit_log") if r.action.startswith("fixed.")]
    assert log == [(f"fixed.{what}", "pool:1") for what in ("set", "set", "off", "set")]
    assert table(on_books, "audit_log")[-1].before["active"] is False
    assert "less risk" in {r.reason for r in table(on_books, "audit_log")}


def test_what_a_client_buys_is_set_and_shown(cli: Cli, on_books: OnBooks, ana: int) -> None:
    assert "has no schedule yet" in cli("fixed", "show").done().out
    assert cli("fixed", "show", "--json").done().json["without_amount"] == [table(on_books, "client")[0].name]
    amount = cli("fixed", "client", str(ana), "--per-day", "250", "--json").done().json["amount"]
    assert (amount["per_day"], amount["own_max"], amount["max_per_day"], amount["balance"]) == (
        "250.00",
        None,
        "2000.00",
        "300.00",
    )
    cli("fixed", "client", str(ana), "--max", "3000").done()
    assert "3,000.00 GTQ" in cli("fixed", "client", str(ana), "--per-day", "2500.50").done().out
    cli("fixed", "client", str(ana), "--default-max").refused("2,500.50 GTQ a day", "maximum of 2,000.00 GTQ")
    cli("fixed", "client", str(ana), "--default-max", "--per-day", "0.00").done()
    (shown,) = cli("fixed", "show", "--json").done().json["clients"]
    assert (shown["per_day"], shown["own_max"]) == ("0.00", None)
    assert "in fixed mode, but without" not in cli("fixed", "show").done().out
    audited = [r for r in table(on_books, "audit_log") if r.action == "fixed.set-amount"]
    assert [r.after["daily_minor"] for r in audited] == [25_000, 25_000, 250_050, 0]
    assert audited[0].before is None and audited[1].before["daily_minor"] == 25_000


def test_a_client_in_flow_mode_gets_a_note(cli: Cli, on_books: OnBooks) -> None:
    flow = on_books(lambda db: client(db))
    outcome = cli("fixed", "client", str(flow), "--per-day", "250").done()
    assert f"client set {flow} --mode fixed" in outcome.err


def test_a_receiver_of_commission_can_buy_nothing(cli: Cli, on_books: OnBooks) -> None:
    receiver = on_books(lambda db: client(db, mode="commission"))
    cli("fixed", "client", str(receiver), "--per-day", "250").refused("only receives commission")
    nothing_changed(on_books)


def test_a_client_is_added_with_its_amount(cli: Cli, wallet: FakeWallet, on_books: OnBooks) -> None:
    add = ("client", "add", "Ana", "--lightning-address", "ana@example.com", "--per-day")
    cli(*add, "250").refused("--mode fixed", status=2)
    cli(*add, "2000.01", "--mode", "fixed").refused("maximum of 2,000.00 GTQ")
    cli(*add, "-5", "--mode", "fixed").refused("greater than zero")
    assert wallet.checked == [] and cli("client", "list", "--json").done().json["clients"] == []
    assert "buys nothing yet" not in cli(*add, "250", "--mode", "fixed").done().out
    assert cli("fixed", "show", "--json").done().json["clients"][0]["per_day"] == "250.00"
    more = cli("client", "add", "Beto", "--lightning-address", "b@example.com", "--mode", "fixed").done()
    assert "fixed client 2 --per-day" in more.out


WRONG_SCHEDULES: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--zone", "America/Antigua_Guatemala"), ("unknown time zone", "America/Antigua_Guatemala")),
    (("--zone", ""), ("unknown time zone",)),
    (("--times", "25:00"), ("25:00", "no time of the day")),
    (("--times", "8 o'clock"), ("8 o'clock", "no time of the day")),
    (("--times", "08:00,18:00,08:00"), ("08:00 is there twice",)),
    (("--times", ""), ("no time of the day",)),
    (("--times", "08:00,"), ("no time of the day",)),
    (("--max-per-day", "-1"), ("greater than zero",)),
    (("--max-per-day", "10.005"), ("finer",)),
    (("--max-per-day", "much"), ("not an amount",)),
    (("--pool", "north"), ("there is no pool 'north'",)),
]


def test_a_wrong_schedule_is_refused(cli: Cli, on_books: OnBooks) -> None:
    for options, words in WRONG_SCHEDULES:
        cli(*SET, *options).refused(*words)
    nothing_changed(on_books)


def test_the_first_schedule_needs_a_zone_and_times(cli: Cli, on_books: OnBooks) -> None:
    cli("fixed", "set").refused("needs a zone and times", "--zone")
    cli("fixed", "set", "--zone", "UTC").refused("needs a zone and times")
    cli("fixed", "set", "--missed", "never").refused("missed", status=2)
    nothing_changed(on_books)


WRONG_AMOUNTS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--per-day", "2000.01"), ("2,000.01 GTQ a day is more than the maximum of 2,000.00 GTQ", "--max")),
    (("--per-day", "250", "--max", "200"), ("more than the maximum of 200.00 GTQ",)),
    (("--per-day", "10.005"), ("finer",)),
    (("--per-day", "-5"), ("greater than zero",)),
    (("--per-day", "-0"), ("greater than zero",)),
    (("--per-day", ""), ("not an amount",)),
    (("--per-day", "."), ("not an amount",)),
    (("--per-day", "0."), ("not an amount",)),
    (("--per-day", "1e3"), ("not an amount",)),
    (("--per-day", "99999999999999999999", "--max", "99999999999999999999"), ("too large",)),
    (("--max", "500"), ("no amount a day yet",)),
    (("--per-day", "250", "--pool", "9"), ("there is no pool '9'",)),
]


def test_a_wrong_amount_is_refused(cli: Cli, on_books: OnBooks, ana: int) -> None:
    for options, words in WRONG_AMOUNTS:
        cli("fixed", "client", str(ana), *options).refused(*words)
    nothing_changed(on_books)


def test_a_client_that_is_none_or_a_change_that_is_none(cli: Cli, ana: int) -> None:
    cli("fixed", "client", "Zoe", "--per-day", "5").refused("there is no client 'Zoe'")
    cli("fixed", "client", str(ana)).refused("--per-day", status=2)
    cli("fixed", "client", str(ana), "--max", "5", "--default-max").refused("contradict", status=2)


@pytest.fixture
def ready(cli: Cli, ana: int) -> None:
    cli(*SET).done()
    cli("fixed", "client", str(ana), "--per-day", "250.01").done()


def test_a_preview_changes_nothing(cli: Cli, ready: None, feed: Feed, on_books: OnBooks, ana: int) -> None:
    found = cli("fixed", "preview", "--json").done().json["preview"]
    assert found["slot"]["due_at"] == "2026-11-02T14:00:00+00:00" and found["slot"]["count"] == 2
    assert found["rate"] == {"fiat_per_btc": "800000.00", "source": "lnbits", "at": "2026-11-02T12:00:00+00:00"}
    (purchase,) = found["purchases"]
    assert (purchase["client_id"], purchase["amount"], purchase["sats"]) == (ana, "125.00", 15_625)
    assert (found["amount"], found["sats"], len(found["upcoming"])) == ("125.00", 15_625, 5)
    text = cli("fixed", "preview").done().out
    assert "15,625 sats" in text and "800,000.00 GTQ per BTC, by LNbits" in text and text.count("Next: ") == 5
    feed.price = None
    found = cli("fixed", "preview", "--json").done().json["preview"]
    assert found["rate"] is None and found["sats"] is None and "LNbits knows no rate" in found["no_rate"]
    assert "LNbits knows no rate" in cli("fixed", "preview").done().out
    assert table(on_books, "fixed_run") == []


def test_a_run_by_hand_takes_the_next_time_of_today(
    cli: Cli, ready: None, feed: Feed, clock: Clock, on_books: OnBooks, ana: int
) -> None:
    cli("fixed", "run").refused("confirmation", "--yes")
    assert table(on_books, "fixed_run") == []
    run = cli("fixed", "run", "--yes", "--reason", "asked for", "--json").done().json["run"]
    assert (run["slot"]["time"], run["state"], run["amount"], run["sats"]) == ("08:00", "done", "125.00", 15_625)
    assert run["records"] == [{"client_id": ana, "amount": "125.00", "sats": 15_625}]
    assert cli("fixed", "preview", "--json").done().json["preview"]["slot"]["time"] == "18:00"
    clock.now = at("2026-11-03T01:00")  # 19:00 there
    assert "1 client bought 15,626 sats for 125.01 GTQ" in cli("fixed", "run", "--yes").done().out
    cli("fixed", "run", "--yes").refused("all of today's times", "fixed history")
    clock.now = at("2026-11-03T06:00")  # tomorrow, there
    cli("fixed", "run", "--yes").done()
    runs = cli("fixed", "history", "--json").done().json["runs"]
    assert [(r["date"], r["time"], r["amount"]) for r in runs] == [
        ("2026-11-03", "08:00", "49.99"),  # all that is left
        ("2026-11-02", "18:00", "125.01"),
        ("2026-11-02", "08:00", "125.00"),
    ]
    assert runs[0]["rate"]["source"] == "lnbits" and runs[0]["actor"].startswith("os:")
    audited = [r.reason for r in table(on_books, "audit_log") if r.action == "fixed.run"]
    assert audited == ["asked for", None, None]
    assert cli("fixed", "history", "--pool", "default", "--limit", "1", "--json").done().json["runs"] == runs[:1]
    assert "os:" in cli("fixed", "history").done().out
    assert "nobody had anything" in cli("fixed", "run", "--yes").done().out


def test_a_run_without_a_schedule_or_a_rate_is_refused(cli: Cli, feed: Feed, on_books: OnBooks, ana: int) -> None:
    cli("fixed", "run", "--yes").refused("has no schedule", "fixed set")
    cli("fixed", "preview").refused("has no schedule")
    cli(*SET).done()
    feed.price = None
    cli("fixed", "run", "--yes").refused("no fresh rate for GTQ", "LNbits knows no rate for GTQ")
    cli("fixed", "off").done()
    cli("fixed", "run", "--yes").refused("schedule stopped")
    assert table(on_books, "fixed_run") == []


def test_a_rate_that_became_old_while_somebody_thought_it_over(
    cli: Cli, ready: None, feed: Feed, clock: Clock, on_books: OnBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(question: str, *, yes: bool) -> None:
        clock.now = at("2026-11-02T13:00")

    monkeypatch.setattr("dca_daemon.cli.fixed.confirm", slowly)
    cli("fixed", "run").refused("too old by now")
    assert table(on_books, "fixed_run") == []


def test_a_currency_that_lnbits_does_not_know(cli: Cli, feed: Feed, on_books: OnBooks, ana: int) -> None:
    on_books(lambda db: sql(db, "INSERT INTO pool (id, name, currency) VALUES (2, 'north', 'XCG')"))
    cli(*SET, "--pool", "north").done()
    feed.price = None
    feed.error = WalletRefusedError(
        "LNbits refused to tell a rate for XCG: 400 Currency 'XCG' not allowed.", status=400
    )
    cli("fixed", "run", "--pool", "north", "--yes").refused("no fresh rate for XCG", "'XCG' not allowed")
    assert table(on_books, "fixed_run") == []


def test_doctor_looks_for_a_rate_where_there_is_a_schedule(
    cli: Cli, feed: Feed, on_books: OnBooks, ana: int
) -> None:
    def found() -> dict[str, tuple[str, str]]:
        findings = cli("doctor", "--json").json["findings"]
        return {f["name"]: (f["level"], f["text"]) for f in findings if f["area"] == "fixed"}

    assert found() == {}
    cli(*SET).done()
    name = table(on_books, "client")[0].name
    looked = found()
    assert {key: level for key, (level, _) in looked.items()} == {
        "schedule": "ok",
        "rate": "ok",
        "amounts": "warn",
    }
    assert "800,000.00 GTQ, by lnbits" in looked["rate"][1] and name in looked["amounts"][1]
    cli("fixed", "client", str(ana), "--per-day", "250").done()
    feed.price = None
    looked = found()
    assert looked["rate"][0] == "fail" and "LNbits knows no rate" in looked["rate"][1] and "amounts" not in looked


def test_with_a_real_lnbits_that_has_no_price(
    cli: Cli, lnbits: LnbitsAdmin, ready: None, books_db: TestDb, keys_text: str, tmp_path: Any
) -> None:
    config = write_config(
        tmp_path / "real.toml", books_db.dsn, keys_text, {"lnbits": {"url": lnbits.url, "admin_key": "0" * 32}}
    )
    cli("fixed", "run", "--yes", config_path=config).refused("LNbits knows no rate for GTQ")
    assert cli("fixed", "preview", "--json", config_path=config).done().json["preview"]["rate"] is None
    cli("fixed", "run", "--yes").refused("can't be reached")
