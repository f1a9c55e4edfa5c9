"""The parts of the console's process that follow the feed, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from dca_daemon.ledger.db import Database
from dca_daemon.ledger.signals import Signals
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.runtime.settings import Settings
from dca_daemon.runtime.supervisor import Service
from dca_daemon.services.events import Feed
from dca_daemon.services.subscriptions import Subscriptions
from dca_daemon.services.webhook_http import WebhookHttpConfig
from dca_daemon.web.live import Live
from dca_daemon.web.webhook_sender import WebhookSender


def events_room(
    settings: Settings, db: Database, keys: KeyRing, stop: asyncio.Event
) -> tuple[Live, Mapping[str, Service]]:
    """What streams are made of (to be `app.state.live`), and the services that run until `stop` is set.

    `stop` must be set before the HTTP server is asked to end, which waits for open streams.
    """
    feed = Feed(db)
    subscriptions = Subscriptions(feed)
    signals = Signals(settings.database.dsn, subscriptions.wake)
    config = WebhookHttpConfig(allow_private=settings.console.allow_private_webhooks)
    sender = WebhookSender(db, keys, feed, subscriptions, config)
    services: dict[str, Service] = {
        "signals": lambda: signals.run(stop),
        "subscriptions": lambda: subscriptions.run(stop),
        "webhooks": lambda: sender.run(stop),
    }
    return Live(feed, subscriptions), services
