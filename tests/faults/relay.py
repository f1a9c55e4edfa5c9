"""A relay in front of one PostgreSQL that can lose the reply to a commit."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit, urlunsplit

COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"  # what the server answers to COMMIT, in its protocol


class Relay:
    """Passes on everything, until it is told to lose replies. Use as an asynchronous context."""

    def __init__(self, dsn: str) -> None:
        self._to = urlsplit(dsn)
        self._every = 0
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self.dsn = ""
        self.commits = 0
        self.to_lose = 0
        self.lost = 0

    def lose_every(self, nth: int, times: int) -> None:
        """From now on each nth reply to a COMMIT is lost with its connection, so many times."""
        self._every, self.to_lose = nth, self.lost + times

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        login = self._to.netloc.rpartition("@")[0]
        self.dsn = urlunsplit(self._to._replace(netloc=f"{login}@127.0.0.1:{port}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        upstream = None
        ends: set[asyncio.Future[None]] = set()
        try:
            back, upstream = await asyncio.open_connection(self._to.hostname, self._to.port)
            ends = {asyncio.ensure_future(w) for w in (_pass_on(reader, upstream), self._replies(back, writer))}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the relay ends: nobody waits for this connection
        finally:
            self._passing.discard(task)
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            for each in (writer, upstream):
                if each is not None:
                    each.transport.abort()

    async def _replies(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if COMMITTED in data:
                self.commits += 1
                if self.lost < self.to_lose and self.commits % self._every == 0:
                    self.lost += 1
                    return
            with contextlib.suppress(OSError):
                target.write(data)
                await target.drain()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
