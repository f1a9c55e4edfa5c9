"""The HTTP server's pages, over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.types import ASGIApp

from dca_daemon.domain.errors import ConfigError
from dca_daemon.runtime import health
from dca_daemon.runtime.health import Component, HealthServer, Readiness, health_app
from dca_daemon.runtime.heartbeats import Heartbeats
from dca_daemon.runtime.metrics import Metrics, Snapshot


@dataclass
class Daemon:
    """What the pages ask: set as a test needs it."""

    answer: Readiness = field(default_factory=lambda: Readiness("active", {"database": Component(True)}))
    fault: Exception | None = None
    now: float = 0.0
    beats: Heartbeats = field(init=False)
    url: str = ""

    def __post_init__(self) -> None:
        self.beats = Heartbeats({"scanner": 10}, clock=lambda: self.now)

    async def readiness(self) -> Readiness:
        return self.answer

    async def metrics(self) -> bytes:
        return Metrics(Snapshot, version="1").render()

    async def status(self) -> Mapping[str, object]:
        if self.fault:
            raise self.fault
        return {"mode": "listen", "owed_sats": 3}


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    daemon = Daemon()
    app = health_app(
        heartbeats=daemon.beats,
        readiness=daemon.readiness,
        metrics=daemon.metrics,
        status=daemon.status,
        allowed_hosts=["dca.example.com"],
    )
    server = HealthServer(app, "127.0.0.1", 0)
    daemon.url = f"http://127.0.0.1:{server.bind()}"
    stop = asyncio.Event()
    task = asyncio.create_task(server.run(stop))
    yield daemon
    stop.set()
    await asyncio.wait_for(task, 5)


async def get(daemon: Daemon, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(daemon.url + path, headers=headers)


async def test_liveness_follows_the_heartbeats(daemon: Daemon) -> None:
    answer = await get(daemon, "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True, "silent_seconds": {}})
    daemon.now = 12.5
    answer = await get(daemon, "/healthz")
    assert (answer.status_code, answer.json()) == (503, {"alive": False, "silent_seconds": {"scanner": 12.5}})


async def test_readiness_tells_each_component_with_its_reason(daemon: Daemon) -> None:
    assert (await get(daemon, "/readyz")).status_code == 200
    daemon.answer = Readiness(
        "active", {"database": Component(True), "lnbits": Component(False, "no answer at http://u:pw@host")}
    )
    answer = await get(daemon, "/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "role": "active",
        "components": {
            "database": {"ok": True, "reason": None},
            "lnbits": {"ok": False, "reason": "no answer at http://********@host"},
        },
    }


async def test_a_standby_is_ready(daemon: Daemon) -> None:
    daemon.answer = Readiness("standby")
    answer = await get(daemon, "/readyz")
    assert answer.status_code == 200 and answer.json()["role"] == "standby"


async def test_metrics_and_status(daemon: Daemon) -> None:
    answer = await get(daemon, "/metrics")
    assert answer.status_code == 200 and b"dca_build_info" in answer.content
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    answer = await get(daemon, "/status")
    assert answer.json() == {"mode": "listen", "owed_sats": 3}
    assert answer.headers["cache-control"] == "no-store" and "server" not in answer.headers


async def test_a_page_that_fails_says_so_without_secrets(daemon: Daemon) -> None:
    daemon.fault = RuntimeError("can't reach postgresql://u:geheim@host")
    answer = await get(daemon, "/status")
    assert answer.status_code == 503 and "geheim" not in answer.text and "can't reach" in answer.text
    assert (await get(daemon, "/healthz")).status_code == 200


async def test_a_page_that_hangs_says_so(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.01)
    hang = asyncio.Event()

    async def hangs() -> bytes:
        await hang.wait()
        return b""

    app = health_app(heartbeats=daemon.beats, readiness=daemon.readiness, metrics=hangs, status=daemon.status)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/metrics")
    assert (answer.status_code, answer.json()) == (503, {"error": "TimeoutError"})


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:8017", True),
        ("LOCALHOST", True),
        ("127.0.0.1:1", True),
        ("[::1]:8017", True),
        ("10.1.2.3:8017", True),
        ("dca.example.com", True),
        ("evil.example.com", False),
        ("localhost.evil.example.com", False),
        ("127.0.0.1.evil.example.com:8017", False),
        ("", False),
    ],
)
async def test_only_our_own_names_are_answered(daemon: Daemon, host: str, allowed: bool) -> None:
    answer = await get(daemon, "/status", Host=host)
    assert answer.status_code == (200 if allowed else 400)
    assert ("owed_sats" in answer.text) is allowed


async def test_nothing_else_is_served(daemon: Daemon) -> None:
    assert (await get(daemon, "/")).status_code == 404
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(daemon.url + "/status")).status_code == 405


async def test_the_signals_stay_ours(daemon: Daemon) -> None:
    before = signal.getsignal(signal.SIGTERM)
    await get(daemon, "/healthz")
    assert signal.getsignal(signal.SIGTERM) is before is signal.SIG_DFL


def test_an_address_in_use_is_a_clear_refusal() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"can't listen on 127\.0\.0\.1 port {port}: Address already in use"
        ):
            HealthServer(health_app_stub(), "127.0.0.1", port).bind()


def test_an_address_that_is_not_ours_is_a_clear_refusal() -> None:
    with pytest.raises(ConfigError, match=r"can't listen on 192\.0\.2\.1 port 0: .*http\.host"):
        HealthServer(health_app_stub(), "192.0.2.1", 0).bind()


def health_app_stub() -> ASGIApp:
    daemon = Daemon()
    return health_app(
        heartbeats=daemon.beats, readiness=daemon.readiness, metrics=daemon.metrics, status=daemon.status
    )


async def test_the_port_is_free_again_after_a_stop() -> None:
    server = HealthServer(health_app_stub(), "127.0.0.1", 0)
    port = server.bind()
    stop = asyncio.Event()
    stop.set()
    await asyncio.wait_for(server.run(stop), 5)
    second = HealthServer(health_app_stub(), "127.0.0.1", port)
    second.bind()
    await second.run(stop)
