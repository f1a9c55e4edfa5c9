"""The console on a port of its own, for who can't ask it within the process: browsers, fuzzers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dca_daemon.ledger.signals import Signals
from dca_daemon.runtime.health import HealthServer
from tests.web.conftest import Console


@asynccontextmanager
async def served(console: Console, *, behind_proxy: bool = False) -> AsyncIterator[str]:
    """Its address, while it is served, with what feeds its live regions."""
    stop = asyncio.Event()
    server = HealthServer(console.app, "127.0.0.1", 0, behind_proxy=behind_proxy)
    port = server.bind()
    streams = console.app.state.live
    signals = Signals(console.dsn, streams.subscriptions.wake)
    tasks = [
        asyncio.create_task(work)
        for work in (server.run(stop), streams.subscriptions.run(stop), signals.run(stop))
    ]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)
