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
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dca_daemon.domain.errors import DcaError, InputError
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.signals import Signals
from dca_daemon.services.audit import audit
from dca_daemon.services.events import Feed
from dca_daemon.services.subscriptions import Subscriptions
from dca_daemon.web import live
from dca_daemon.web.api import events
from dca_daemon.web.live import Live, StreamTimes
from dca_daemon.web.problems import status_of
from tests.fixtures.postgres import TestDb

STREAM = "/api/v1/events/stream"


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

    async def guard(self, request: Request) -> None:
        if not self.welcome:
            raise InputError("who are you?")

    def app(self) -> FastAPI:
        app = FastAPI()
        app.state.live = self.live
        app.include_router(live.router(self.guard))
        app.include_router(events.router(self.guard), prefix="/api/v1")
        app.add_exception_handler(DcaError, refused)
        return app


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, DcaError)
    status = 400 if type(error) is InputError else status_of(error)
    return JSONResponse({"detail": str(error)}, status_code=status)


@asynccontextmanager
async def serving(db: Database, test_db: TestDb, times: StreamTimes) -> AsyncIterator[Site]:
    feed = Feed(db)
    subscriptions = Subscriptions(feed)
    site = Site(Live(feed, subscriptions, times))
    server = uvicorn.Server(uvicorn.Config(site.app(), port=0, log_config=None, lifespan="off"))
    signals = Signals(test_db.dsn, subscriptions.wake)
    running = (signals.run(site.stop), subscriptions.run(site.stop), server._serve())
    tasks = [asyncio.ensure_future(each) for each in running]
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    site.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield site
    finally:
        site.stop.set()
        server.should_exit = True
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
        async with reading(f"{site.url}{STREAM}?kinds=client", last_id=0) as lines:
            first = int(await until(lines, "id: "))
            told = json.loads(await until(lines, "data: "))
            assert told["id"] == first and told["kind"] == "client.add" and told["data"] == {"actor": "user:ana"}
            assert json.loads(await until(lines, "data: "))["kind"] == "client.rename"
            await happens(books, "client.set-mode")
            assert json.loads(await until(lines, "data: "))["kind"] == "client.set-mode"
            await happens(books, "deposit.void")
            while int(await until(lines, "id: ")) < first + 4:
                pass  # the id moves on over what was not asked for
        async with reading(f"{site.url}{STREAM}", last_id=first) as lines:
            kinds = [json.loads(await until(lines, "data: "))["kind"] for _ in range(4)]
            assert kinds == ["payout.hold", "client.rename", "client.set-mode", "deposit.void"]
        async with reading(f"{site.url}{STREAM}") as lines:  # without an id: from now on
            await until(lines, ": still here")
            await happens(books, "pool.add")
            assert json.loads(await until(lines, "data: "))["kind"] == "pool.add"
            site.welcome = False
            assert "data: " not in "".join([line async for line in lines])


async def test_pages_of_events_and_what_is_refused(
    books: Database, books_db: TestDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    await happens(books, "client.add", "payout.hold", "client.rename")
    async with (
        serving(books, books_db, StreamTimes(ping_seconds=0.05)) as site,
        httpx.AsyncClient(base_url=site.url, timeout=20) as client,
    ):

        async def status(path: str, **headers: str) -> int:
            return (await client.get(path, headers=headers)).status_code

        page = (await client.get("/api/v1/events?limit=1&kinds=client")).json()
        assert [e["kind"] for e in page["events"]] == ["client.add"]
        assert set(page) == {"events", "next_after", "newest_id", "oldest_id"}
        rest = (await client.get(f"/api/v1/events?kinds=client&after={page['next_after']}")).json()
        assert [e["kind"] for e in rest["events"]] == ["client.rename"]
        assert rest["next_after"] == rest["newest_id"] and rest["oldest_id"] == page["oldest_id"]
        assert rest["events"][0]["data"] == {"actor": "user:ana"} and rest["events"][0]["subject"] == "client:1"
        assert set((await client.get("/openapi.json")).json()["paths"]) == {"/api/v1/events", STREAM}

        for wrong in ("after=-1", "limit=0", "limit=1001", "after=x", f"after={2**63}"):
            assert await status(f"/api/v1/events?{wrong}") == 422, wrong
        assert await status("/api/v1/events?kinds=Pay%20out") == 400
        assert await status("/api/v1/events?after=99999") == 409
        assert await status(STREAM, **{"Last-Event-ID": "99999"}) == 409
        assert await status(STREAM, **{"Last-Event-ID": "x"}) == 422
        assert await status(f"{STREAM}?kinds=payout.") == 400
        for odd in ("payout.settled", "Payout", "a%20b"):
            assert await status(f"/live?topics={odd}") == 400
        with site.live.subscriptions.subscribed():
            monkeypatch.setattr(live, "STREAMS_MAX", 1)
            assert await status("/live") == await status(STREAM) == 503
        site.welcome = False
        assert await status("/live") == await status(STREAM) == await status("/api/v1/events") == 400
