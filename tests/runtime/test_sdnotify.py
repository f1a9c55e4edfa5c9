"""Messages to systemd, over a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.runtime import sdnotify
from tests.cli.conftest import write_config
from tests.fixtures.postgres import TestDb


@pytest.fixture(params=["path", "abstract"])
def systemd(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@dca-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name[1:] if name.startswith("@") else name)
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def test_messages(systemd: socket.socket) -> None:
    assert sdnotify.ready("active; listening\nREADY=0")
    assert systemd.recv(1000) == b"READY=1\nSTATUS=active; listening READY=0"
    assert sdnotify.ready()
    assert systemd.recv(1000) == b"READY=1"
    assert sdnotify.status("standby")
    assert systemd.recv(1000) == b"STATUS=standby"
    assert sdnotify.stopping()
    assert systemd.recv(1000) == b"STOPPING=1"


@pytest.mark.parametrize("address", [None, "", "relative", "/nowhere/socket"])
def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not sdnotify.ready()


def test_the_watchdog_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    for text, seconds in (("30000000", 10.0), ("0", None), ("x", None), ("", None)):
        monkeypatch.setenv("WATCHDOG_USEC", text)
        assert sdnotify.watchdog_interval_seconds() == seconds
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert sdnotify.watchdog_interval_seconds() is None


async def test_the_watchdog_is_pinged_only_while_all_live(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    stop = asyncio.Event()
    answers: list[bool] = []

    def fresh() -> bool:
        answers.append(len(answers) % 2 == 0)
        if len(answers) == 6:
            stop.set()
        return answers[-1]

    await asyncio.wait_for(sdnotify.run_watchdog(fresh, stop), 5)
    systemd.setblocking(False)
    for _ in range(3):
        assert systemd.recv(1000) == b"WATCHDOG=1"
    with pytest.raises(BlockingIOError):
        systemd.recv(1000)


async def test_without_a_watchdog_it_waits_for_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    stop = asyncio.Event()
    task = asyncio.create_task(sdnotify.run_watchdog(lambda: True, stop))
    stop.set()
    await asyncio.wait_for(task, 5)


@pytest.mark.parametrize("systemd", ["path"], indirect=True)
def test_a_running_daemon_tells_systemd_of_itself(
    systemd: socket.socket, books_db: TestDb, tmp_path: Path
) -> None:
    """Neither Lamassu nor LNbits is there, which is no reason to be restarted."""
    config = write_config(tmp_path / "dca.toml", books_db.dsn, KeyRing.generate(), {"http": {"port": 0}})
    environment = {**os.environ, "WATCHDOG_USEC": "300000"}
    command = [sys.executable, "-m", "dca_daemon", "--config", str(config), "run"]
    systemd.settimeout(60)

    def told(message: bytes) -> None:
        while message not in systemd.recv(1000).splitlines():
            pass

    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as daemon:
        try:
            told(b"READY=1")
            told(b"WATCHDOG=1")
            told(b"WATCHDOG=1")
            daemon.send_signal(signal.SIGTERM)
            told(b"STOPPING=1")
            assert daemon.wait(20) == 0
        finally:
            daemon.kill()
