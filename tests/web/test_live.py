"""Server-sent events, through a real server on loopback: pages hear of changes, programs get every event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dca_daemon.domain.errors import InputError
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.signals import Signals
from dca_daemon.services.audit import audit
from dca_daemon.services.events import Feed
from dca_daemon.services.subscriptions import Subscriptions
from dca_daemon.web import live
from dca_daemon.web.live import Live, StreamTimes, TooManyStreamsError
from tests.fixtures.postgres import TestDb


async def happens(db: Database, *kinds: str) -> None:
    async with db.transaction() as conn:
        for kind in kinds:
            await audit(conn, actor="user:ana", action=kind, subject="client:1")


@dataclass
class Site:
    """A server with both streams."""

    live: Live
    url: str = ""
    welcome: bool = True
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def allowed(self) -> bool:
        return self.welcome

    async def page(self, request: Request) -> Response:
        topics = live.topics_of(request.query_params.get("topics", ""))
        return self.live.response(live.changes(self.live, topics, self.allowed))

    async def program(self, request: Request) -> Response:
        after = request.headers.get("last-event-id")
        kinds = request.query_params.getlist("kinds")
        stream = live.events(self.live, None if after is None else int(after), kinds, self.allowed)
        return self.live.response(stream)


@asynccontextmanager
async def serving(db: Database, test_db: TestDb, times: StreamTimes) -> AsyncIterator[Site]:
    feed = Feed(db)
    subscriptions = Subscriptions(feed)
    site = Site(Live(feed, subscriptions, times))
    app = Starlette(routes=[Route("/live", site.page), Route("/stream", site.program)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    signals = asyncio.ensure_future(Signals(test_db.dsn, subscriptions.wake).run())
    tasks = [asyncio.ensure_future(subscriptions.run(site.stop)), asyncio.ensure_future(server._serve())]
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    site.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield site
    finally:
        site.stop.set()
        server.should_exit = True
        signals.cancel()
        async with asyncio.timeout(20):  # open streams end, so that the server does
            await asyncio.gather(*tasks)


@asynccontextmanager
async def reading(url: str, last_id: int | None = None) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream."""
    headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
    async with httpx.AsyncClient(timeout=20) as client, client.stream("GET", url, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield response.aiter_lines()


async def until(lines: AsyncIterator[str], beginning: str) -> str:
    """The rest of the next line that begins so."""
    async for line in lines:
        if line.startswith(beginning):
            return line.removeprefix(beginning)
    raise AssertionError(f"the stream has ended without {beginning!r}")


async def test_pages_hear_what_has_changed(books: Database, books_db: TestDb) -> None:
    times = StreamTimes(ping_seconds=0.05, gap_seconds=0.1, recheck_seconds=0)
    async with serving(books, books_db, times) as site:
        async with reading(f"{site.url}/live?topics=payout,client") as lines:
            assert await until(lines, "retry: ") == "3000"
            await until(lines, ": still here")
            await happens(books, "client.add")
            while json.loads(await until(lines, "data: ")) != ["client"]:
                pass  # at the start it may be anything
            # All is told at once, and what nobody asked for not at all.
            await happens(books, "payout.retry", "deposit.record", "client.rename", "payout.hold")
            assert await until(lines, "event: ") == "changed"
            assert json.loads(await until(lines, "data: ")) == ["client", "payout"]
            site.welcome = False
            assert await until(lines, "event: ") == "over"
            assert [line async for line in lines] == ["data: []", ""]
        site.welcome = True
        async with reading(f"{site.url}/live") as lines:
            await until(lines, "retry: ")
            assert len(site.live.subscriptions) == 1
            site.stop.set()
            assert [line async for line in lines if line.startswith("event: over")] == []
    assert len(site.live.subscriptions) == 0


async def test_programs_get_every_event_and_resume(books: Database, books_db: TestDb) -> None:
    async with serving(books, books_db, StreamTimes(ping_seconds=0.05, recheck_seconds=0)) as site:
        await happens(books, "client.add", "payout.hold", "client.rename")
        async with reading(f"{site.url}/stream?kinds=client", last_id=0) as lines:
            first = int(await until(lines, "id: "))
            told = json.loads(await until(lines, "data: "))
            assert told["id"] == first and told["kind"] == "client.add" and told["data"] == {"actor": "user:ana"}
            assert json.loads(await until(lines, "data: "))["kind"] == "client.rename"
            await happens(books, "client.set-mode")
            assert json.loads(await until(lines, "data: "))["kind"] == "client.set-mode"
            await happens(books, "deposit.void")
            while int(await until(lines, "id: ")) < first + 4:
                pass  # the id moves on over what was not asked for
        async with reading(f"{site.url}/stream", last_id=first) as lines:
            kinds = [json.loads(await until(lines, "data: "))["kind"] for _ in range(4)]
            assert kinds == ["payout.hold", "client.rename", "client.set-mode", "deposit.void"]
        async with reading(f"{site.url}/stream") as lines:  # without an id: from now on
            await until(lines, ": still here")
            await happens(books, "pool.add")
            assert json.loads(await until(lines, "data: "))["kind"] == "pool.add"
            site.welcome = False
            assert "data: " not in "".join([line async for line in lines])


def test_topics_and_room(monkeypatch: pytest.MonkeyPatch) -> None:
    assert live.topics_of("") == [] and live.topics_of(" payout, client,") == ["payout", "client"]
    for odd in ("payout.settled", "Payout", "a b"):
        with pytest.raises(InputError):
            live.topics_of(odd)
    subscriptions = Subscriptions(Feed(Database("postgresql+psycopg://nobody@127.0.0.1:1/none")))
    full = Live(subscriptions._feed, subscriptions)
    full.check_room()
    monkeypatch.setattr(live, "STREAMS_MAX", 1)
    with subscriptions.subscribed(), pytest.raises(TooManyStreamsError):
        full.check_room()
