"""What every request and every answer passes: names, sizes, where it comes from, what a browser may do."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dca_daemon.runtime.health import HostCheck
from dca_daemon.web.desk import Desk
from dca_daemon.web.personal import PERSONAL
from dca_daemon.web.problems import API, answer, unexpected

BODY_MAX_BYTES = 65_536
BODY_TIMEOUT_SECONDS = 30.0
_SAFE = ("GET", "HEAD", "OPTIONS")
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Without it, browsers that send no Sec-Fetch-Site would hide their origin from us too.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# Of addresses that are secrets themselves.
_PERSONAL_HEADERS = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive"}
_NUL = "the character NUL (U+0000) is in it: nothing was done"
_HSTS = "max-age=31536000"


def guarded(app: FastAPI, desk: Desk) -> None:
    """Has all requests to the application pass. The last one that is added comes first."""
    names = {*desk.settings.console.allowed_hosts, desk.settings.console.host}
    names.add(urlsplit(desk.base_url).hostname or "localhost")
    app.add_middleware(SameOrigin, base_url=desk.base_url)
    app.add_middleware(NoNul)
    app.add_middleware(BodyLimit)
    app.add_middleware(HostCheck, allowed_hosts=names, setting="console.allowed_hosts")
    app.add_middleware(Faults)
    app.add_middleware(SecurityHeaders, secure=desk.secure)


class SecurityHeaders:
    """Tells browsers to run nothing that is not ours, to be framed by nobody, and to keep nothing.

    An answer may set its own `Cache-Control`.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = {**_HEADERS, "Strict-Transport-Security": _HSTS} if secure else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                personal = _PERSONAL_HEADERS if scope["path"].startswith(PERSONAL) else {}
                for name, value in {**self._headers, **personal}.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class Faults:
    """Answers what is a bug of ours, within what adds the headers: Starlette itself would do it outside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def told(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, told)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            await unexpected(Request(scope), error)(scope, receive, send)


class SameOrigin:
    """Refuses what another site has a visitor's browser do. Browsers tell where a request comes from, and pages
    can't change that. The API is left out: it knows no cookies."""

    def __init__(self, app: ASGIApp, *, base_url: str) -> None:
        self._app = app
        self._base_url = base_url.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        concerned = scope["type"] == "http" and scope["method"] not in _SAFE and not scope["path"].startswith(API)
        if not concerned or self._is_ours(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        refusal = answer(
            Request(scope),
            403,
            "forbidden",
            "this did not come from a page of this console: nothing was done",
            remedy="open the page itself, and do it there; behind a proxy, set console.base_url",
        )
        await refusal(scope, receive, send)

    def _is_ours(self, headers: Headers) -> bool:
        sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
        if sites:
            return sites == ["same-origin"]
        host = headers.get("host", "").lower()
        if len(origins) != 1 or not host:
            return False
        scheme = "https" if self._base_url.startswith("https:") else "http"
        ours = {f"{scheme}://{host}", self._base_url} - {""}
        return origins[0].lower() in ours


class NoNul:
    """Refuses the character NUL, which no text of ours has and PostgreSQL can't keep."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await answer(Request(scope), 422, "input", _NUL)(scope, receive, send)
            return
        typed = Headers(scope=scope).get("content-type", "")
        signs = (b"\\u0000",) if "json" in typed else (b"%00", b"\0")
        end = b""  # of what came before: a sign may come in two pieces

        async def looked_through() -> Message:
            nonlocal end
            message = await receive()
            seen = end + message.get("body", b"")
            if any(sign in seen for sign in signs):
                raise HTTPException(422, _NUL)
            end = seen[-5:]
            return message

        await self._app(scope, looked_through, send)


class BodyLimit:
    """Refuses bodies that are larger than any form of ours: at once by what they say, or when they are. One that
    has not ended in time is not waited for."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int = BODY_MAX_BYTES,
        timeout_seconds: float = BODY_TIMEOUT_SECONDS,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isdecimal() or int(told[:20]) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        got = 0
        deadline: float | None = asyncio.get_running_loop().time() + self._timeout_seconds

        async def counted() -> Message:
            nonlocal got, deadline
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "what was sent came too slowly: nothing was done") from None
            if not message.get("more_body", False):
                deadline = None  # from here on it waits for who listens to go: a stream lasts
            got += len(message.get("body", b""))
            if got > self._max_bytes:
                raise HTTPException(413, self._words)
            return message

        await self._app(scope, counted, send)

    @property
    def _words(self) -> str:
        return f"what was sent is larger than {self._max_bytes // 1024} KiB: nothing was done"

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(Request(scope), 413, "http", self._words)(scope, receive, send)
