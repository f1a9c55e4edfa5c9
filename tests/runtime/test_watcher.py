"""What is watched is told of once when it gets bad, and once when it is well; no fault ends the watching."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.runtime.watcher import BackupWatch, ClockWatch, DiskWatch, UnknownWatch, WalletWatch, Watcher
from dca_daemon.services.backups import runs
from dca_daemon.services.status import database_now, stuck_payouts
from tests.services.test_payouts import opened

Logged = Callable[[], list[dict[str, Any]]]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def told(logged: Logged) -> list[str]:
    return [line["event"] for line in logged()]


async def test_a_disk_that_fills_up_and_is_emptied(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    free = {"/": 50, "/books": 50}

    def usage(path: str) -> object:
        if path not in free:
            raise FileNotFoundError(2, "No such file or directory", path)
        return SimpleNamespace(free=free[path], used=100 - free[path])

    monkeypatch.setattr(shutil, "disk_usage", usage)
    watcher = Watcher({"disk": DiskWatch(["/gone", "/", "/books"], least_percent=10)})
    for free["/books"] in (50, 10, 9, 4, 10, 11):
        await watcher.look()
    failed, low, enough = logged()
    assert (failed["event"], failed["what"], "exception" in failed) == ("watch.failed", "disk", False)
    assert (low["event"], low["path"], low["free_percent"]) == ("disk.low", "/books", 9)
    assert (enough["event"], enough["path"], enough["free_percent"]) == ("disk.enough", "/books", 11)


async def test_clocks_that_differ(logged: Logged) -> None:
    ours = NOON
    theirs: list[timedelta | DatabaseError] = [timedelta(seconds=s) for s in (4, 6, -600)]
    theirs += [DatabaseError("away"), timedelta(0)]

    async def ask() -> datetime:
        nonlocal ours
        began, ours = ours, ours + timedelta(seconds=2)  # what it takes to ask is no difference
        answer = theirs.pop(0)
        if isinstance(answer, DatabaseError):
            raise answer
        return began + answer

    watch = ClockWatch({"theirs": ask}, most_seconds=3, now=lambda: ours)
    for _ in range(5):
        await watch()
    assert [(line["event"], line.get("seconds")) for line in logged()] == [
        ("clock.off", 4.0),
        ("clock.right", None),
    ]


async def test_a_wallet_that_runs_low(logged: Logged) -> None:
    balance: int | None = None
    watch = WalletWatch(lambda: balance, low_sats=1000)
    for balance in (None, 1000, 999, 5, None, 1000):  # noqa: B007 - the watch reads it
        await watch()
    assert told(logged) == ["wallet.low", "wallet.filled"]


async def test_payouts_unknown_for_long(books: Database, logged: Logged) -> None:
    assert abs((await database_now(books) - datetime.now(UTC)).total_seconds()) < 60
    _, settled = await opened(books, PayoutState.SETTLED)
    _, oldest = await opened(books, PayoutState.UNKNOWN)
    await opened(books, PayoutState.SUBMITTED)
    assert (await stuck_payouts(books, older_seconds=3600)).number == 0
    found = await stuck_payouts(books, older_seconds=0)
    assert (found.number, found.oldest_id, settled != oldest) == (2, oldest, True)
    await UnknownWatch(books, most_seconds=3600)()
    watch = UnknownWatch(books, most_seconds=0)
    await watch()
    await watch()
    watch._most_seconds = 3600
    await watch()
    lines = [line for line in logged() if line["event"].startswith("payout.")]
    assert [(line["event"], line.get("payout_id")) for line in lines[-2:]] == [
        ("payout.unknown-long", oldest),
        ("payout.known", None),
    ]


async def test_no_fault_ends_it(logged: Logged) -> None:
    faults: list[Exception] = [RuntimeError("a fault of ours"), RuntimeError("again")]
    others = 0
    looked = asyncio.Event()

    async def faulty() -> None:
        if faults:
            raise faults.pop()

    async def other() -> None:
        nonlocal others
        others += 1
        looked.set()

    watcher = Watcher({"one": faulty, "other": other})
    for _ in range(3):
        await watcher.look()
    assert (told(logged), others) == (["watch.failed", "watch.recovered"], 3)
    assert "a fault" not in logged()[0]["error"] and "exception" in logged()[0]
    looked.clear()
    running = asyncio.create_task(watcher.run())
    await looked.wait()
    running.cancel()


async def test_a_backup_that_fails_or_is_old(books: Database, logged: Logged) -> None:
    watch = BackupWatch(lambda: runs.last(books), most_seconds=3600)
    now = datetime.now(UTC)

    async def came(ago: timedelta, error: str | None = None) -> None:
        run = runs.Run(kind="backup", began_at=now - ago, actor="test", error=error)
        await runs.save(books, run if error else replace(run, archive="a", size_bytes=1, revision="1"))
        await watch()
        await watch()

    await watch()  # none was made yet: doctor tells
    for ago, error in ((timedelta(minutes=1), None), (timedelta(0), "disk full"), (timedelta(0), None)):
        await came(ago, error)
    await came(timedelta(hours=2))
    assert [(line["event"], line.get("error")) for line in logged()] == [
        ("backup.overdue", "disk full"),
        ("backup.recent", None),
        ("backup.overdue", None),
    ]
