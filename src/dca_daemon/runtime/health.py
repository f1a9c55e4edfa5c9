"""The daemon's own HTTP server: is it alive, is it ready, how does it stand.

`/healthz` is for who restarts it, `/readyz` for who asks whether the job gets done, `/metrics` for
Prometheus, `/status` for people and scripts. All of it is read-only and needs no login, so it listens on
loopback unless told otherwise, and answers only to names that are its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dca_daemon.domain.errors import ConfigError
from dca_daemon.runtime.heartbeats import Heartbeats
from dca_daemon.runtime.metrics import CONTENT_TYPE
from dca_daemon.runtime.redaction import redact_text

log = structlog.get_logger()

ANSWER_SECONDS = 5.0  # a probe that hangs is worse than one that says no


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that the daemon needs: whether it works, and if not, why."""

    ok: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """`role` is `active` or `standby`; `components` are those that matter in that role."""

    role: str
    components: Mapping[str, Component] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return all(component.ok for component in self.components.values())


def health_app(
    *,
    heartbeats: Heartbeats,
    readiness: Callable[[], Awaitable[Readiness]],
    metrics: Callable[[], Awaitable[bytes]],
    status: Callable[[], Awaitable[Mapping[str, object]]],
    allowed_hosts: Iterable[str] = (),
) -> Starlette:
    """The four pages. What a callable raises, or does not answer in 5 seconds, becomes a 503."""

    async def healthz(_request: Request) -> Response:
        silent = heartbeats.stale()
        body = {"alive": not silent, "silent_seconds": {name: round(age, 1) for name, age in silent.items()}}
        return _json(body, ok=not silent)

    async def readyz(_request: Request) -> Response:
        answer = await readiness()
        components = {
            name: {"ok": component.ok, "reason": component.reason and redact_text(component.reason)}
            for name, component in answer.components.items()
        }
        body = {"ready": answer.ready, "role": answer.role, "components": components}
        return _json(body, ok=answer.ready)

    async def metricsz(_request: Request) -> Response:
        return Response(await metrics(), media_type=CONTENT_TYPE)

    async def statusz(_request: Request) -> Response:
        return _json(dict(await status()))

    pages = {"/healthz": healthz, "/readyz": readyz, "/metrics": metricsz, "/status": statusz}
    return Starlette(
        routes=[Route(path, _guarded(page), methods=["GET"]) for path, page in pages.items()],
        middleware=[Middleware(HostCheck, allowed_hosts=allowed_hosts)],
    )


def _guarded(page: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await page(request)
        except Exception as error:  # noqa: BLE001 - a probe answers, whatever is broken
            reason = redact_text(" ".join(str(error).split()) or type(error).__name__)
            log.warning("health.page-failed", path=request.url.path, error=reason)
            return _json({"error": reason}, ok=False)

    return guarded


def _json(body: Mapping[str, object], *, ok: bool = True) -> Response:
    return Response(
        json.dumps(body, default=str, ensure_ascii=False) + "\n",
        status_code=200 if ok else 503,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


class HostCheck:
    """Refuses requests by a name that is not ours: a web page elsewhere could otherwise have a visitor's
    browser read us, by pointing its own name at this address (DNS rebinding). That needs a name, so plain
    IP addresses are let through."""

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str], setting: str = "http.allowed_hosts") -> None:
        self._app = app
        self._setting = setting
        self._allowed = {"localhost", *(host.lower() for host in allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = [value for key, value in scope["headers"] if key == b"host"]
            if len(headers) != 1 or not self._is_ours(headers[0].decode("latin-1")):
                refusal = PlainTextResponse(
                    f"not a name of this server; {self._setting} may list it\n", status_code=400
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_ours(self, header: str) -> bool:
        name = header.lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        if name in self._allowed:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class _Uvicorn(uvicorn.Server):
    """Within our own event loop: the signals are ours, and nothing wakes up ten times a second."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self._stop.wait()


class HealthServer:
    """Serves `app`. `bind` first: it tells at once when the address can't be had."""

    def __init__(
        self, app: ASGIApp, host: str, port: int, *, setting: str = "http", behind_proxy: bool = False
    ) -> None:
        self._app = app
        self._behind_proxy = behind_proxy
        self._setting = setting
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None

    def bind(self) -> int:
        """Takes the address; the port that it got (another than asked for only if that was 0).

        Raises `ConfigError` when it is in use or not ours."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self._host.strip("[]"), self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            sock = socket.socket(family, kind, protocol)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(address)
            except OSError:
                sock.close()
                raise
        except OSError as error:
            raise ConfigError(
                f"{self._setting}: can't listen on {self._host} port {self._port}: {error.strerror}",
                remedy=f"set {self._setting}.host and {self._setting}.port to a free address",
            ) from None
        self._socket = sock
        return int(sock.getsockname()[1])

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set."""
        if self._socket is None:
            self.bind()
        assert self._socket is not None
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            date_header=False,
            proxy_headers=self._behind_proxy,  # otherwise anybody here could name any address as theirs
            timeout_graceful_shutdown=2,
        )
        server = _Uvicorn(config, stop)
        try:
            await server.serve(sockets=[self._socket])
        finally:
            for each in getattr(server, "servers", []):
                each.close()
            self._socket.close()
            self._socket = None
