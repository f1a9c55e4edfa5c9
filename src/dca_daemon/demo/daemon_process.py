"""Daemon and console as the demo runs them: real processes, with a configuration file, as systemd would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from dca_daemon.demo.interrupts import Interrupts
from dca_daemon.domain.errors import DcaError

READY_SECONDS = 60.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.05


class DemoError(DcaError):
    """A step of the demo failed: the message says which."""

    code = "demo"


def program() -> list[str]:
    """`dca-daemon` of this very installation."""
    beside = Path(sys.executable).with_name("dca-daemon")
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", "dca_daemon"]


class ProgramProcess:
    """A command of ours that serves on loopback; its log goes to `log_file`, one JSON object a line."""

    command = ""
    name = ""

    def __init__(self, config: Path, port: int, log_file: Path, interrupts: Interrupts) -> None:
        self.config = config
        self.url = f"http://127.0.0.1:{port}"
        self.log_file = log_file
        self._interrupts = interrupts
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the running process."""
        return None if self._process is None else self._process.pid

    def start(self) -> float:
        """Starts it and waits until it is ready; how many seconds that took."""
        begun = time.monotonic()
        with self._interrupts.held(), self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*program(), "--config", str(self.config), self.command],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the demo, which then stops it
            )
        while not self._ready():
            self.check_alive()
            if time.monotonic() - begun > READY_SECONDS:
                raise DemoError(f"{self.name} was not ready within {READY_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        return time.monotonic() - begun

    def check_alive(self) -> None:
        """Raises `DemoError` when the process has ended."""
        if self._process is None:
            return
        status = self._process.poll()
        if status is not None:
            raise DemoError(f"{self.name} ended with status {status}: {self._last_words()}")

    def kill(self) -> None:
        """Ends it as a power cut would."""
        if self._process is not None:
            with self._interrupts.held():
                self._process.kill()
                self._process.wait()
                self._process = None

    def stop(self) -> None:
        """Ends it as systemd would."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=10, trust_env=False)

    def _ready(self) -> bool:
        raise NotImplementedError

    def _last_words(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"


class DaemonProcess(ProgramProcess):
    """`dca-daemon run`: ready once it hears notifications."""

    command = "run"
    name = "the daemon"

    def status(self) -> Mapping[str, Any]:
        """What /status tells."""
        found: Mapping[str, Any] = self._get("/status").json()
        return found

    def _ready(self) -> bool:
        try:
            ready = self._get("/readyz")
            return ready.is_success and self.status().get("mode") == "listen"
        except (httpx.TransportError, json.JSONDecodeError):
            return False


class ConsoleProcess(ProgramProcess):
    """`dca-daemon console`: ready once its login page comes."""

    command = "console"
    name = "the console"

    def _ready(self) -> bool:
        try:
            return self._get("/login").is_success
        except httpx.TransportError:
            return False


def _environment() -> dict[str, str]:
    """Ours, without settings of another installation that would override the demo's file."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DCA_") and name not in ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC")
    }
