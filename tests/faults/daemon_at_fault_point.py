"""The daemon, killed or paused at a named point: `python -m tests.faults.daemon_at_fault_point run`.

The folder in DCA_TEST_FAULTS holds `plan.json`: `{"payout.settle.before-commit": {"action": "kill", "nth": 1}}`.
It may be replaced while the daemon runs; counting begins anew then. Who comes to a planned point for the nth time
writes a file named after it, with its process id, and is killed (SIGKILL), or waits until there is a file
`go-on`. Where that file exists already somebody was there before, and nothing happens.
DCA_TEST_PATIENCE_SECONDS takes the place of `payouts.lookup_after_timeout_seconds`, below its minimum.
DCA_TEST_MIGRATIONS is a folder of migrations in place of the program's own: another release, as far as these tell.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from dca_daemon import fault_points
from dca_daemon.cli.main import main
from dca_daemon.ledger import migrate
from dca_daemon.payouts.payer import PayerConfig
from dca_daemon.runtime import wiring
from dca_daemon.runtime.settings import Settings

FOLDER = "DCA_TEST_FAULTS"
PATIENCE = "DCA_TEST_PATIENCE_SECONDS"
MIGRATIONS = "DCA_TEST_MIGRATIONS"
PLAN = "plan.json"
GO_ON = "go-on"


class Faults:
    """The handler of fault points that follows the plan."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_from: tuple[int, int] | None = None
        self._plan: dict[str, dict[str, Any]] = {}
        self._reached: Counter[str] = Counter()

    async def __call__(self, point: str) -> None:
        self._read_plan()
        planned = self._plan.get(point)
        if planned is None:
            return
        self._reached[point] += 1
        if self._reached[point] != planned["nth"] or not self._am_first(point):
            return
        if planned["action"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while not (self._folder / GO_ON).exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)

    def _read_plan(self) -> None:
        """Reads the plan if it is another file than last time."""
        path = self._folder / PLAN
        found = path.stat()
        now = (found.st_ino, found.st_mtime_ns)  # the number alone comes back when the file before is gone
        if now != self._read_from:
            self._read_from = now
            self._plan = json.loads(path.read_text())
            self._reached.clear()

    def _am_first(self, point: str) -> bool:
        try:
            descriptor = os.open(self._folder / point, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        os.write(descriptor, str(os.getpid()).encode())
        os.close(descriptor)
        return True


def shorten_patience(seconds: float) -> None:
    """From now on, payers made from settings are patient for so long only."""
    configured = wiring.payer_config

    def payer_config(settings: Settings) -> PayerConfig:
        return replace(configured(settings), lookup_after_timeout_seconds=seconds)

    wiring.payer_config = payer_config


def run(arguments: list[str]) -> None:
    """`dca-daemon` with these arguments, in this process, under the plan that the environment names."""
    if FOLDER in os.environ:
        fault_points.install(Faults(Path(os.environ[FOLDER])))
    if PATIENCE in os.environ:
        shorten_patience(float(os.environ[PATIENCE]))
    if MIGRATIONS in os.environ:
        folder = Path(os.environ[MIGRATIONS])
        migrate._folder = lambda: folder
    sys.argv = ["dca-daemon", *arguments]
    main()


if __name__ == "__main__":
    run(sys.argv[1:])
