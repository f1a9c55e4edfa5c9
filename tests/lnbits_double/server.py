"""The double on loopback, for clients in other processes: HTTP/1.1 by hand, so that it can break anywhere."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Self

from tests.lnbits_double.double import LnbitsDouble
from tests.lnbits_double.http import Cut, Reply

_GARBAGE = b"SSH-2.0-OpenSSH_9.2\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER for no time: a reset in place of an orderly end


class DoubleServer:
    """Serves a double on a port of loopback, the same one after a restart.

    A client can't be refused by one call once it has connected: `Lie.REFUSE_CONNECTION` resets it here, before
    anything is carried out. `kill` and `restart` refuse truly.
    """

    def __init__(self, double: LnbitsDouble) -> None:
        self._double = double
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._close()

    async def kill(self) -> None:
        """Kills the double; its port refuses."""
        self._double.kill()
        await self._close()

    async def restart(self) -> None:
        """Comes back on the same port."""
        self._double.restart()
        await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._open):
            _reset(writer)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client had enough, or we were killed
        finally:
            self._open.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; whether another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        content = await reader.readexactly(int(headers.get("content-length", "0")))
        path, _, query = target.partition("?")
        answer = await self._double.handle(method, path, query, headers.get("x-api-key"), content)
        if isinstance(answer, Cut):
            await _cut(answer, reader, writer)
            return False
        last = headers.get("connection", "").lower() == "close"
        writer.write(_head(answer, last=last) + answer.content)
        await writer.drain()
        # After a 500 LNbits closes the connection without having said so.
        return not last and not answer.missing_bytes and answer.status != 500


async def _cut(cut: Cut, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if cut in (Cut.RESET, Cut.REFUSED):
        _reset(writer)
    elif cut is Cut.SILENT:
        await reader.read()  # until the client has had enough
    elif cut is Cut.GARBAGE:
        writer.write(_GARBAGE)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


def _head(answer: Reply, *, last: bool) -> bytes:
    headers = {
        "Content-Type": answer.content_type,
        "Content-Length": str(len(answer.content) + answer.missing_bytes),
        "Connection": "close" if last else "keep-alive",
        **answer.headers,
    }
    lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
