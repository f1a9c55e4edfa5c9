"""How long the console's pages take, on a big shop's books: each until the first byte of its answer is out."""

from __future__ import annotations

import asyncio
import re
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx
import psycopg
from fastapi import FastAPI
from sqlalchemy import event

from dca_daemon.demo.postgres import EmbeddedPostgres, sqlalchemy_url
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits_rates import LnbitsRates
from dca_daemon.payouts.wallet import Wallet
from dca_daemon.runtime import wiring
from dca_daemon.runtime.settings import load_settings
from dca_daemon.services import api_tokens, client_access, sessions, users
from dca_daemon.services.events import Feed
from dca_daemon.services.subscriptions import Subscriptions
from dca_daemon.web.app import API_PATH, create_app
from dca_daemon.web.daemon_status import DaemonStatus
from dca_daemon.web.desk import Desk
from dca_daemon.web.live import Live
from dca_daemon.web.rights import cookie_name, session_limits
from tests.bench import big_books
from tests.bench.addresses import addresses
from tests.bench.big_books import Size
from tests.bench.report import Figure, Report
from tests.cli.conftest import FakeWallet

ROUNDS = 5
TARGET_MS = 100.0
TARGET_KB = 150.0
ADDRESS = "http://127.0.0.1:8018"
CONFIG = """
[pool]
currency = "GTQ"
[lamassu]
dsn = "postgresql://nobody@127.0.0.1:1/nothing"
[lnbits]
url = "http://127.0.0.1:9"
[http]
port = 0
"""
_DOWNLOADED = re.compile(r"\.(csv|json)\b")
_PARTS = re.compile(r'(?:href|src)="(/static/[^"]+)"')


class _Prices:
    """Tells a price at once: what is measured is ours."""

    async def fiat_per_btc(self, currency: str) -> Decimal:
        return Decimal(500_000)


@dataclass
class FirstByte:
    """The application, with a look at the clock when the first byte of an answer goes out."""

    app: FastAPI
    began: float = 0.0
    seconds: float = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seconds = 0.0

        async def told(message: Any) -> None:
            if message["type"] == "http.response.body" and not self.seconds:
                self.seconds = perf_counter() - self.began
            await send(message)

        self.began = perf_counter()
        await self.app(scope, receive, told)


@dataclass
class Room:
    """The console on these books; an admin's browser, and a program with a token for all."""

    timed: FirstByte
    db: Database
    dsn: str
    browser: httpx.AsyncClient
    program: httpx.AsyncClient
    own: httpx.AsyncClient  # a program of the client with the most purchases
    link: str  # the token of the same client's personal link
    asked: list[tuple[str, Any]] = field(default_factory=list)  # the statements of the last answer

    async def ask(self, address: str) -> httpx.Response:
        """An answer, which must be one; `asked` then has its statements."""
        self.asked.clear()
        client = self.program if address.startswith(API_PATH) else self.browser
        if address.startswith(f"{API_PATH}/me"):
            client = self.own
        answer = await client.get(address)
        # What can't be found, or not by this combination, is answered as well.
        assert answer.status_code in (200, 303, 404, 409, 422), (
            f"{address}: {answer.status_code} {answer.text[:300]}"
        )
        return answer


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Room]:
    """The console as it runs, but for what is outside of it."""
    db = Database(sqlalchemy_url(dsn), application_name="bench")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(CONFIG)
        settings = load_settings(path)
    lamassu = LamassuSource(wiring.source_config(settings))
    desk = Desk(
        db=db,
        keys=KeyRing(KeyRing.generate()),
        receivers=cast(Wallet, FakeWallet()),
        prices=cast(LnbitsRates, _Prices()),
        lamassu=lamassu,
        daemon=DaemonStatus(None),
        settings=settings,
        zone=ZoneInfo("America/Guatemala"),
        base_url=ADDRESS,
    )
    feed = Feed(db)
    timed = FirstByte(create_app(desk, Live(feed, Subscriptions(feed))))
    transport = httpx.ASGITransport(app=timed)
    async with (
        httpx.AsyncClient(transport=transport, base_url=ADDRESS) as browser,
        httpx.AsyncClient(transport=transport, base_url=ADDRESS) as program,
        httpx.AsyncClient(transport=transport, base_url=ADDRESS) as own,
    ):
        browser.cookies.set(cookie_name(desk), await _session(desk))
        program.headers["Authorization"] = f"Bearer {await _token(desk)}"
        own.headers["Authorization"] = f"Bearer {await _token(desk, client_id=1)}"
        _, link = await client_access.make_link(db, "1", actor="os:bench")
        room = Room(timed, db, dsn, browser, program, own, link)
        event.listen(
            db.engine.sync_engine,
            "before_cursor_execute",
            lambda _conn, _cursor, text, values, *_: room.asked.append((text, values)),
        )
        yield room
    for part in (desk.daemon, lamassu, db):
        await part.close()


async def _session(desk: Desk) -> str:
    if "bench" not in {one.name for one in await users.list_all(desk.db)}:
        await users.add(desk.db, name="bench", role=Role.ADMIN, password=None, actor="os:bench")
    _, link = await sessions.make_link(desk.db, "bench", actor="os:bench")
    visitor = sessions.Visitor("127.0.0.1")
    return await sessions.log_in_by_link(desk.db, link, visitor=visitor, limits=session_limits(desk))


async def _token(desk: Desk, client_id: int | None = None) -> str:
    scopes = [scope for scope in Scope if (scope is Scope.CLIENT) is (client_id is not None)]
    name = f"bench {perf_counter()}"
    _, token = await api_tokens.add(desk.db, name=name, scopes=scopes, client_id=client_id, actor="os:bench")
    return token


@dataclass(frozen=True)
class PageTime:
    """One address: seconds until the first byte, and of its statements alone; its weight with all its parts."""

    address: str
    seconds: Sequence[float]
    bare_seconds: float
    statements: int
    weight_bytes: int


async def page_time(room: Room, address: str) -> PageTime:
    """After one warm-up."""
    answer = await room.ask(address)
    weight = len(answer.content)
    if not address.startswith(API_PATH):
        weight += sum([len((await room.browser.get(part)).content) for part in set(_PARTS.findall(answer.text))])
    seconds = []
    for _ in range(ROUNDS):
        await room.ask(address)
        seconds.append(room.timed.seconds)
    return PageTime(address, seconds, await _bare_seconds(room), len(room.asked), weight)


async def _bare_seconds(room: Room) -> float:
    """The statements of the last answer, one after the other, and nothing else; the best of three."""
    asked = [(text, values) for text, values in room.asked if not text.startswith("SET ")]
    found = []
    async with await psycopg.AsyncConnection.connect(room.dsn, autocommit=True) as conn:
        for _ in range(3):
            began = perf_counter()
            for text, values in asked:
                cursor = await conn.execute(text.encode(), values)
                if cursor.description is not None:
                    await cursor.fetchall()
            found.append(perf_counter() - began)
    return min(found)


def _is_api(one: PageTime) -> bool:
    return one.address.startswith(API_PATH)


async def measure(server: EmbeddedPostgres, report: Report, *, quick: bool) -> None:
    """Every page; the slowest and the heaviest are what the targets are for."""
    size = Size(10_000, 200) if quick else Size(100_000, 1_000)
    began = perf_counter()
    dsn = await asyncio.to_thread(big_books.database, server, size)
    report.add(Figure(f"books with {size.cash_outs:,} cash-outs, made", perf_counter() - began, "s"))
    async with opened(dsn) as room:
        found = [await page_time(room, address) for address in addresses(room.timed.app, dsn, room.link)]
    found.sort(key=lambda one: statistics.median(one.seconds), reverse=True)
    report.pages = [
        Figure(
            one.address.replace(room.link, "…"),
            statistics.median(one.seconds) * 1000,
            "ms",
            one.bare_seconds * 1000 or None,
            None if _is_api(one) else TARGET_MS,
            note=f"worst {max(one.seconds) * 1000:.0f} ms, {one.statements} statements, "
            f"{one.weight_bytes / 1000:.0f} kB",
        )
        for one in found
    ]
    # The target is for what a person waits for; a program may ask the API for reports of years.
    for name, of_it, target in (("console", False, TARGET_MS), ("API", True, None)):
        figures = [figure for figure, one in zip(report.pages, found, strict=True) if _is_api(one) is of_it]
        slowest = figures[0]
        report.add(
            Figure(
                f"{name}: slowest of {len(figures)}, {size.cash_outs:,} cash-outs, {size.clients:,} clients",
                slowest.value,
                "ms",
                slowest.baseline,
                target,
                note=f"{slowest.name}; bare: its statements alone",
            )
        )
    heaviest = max(
        (one for one in found if not _is_api(one) and not _DOWNLOADED.search(one.address)),
        key=lambda one: one.weight_bytes,
    )
    kilobytes = heaviest.weight_bytes / 1000
    report.add(
        Figure(
            "heaviest page, with its style, script and pictures",
            kilobytes,
            "kB",
            None,
            TARGET_KB,
            note=heaviest.address,
        )
    )
