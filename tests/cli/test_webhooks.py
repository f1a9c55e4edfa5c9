"""`dca-daemon webhook`: the whole way of one webhook, and what is refused."""

from __future__ import annotations

from pathlib import Path

from dca_daemon.ledger.db import Database
from dca_daemon.services import webhook_deliveries
from dca_daemon.services.events import Feed
from tests.cli.conftest import Cli, OnBooks, write_config
from tests.fixtures.postgres import TestDb


def test_the_way_of_a_webhook(cli: Cli, config: Path, on_books: OnBooks, books_db: TestDb, keys_text: str) -> None:
    assert "no webhook" in cli("webhook", "list").done().out
    cli("webhook", "add", "shop", "https://127.0.0.1/hook", "payout").refused("private network")
    cli("webhook", "add", "shop", "http://93.184.216.34/hook", "payout").refused("not https")
    cli("webhook", "add", "shop", "https://93.184.216.34/hook", "Pay out").refused("is no kind")
    cli("webhook", "add", "shop", "https://93.184.216.34/hook").refused("KIND", status=2)
    write_config(config, books_db.dsn, keys_text, {"console": {"allow_private_webhooks": True}})
    url = "http://127.0.0.1:9/hook?token=hush"
    added = cli("webhook", "add", "shop", url, "payout", "client", "--json").done().json
    assert added["webhook"]["kinds"] == ["payout", "client"] and added["secret"].startswith("whsec_")
    assert added["webhook"]["url"] == "http://127.0.0.1:9/hook?…"
    told = cli("webhook", "add", "the other", url, "*").done()
    assert "whsec_" in told.out and "webhook test" in told.err
    cli("webhook", "add", "Shop", url, "*").refused("already")

    delivery = cli("webhook", "test", "shop", "--json").done().json["delivery"]
    assert delivery["kind"] == "webhook.test" and delivery["state"] == "pending"
    assert "is to be sent" in cli("webhook", "test", "the other").done().out

    async def plan(db: Database) -> int:
        return await webhook_deliveries.plan(db, Feed(db))

    assert on_books(plan) == 1  # the other one wants the test of the shop too
    shown = cli("webhook", "show", "shop", "--json").done().json
    assert [d["id"] for d in shown["deliveries"]] == [delivery["id"]] and shown["webhook"]["pending"] == 1
    out = cli("webhook", "show", "SHOP", "--state", "pending").done().out
    assert "webhook.test" in out and "hush" not in out and added["secret"] not in out
    assert "Nothing was sent" in cli("webhook", "show", "shop", "--state", "delivered").done().out
    assert cli("webhook", "retry", str(delivery["id"]), "--json").done().json["delivery"]["attempts"] == 0
    assert "sent again" in cli("webhook", "retry", str(delivery["id"])).done().out

    cli("webhook", "disable", "shop", "--reason", " ").refused("reason")
    ended = cli("webhook", "disable", "shop", "--reason", "closed", "--json").done().json["webhook"]
    assert ended["disabled_reason"] == "closed" and ended["given_up"] == 1
    assert "disabled" in cli("webhook", "disable", "the other", "--reason", "closed").done().out
    assert "no webhook" in cli("webhook", "list").done().out
    assert len(cli("webhook", "list", "--all", "--json").done().json["webhooks"]) == 2
    assert "shop" in cli("webhook", "list", "--all").done().out
    assert "closed" in cli("webhook", "show", "1").done().out
    cli("webhook", "test", "shop").refused("disabled")
    cli("webhook", "retry", "999").refused("no delivery 999")
    cli("webhook", "show", "nobody").refused("no webhook")
