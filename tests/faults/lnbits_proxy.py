"""Between the daemon and a real LNbits: passes on, and can lose a request, lose an answer, or change one.

So money really moves in a real LNbits, while the daemon hears nothing of it, or something else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import httpx


class Fate(Enum):
    """What becomes of a request."""

    PASS = auto()
    LOSE_ANSWER = auto()  # LNbits carries it out; the connection ends without an answer
    EMPTY = auto()  # LNbits' list arrives without its rows
    RAISED = auto()  # each amount in LNbits' list arrives one sat larger


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the daemon."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers.get("x-api-key", "")

    @property
    def pays(self) -> bool:
        return self.method == "POST" and json.loads(self.body).get("out") is True

    @property
    def looks_up(self) -> bool:
        return "/payments/paginated?" in self.target


Rule = Callable[[Request], Fate]


def honest(_: Request) -> Fate:
    """Everything is passed on."""
    return Fate.PASS


class LnbitsProxy:
    """Listens at `url` and decides by `rule`, which may be exchanged at any time."""

    def __init__(self, upstream_url: str) -> None:
        self.url = ""
        self.rule: Rule = honest
        self._upstream = httpx.AsyncClient(base_url=upstream_url, timeout=60, trust_env=False)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[LnbitsProxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await self._upstream.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, and the connection ends."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, httpx.TransportError):
            request = await _read(reader)
            answer = await self._answer(request, self.rule(request))
            if answer is not None:
                writer.write(answer)
                await writer.drain()
        writer.close()

    async def _answer(self, request: Request, fate: Fate) -> bytes | None:
        sent: dict[str, str] = {n: v for n, v in request.headers.items() if n in ("x-api-key", "content-type")}
        reply = await self._upstream.request(request.method, request.target, headers=sent, content=request.body)
        if fate is Fate.LOSE_ANSWER:
            return None
        body = reply.content
        if fate is not Fate.PASS:
            body = json.dumps(_changed(reply.json(), fate)).encode()
        head = f"HTTP/1.1 {reply.status_code} -\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


def _changed(found: dict[str, Any], fate: Fate) -> dict[str, Any]:
    if fate is Fate.EMPTY:
        return {"data": [], "total": 0}
    rows = [{**row, "amount": row["amount"] + 1000} for row in found["data"]]
    return {**found, "data": rows}
