"""Answers without any network: what a fuzzed HTTP server says, and a DNS of our own."""

from __future__ import annotations

import asyncio
import atexit
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar
from unittest.mock import patch

import httpx
import structlog

from tests.fuzz.choices import Choices, chance, pick
from tests.fuzz.values import HTTP_STATUSES

T = TypeVar("T")

NOT_SENT = (httpx.ConnectError("refused"), httpx.ConnectTimeout(""), httpx.PoolTimeout(""))
FAULTS = (
    *NOT_SENT,
    httpx.ReadTimeout(""),
    httpx.ReadError("reset"),
    httpx.WriteError("broken pipe"),
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"Retry-After", b"5"),
    (b"Retry-After", b"-1"),
    (b"Retry-After", b"9" * 400),
    (b"Retry-After", b"99999"),
    (b"Retry-After", b"1.5"),
    (b"Retry-After", b"Wed, 21 Oct 2026 07:28:00 GMT"),
    (b"Retry-After", "\u0661\u00b2".encode()),
    (b"Retry-After", b"\xff\x00"),
    (b"Retry-After", b""),
    (b"Location", b"/first_install"),
    (b"Location", b"http://[nonsense"),
    (b"Location", b"https:///x"),
    (b"Location", b"\xff\xfe"),
    (b"Location", b"//"),
    (b"Content-Type", b"text/html; charset=nonsense"),
    (b"Content-Type", b"application/json; charset=utf-16"),
    (b"Content-Encoding", b"gzip"),
    (b"Content-Encoding", b"deflate, br, nonsense"),
    (b"Set-Cookie", b"a=b; expires=nonsense; domain=.test"),
    (b"Content-Length", b"-1"),
)


class Sent:
    """One answer: what was decided about it."""

    def __init__(
        self, status: int | None, body: bytes, headers: list[tuple[bytes, bytes]], fault: Exception | None
    ):
        self.status, self.body, self.headers, self.fault = status, body, headers, fault

    def response(self) -> httpx.Response:
        """As a transport would give it: the body is decoded when it is read."""
        if self.fault is not None:
            raise self.fault
        assert self.status is not None
        return httpx.Response(self.status, headers=self.headers, stream=httpx.ByteStream(self.body))


def answer(choices: Choices, body: bytes, usual_status: int = 200) -> Sent:
    """Mostly the usual status; sometimes another, headers, or none at all."""
    if chance(choices, 12):
        return Sent(None, b"", [], pick(choices, FAULTS))
    status = pick(choices, HTTP_STATUSES) if chance(choices, 3) else usual_status
    headers = [pick(choices, HEADERS) for _ in range(choices.integer(0, 2))] if chance(choices, 3) else []
    return Sent(status, body, headers, None)


def transport(script: Callable[[httpx.Request], httpx.Response]) -> httpx.MockTransport:
    """Answers each request by the script."""
    return httpx.MockTransport(script)


@contextmanager
def offline(names: dict[str, list[str]] | None = None) -> Iterator[None]:
    """No DNS but these names and literal addresses; nothing is logged."""

    async def getaddrinfo(_: object, host: str, port: int, **__: object) -> list[Any]:
        known = (names or {}).get(host.rstrip(".").lower())
        if known is None:  # the system's own reading of 0x7f.1, 2130706433, 0177.0.0.1: no question is sent
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port)) for found in known]

    with (
        patch.object(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo),
        structlog.testing.capture_logs(),
    ):
        yield


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs it on this process's loop for fuzzing."""
    return _runner().run(work)


@lru_cache(maxsize=1)
def _runner() -> asyncio.Runner:
    made = asyncio.Runner()
    atexit.register(made.close)
    return made
