"""From NOTIFY to the readers of a process: at once, also where LISTEN is deaf and after an outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from dca_daemon.ledger import signals
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.signals import Signals, SignalTimes
from dca_daemon.services.audit import audit
from dca_daemon.services.events import Feed
from dca_daemon.services.subscriptions import Subscription, Subscriptions
from tests.fixtures.postgres import TestDb

SLOW = SignalTimes(poll_seconds=60, quiet_seconds=60)


async def happens(db: Database, *kinds: str) -> None:
    async with db.transaction() as conn:
        for kind in kinds:
            await audit(conn, actor="user:ana", action=kind, subject="client:1")


@asynccontextmanager
async def hearing(
    db: Database, test_db: TestDb, times: SignalTimes = SLOW
) -> AsyncIterator[tuple[Signals, Subscriptions]]:
    """Signals and subscriptions at work, as in the console."""
    stop = asyncio.Event()
    subscriptions = Subscriptions(Feed(db))
    heard = Signals(test_db.dsn, subscriptions.wake, times)
    tasks = [asyncio.ensure_future(heard.run(stop)), asyncio.ensure_future(subscriptions.run(stop))]
    try:
        yield heard, subscriptions
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks)


async def taken(reader: Subscription, *wanted: str) -> None:
    """Waits until the reader was told of all of these."""
    missing = set(wanted)
    async with asyncio.timeout(20):
        while missing:
            await reader.wait(20)
            missing -= set(reader.take())


async def test_readers_hear_of_what_they_ask_for(books: Database, books_db: TestDb) -> None:
    async with hearing(books, books_db) as (heard, subscriptions):
        with subscriptions.subscribed() as everything, subscriptions.subscribed(["payout"]) as payouts:
            assert len(subscriptions) == 2
            await taken(everything, "*")
            await taken(payouts, "*")  # at the start nobody knows what has changed
            assert heard.mode == "listen"
            await happens(books, "client.add", "client.rename", "deposit.record")
            await taken(everything, "client", "deposit")
            assert not await payouts.wait(0) and payouts.take() == []
            await happens(books, "payout.retry")
            await taken(payouts, "payout")

            # The connection is lost: it is made again, and everything may have changed.
            async with await psycopg.AsyncConnection.connect(books_db.dsn, autocommit=True) as conn:
                await conn.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE application_name = 'dca-daemon events' AND datname = current_database()"""
                )
            await happens(books, "pool.add")
            await taken(everything, "pool")
        assert len(subscriptions) == 0
        with subscriptions.subscribed() as last:
            pass
    with subscriptions.subscribed() as late:
        assert last.closed is False and late.closed and await late.wait(0)


async def test_where_listen_is_deaf_it_is_looked(
    books: Database, books_db: TestDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "CHANNEL", "nobody_notifies_this")
    async with hearing(books, books_db, SignalTimes(quiet_seconds=0.1)) as (_, subscriptions):
        with subscriptions.subscribed() as reader:
            await taken(reader, "*")
            await happens(books, "client.add")
            await taken(reader, "client")

    async def deaf(self: Signals, conn: object) -> str:
        return "a connection pooler is in between"

    monkeypatch.setattr(Signals, "_listen", deaf)
    async with hearing(books, books_db, SignalTimes(poll_seconds=0.1)) as (heard, subscriptions):
        with subscriptions.subscribed() as reader:
            await taken(reader, "*")
            await happens(books, "client.add")
            await taken(reader, "client")
        assert heard.mode == "poll"


async def test_an_outage_of_the_database_is_survived(books: Database) -> None:
    gone = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    subscriptions = Subscriptions(Feed(gone))
    stop = asyncio.Event()
    task = asyncio.ensure_future(subscriptions.run(stop))
    with subscriptions.subscribed() as reader:
        assert not await reader.wait(0.2) and not task.done()
        stop.set()
        assert await reader.wait(10) and reader.closed
    await task
    await gone.close()
