"""All parts together, supervised as in the console: from the commit of a deed to the receiver of a webhook."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.runtime.settings import load_settings
from dca_daemon.runtime.supervisor import supervise
from dca_daemon.services import destinations, webhooks
from dca_daemon.services.audit import audit
from dca_daemon.services.webhook_http import WebhookHttpConfig
from dca_daemon.web.events_room import events_room
from tests.cli.conftest import write_config
from tests.fixtures.postgres import TestDb
from tests.fixtures.receiver import receiving


async def test_from_the_deed_to_the_receiver(books: Database, books_db: TestDb, tmp_path: Path) -> None:
    old, new = KeyRing.generate(), KeyRing.generate()
    both = KeyRing(f"{new}\n{old}")
    config = write_config(tmp_path / "dca.toml", books_db.dsn, new, {"console": {"allow_private_webhooks": True}})
    stop = asyncio.Event()
    async with receiving() as receiver:
        await webhooks.add(
            books,
            KeyRing(old),
            name="shop",
            url=receiver.url,
            kinds=["client"],
            config=WebhookHttpConfig(allow_private=True),
            actor="user:ana",
        )
        assert await destinations.rotate_keys(books, both, actor="user:ana") == 1
        live, services = events_room(load_settings(config), books, KeyRing(new), stop)
        with structlog.testing.capture_logs() as logs:
            running = asyncio.ensure_future(supervise(services, stop, grace_seconds=5))
            with live.subscriptions.subscribed() as reader:
                assert await reader.wait(20)  # all of it stands
            for n in range(3):
                async with books.transaction() as conn:
                    await audit(conn, actor="user:ana", action="client.add", subject=f"client:{n}")
                await receiver.received(n + 1)  # by the notification: nothing else would be as quick
            stop.set()
            async with asyncio.timeout(10):
                await running
        assert [m.json["subject"] for m in receiver.messages] == ["client:0", "client:1", "client:2"]
        assert {entry["log_level"] for entry in logs} == {"info"}, logs
