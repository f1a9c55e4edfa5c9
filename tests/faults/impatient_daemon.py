"""The daemon, with two things that tests of a recovery need: it can be paused, and its patience is a second.

`DCA_TEST_PAUSE_AT` names a fault point: whoever comes there first makes the file `paused` in `DCA_TEST_FOLDER`,
and goes on when `go` is there.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from dca_daemon import fault_points
from dca_daemon.cli.main import execute
from dca_daemon.payouts.payer import PayerConfig
from dca_daemon.runtime import wiring
from dca_daemon.runtime.settings import Settings

PATIENCE_SECONDS = 1.0
_real_config = wiring.payer_config


def _impatient(settings: Settings) -> PayerConfig:
    return replace(_real_config(settings), lookup_after_timeout_seconds=PATIENCE_SECONDS, idle_poll_seconds=0.5)


async def _pause(point: str) -> None:
    folder = Path(os.environ["DCA_TEST_FOLDER"])
    if point == os.environ.get("DCA_TEST_PAUSE_AT") and not (folder / "go").exists():
        (folder / "paused").touch()
        await asyncio.to_thread(_until_there, folder / "go")


def _until_there(path: Path) -> None:
    while not path.exists():
        time.sleep(0.02)


if __name__ == "__main__":
    wiring.payer_config = _impatient
    fault_points.install(_pause)
    sys.exit(execute(sys.argv[1:]))
