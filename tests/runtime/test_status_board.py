"""What /readyz says of Lamassu."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from dca_daemon.lamassu.scanner import ScannerStatus
from dca_daemon.runtime.status_board import StatusBoard

SCANNED = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "lag_seconds", "reason"),
    [
        (ScannerStatus(), None, "the first scan is not done yet"),
        (ScannerStatus(last_scan_at=SCANNED), 400.0, None),
        (ScannerStatus(last_scan_at=SCANNED), 500.0, "the last complete scan was 500 s ago"),
        (ScannerStatus(last_scan_at=SCANNED, last_error="away"), 1.0, "away"),
    ],
)
def test_scans_that_fail_or_do_not_end_are_seen(
    status: ScannerStatus, lag_seconds: float | None, reason: str | None
) -> None:
    scanner: Any = SimpleNamespace(status=status, lag_seconds=lag_seconds)
    settings: Any = SimpleNamespace(lamassu=SimpleNamespace(scan_interval_seconds=60))
    unused: Any = None
    board = StatusBoard(unused, unused, scanner, unused, unused, unused, settings)
    found = board._lamassu()
    assert (found.ok, found.reason) == (reason is None, reason)
