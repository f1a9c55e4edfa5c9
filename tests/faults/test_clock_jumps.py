"""The clock of the daemon's host jumps. Timers are monotonic, windows and next attempts are the databases'."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.conftest import Installation
from tests.faults.acting import assert_all_is_well, cash_out, started

JUMPS = {
    "+1h": timedelta(hours=1),
    "-1h": timedelta(hours=-1),
    "+2d": timedelta(days=2),
    "-2d": timedelta(days=-2),
}


def libfaketime() -> Path:
    """What shifts the clock of one process; the test says so, and is skipped, where there is none."""
    for name in ("libfaketimeMT.so.1", "libfaketime.so.1"):
        if found := next(Path("/usr/lib").glob(f"*/faketime/{name}"), None):
            return found
    pytest.skip("there is no libfaketime here to shift the daemon's clock with (apt-get install faketime)")


async def test_the_clock_of_the_host_jumps_while_the_daemon_runs(
    installation: Installation, tmp_path: Path
) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0")
    await started(
        installation,
        LD_PRELOAD=str(libfaketime()),
        FAKETIME_TIMESTAMP_FILE=str(offset),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    for count, (jump, shift) in enumerate(JUMPS.items(), start=2):
        offset.write_text(jump)
        cash_out(installation)
        await installation.distributed(count)
        await installation.all_settled()
        seen = datetime.fromisoformat(installation.logged("payout.settled")[-1]["ts"])
        assert abs(seen - datetime.now(UTC) - shift) < timedelta(minutes=5)  # it did jump
        offset.write_text("+0")
    await assert_all_is_well(installation, 1 + len(JUMPS))
    assert not installation.logged("leader.lost") and not installation.logged("listener.lost")
