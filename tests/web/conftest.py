"""The console on real books, asked in this process; who asks is whoever a test says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind
from dca_daemon.runtime import wiring
from dca_daemon.runtime.settings import load_settings
from dca_daemon.services import api_tokens, clients, sessions, users
from dca_daemon.services.events import Feed
from dca_daemon.services.subscriptions import Subscriptions
from dca_daemon.web.app import create_app
from dca_daemon.web.daemon_status import DaemonStatus
from dca_daemon.web.desk import Desk
from dca_daemon.web.live import Live
from dca_daemon.web.rights import cookie_name, session_limits
from tests.cli.conftest import FakeWallet
from tests.fixtures.postgres import TestDb

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


@dataclass
class Console:
    """The application, and ways to ask it."""

    app: FastAPI
    desk: Desk
    db: Database
    keys: KeyRing
    wallet: FakeWallet
    dsn: str
    programs: int = 0

    @asynccontextmanager
    async def person(self, role: Role) -> AsyncIterator[httpx.AsyncClient]:
        """A browser in which somebody with this role is logged in."""
        name = f"some-{role}"
        if name not in {one.name for one in await users.list_all(self.db)}:
            await users.add(self.db, name=name, role=role, password=None, actor="os:test")
        _, link = await sessions.make_link(self.db, name, actor="os:test")
        token = await sessions.log_in_by_link(
            self.db, link, visitor=sessions.Visitor("127.0.0.1"), limits=session_limits(self.desk)
        )
        async with self.stranger() as browser:
            browser.cookies.set(cookie_name(self.desk), token)
            yield browser

    @asynccontextmanager
    async def program(self, *scopes: Scope, client_id: int | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """A program with a token for these scopes; without any: for everything. `client_id`: a client's own."""
        self.programs += 1
        name = "test" if self.programs == 1 else f"test-{self.programs}"
        every = [scope for scope in Scope if scope is not Scope.CLIENT]
        _, token = await api_tokens.add(
            self.db, name=name, scopes=scopes or every, client_id=client_id, actor="os:test"
        )
        async with self.stranger() as program:
            program.headers["Authorization"] = f"Bearer {token}"
            yield program

    def stranger(self) -> httpx.AsyncClient:
        """A browser of nobody yet."""
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(
            transport=transport, base_url=ADDRESS, headers={"Sec-Fetch-Site": "same-origin", "Origin": ADDRESS}
        )

    async def add_client(self, name: str, **more: Any) -> clients.ClientView:
        """A client with a destination that answered."""
        where = Destination(DestinationKind.LIGHTNING_ADDRESS, address=f"{name.lower()}@example.com")
        view, _ = await clients.add(
            self.db, self.wallet, self.keys, name=name, mode=more.get("mode", clients.Mode.FLOW),  # type: ignore[arg-type]
            destination=where, actor="os:test",
        )  # fmt: skip
        return view


@pytest.fixture
async def console(books: Database, books_db: TestDb, keys: KeyRing, tmp_path: Path) -> AsyncIterator[Console]:
    """The console on this test's books."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    settings = load_settings(path)
    wallet = FakeWallet()
    lamassu = LamassuSource(wiring.source_config(settings))
    desk = Desk(
        db=books,
        keys=keys,
        receivers=wallet,  # type: ignore[arg-type]  # it is only asked to check destinations
        prices=wiring.price_feed(settings),
        lamassu=lamassu,
        daemon=DaemonStatus(None),
        settings=settings,
        zone=ZoneInfo("America/Guatemala"),
        base_url=ADDRESS,
    )
    feed = Feed(books)
    yield Console(create_app(desk, Live(feed, Subscriptions(feed))), desk, books, keys, wallet, books_db.dsn)
    for part in (desk.prices, desk.daemon, lamassu):
        await part.close()


async def carry_out(browser: httpx.AsyncClient, path: str, fields: dict[str, str]) -> httpx.Response:
    """Fills a form in, looks at the preview, confirms: the answer that leads on."""
    preview = await browser.post(path, data=fields)
    assert preview.status_code == 200, preview.text
    done = await confirm(browser, path, preview)
    assert done.status_code == 303, done.text
    return done


async def confirm(browser: httpx.AsyncClient, path: str, preview: httpx.Response) -> httpx.Response:
    """Confirms what a preview has shown."""
    found = re.search(r'name="intent" value="([^"]+)"', preview.text)
    assert found, preview.text
    return await browser.post(path, data={"intent": found[1]})


__all__ = ["Console", "DestinationInfo", "carry_out", "confirm"]
