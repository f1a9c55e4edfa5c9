"""Daemons as processes of their own, started in a tenth of a second.

To import the program takes two seconds of a processor, and a crash matrix starts it a hundred times. So one
server (Python's own forkserver) imports it once, and each daemon is a fork of that: a process like any other, with
its own event loop, connections and signals. Only the imports are shared.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path

from tests.faults import daemon_at_fault_point

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["tests.faults.daemon_at_fault_point", "dca_daemon.runtime.daemon", "dca_daemon.cli.run"]
)


class DaemonProcess:
    """A daemon that runs; its log is appended to `log_path`."""

    def __init__(self, config_path: Path, log_path: Path, environment: dict[str, str]) -> None:
        self._process = _context.Process(target=_become_daemon, args=(config_path, log_path, environment))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; minus the signal that ended it."""
        return self._process.exitcode

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once, even when it is stopped. Returns when it has ended."""
        self._process.kill()
        self._process.join()


def _become_daemon(config_path: Path, log_path: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        stream.flush()
        os.dup2(log, number)
    daemon_at_fault_point.run(["--config", str(config_path), "run"])
