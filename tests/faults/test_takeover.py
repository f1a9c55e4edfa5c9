"""The active daemon is paused at fault points, frozen, and loses the lock; the other takes over, then it goes on.

What it does when it wakes up in the middle of its steps, believing that it still leads, must harm nothing. Points
at which it holds up nobody else are taken together, a client's payout at each.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from tests.e2e.conftest import eventually
from tests.faults.lnbits_proxy import LnbitsProxy
from tests.faults.points import POINTS, points_of
from tests.faults.processes import DaemonProcess
from tests.faults.scenarios import SCENARIOS
from tests.faults.site import Site, make_site
from tests.fixtures.postgres import LamassuDb, TestDb
from tests.services.builders import value

ORDINARY = ("payout.invoiced", "payout.submitting", "wallet.create-invoice", "wallet.pay", "wallet.sent")
TOGETHER = (
    "payout.reserve.after-commit",
    *(point for step in (*ORDINARY, "wallet.received") for point in points_of(step)),
    "payout.settle.after-commit",
)
GROUPS: list[tuple[str, tuple[str, ...]]] = [  # the step whose scenario it is, and the points
    ("payout.reserve", TOGETHER),
    ("payout.reserve", ("payout.reserve.before-commit",)),
    ("payout.settle", ("payout.settle.before-commit",)),
    ("payout.unanswered", points_of("payout.unanswered")),
    ("payout.unknown", (*points_of("payout.unknown"), *points_of("payout.postpone"))),
    ("payout.hold", points_of("payout.hold")),
    ("payout.release", ("payout.release.before-commit",)),
    ("payout.release", ("payout.release.after-commit",)),
    ("wallet.balance", ("wallet.balance.before-call",)),
    ("wallet.balance", ("wallet.balance.after-call",)),
    ("intake.book", ("intake.book.before-commit",)),
    ("intake.book", ("intake.book.after-commit",)),
]
QUIET_SECONDS = 1.0
# The transactions of the frozen one stay open, or its connections end with the lock's.
_WAYS = ["lock-lost", "all-lost"]
_OFTEN = bool(os.environ.get("DCA_TEST_SOAK"))


@pytest.fixture
async def crowd(
    tmp_path: Path, books_db: TestDb, lamassu_db: LamassuDb, lnbits: LnbitsAdmin, proxy: LnbitsProxy
) -> AsyncIterator[Site]:
    """A client for each of the points that are taken together."""
    async with make_site(
        tmp_path, books_db, lamassu_db, lnbits, client_count=len(TOGETHER), lnbits_url=proxy.url
    ) as made:
        made.environment.update(DCA_PAYOUTS__CONCURRENCY="16", DCA_DATABASE__POOL_SIZE="40")
        yield made


def test_all_points_of_the_payer_are_taken() -> None:
    taken = [point for _, points in GROUPS for point in points]
    assert len(taken) == len(set(taken))
    assert set(taken) >= {point for point in POINTS if not point.startswith(("baseline.", "intake.", "fixed."))}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", _WAYS)
async def test_paused_at_each_point_a_dethroned_leader_harms_nothing(
    crowd: Site, proxy: LnbitsProxy, way: str
) -> None:
    active = crowd.start()
    await crowd.has_logged("baseline.set")
    standby = crowd.start()
    await crowd.has_logged("leader.standby")
    groups = GROUPS if _OFTEN else GROUPS[:3] if way == "lock-lost" else GROUPS[:2]
    for step, points in groups:
        if SCENARIOS[step].at_start:  # comes by when a daemon becomes active
            crowd.plan("pause", points)
            await _dethrone(crowd, active)
            active, standby = standby, active
        await _paused(crowd, proxy, step, points)
        await _taken_over(crowd, proxy, step, active, lock_only=way == "lock-lost")
        active, standby = standby, active


async def _paused(site: Site, proxy: LnbitsProxy, step: str, points: tuple[str, ...]) -> None:
    """Has a payout wait at each of the points."""
    scenario = SCENARIOS[step]
    await scenario.provoke(site, proxy)
    if not scenario.at_start:
        site.plan("pause", points)
    site.cash_out(1)
    await eventually(lambda: all(site.at(point) for point in points))


async def _dethrone(site: Site, active: DaemonProcess) -> None:
    """Takes the lock from the active daemon, and waits until it stands by."""
    before = len(site.log.of("daemon.standing-by"))
    site.terminate(active, leader_only=True)
    await site.has_logged("daemon.standing-by", before + 1)


async def _taken_over(
    site: Site, proxy: LnbitsProxy, step: str, frozen: DaemonProcess, *, lock_only: bool
) -> None:
    """The paused daemon is frozen and loses the lock, the other one does its work, and then it wakes up."""
    scenario = SCENARIOS[step]
    actives, standbys = (len(site.log.of(event)) for event in ("daemon.active", "daemon.standing-by"))
    frozen.signal(signal.SIGSTOP)
    await scenario.relieve(site, proxy)
    site.terminate(frozen, leader_only=lock_only)
    await site.has_logged("daemon.active", actives + 1)
    if lock_only:  # what the frozen one has begun in the books is in the way, until it wakes up
        await eventually(_Halt(site).reached)
    else:
        await site.settled()
    site.go_on()
    frozen.signal(signal.SIGCONT)
    await site.has_logged("daemon.standing-by", standbys + 1)
    await scenario.relieve(site, proxy)
    await site.settled()
    await site.assert_agrees()
    site.plan_nothing()


class _Halt:
    """Nothing goes on any more: all is done, or what is left waits for the locks of the frozen one."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lines = 0
        self._since = time.monotonic()

    async def reached(self) -> bool:
        lines = len(self._site.log.lines())
        if lines != self._lines:
            self._lines, self._since = lines, time.monotonic()
        quiet = time.monotonic() - self._since > QUIET_SECONDS
        return quiet and (self._somebody_waits_for_a_lock() or await self._nothing_is_open())

    async def _nothing_is_open(self) -> bool:
        states = "('reserved', 'invoiced', 'submitted', 'unknown')"
        return bool(await value(self._site.db, f"SELECT count(*) FROM payout WHERE state IN {states}") == 0)

    def _somebody_waits_for_a_lock(self) -> bool:
        with psycopg.connect(self._site.books_db.dsn) as conn:
            row = conn.execute(
                """SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'"""
            ).fetchone()
        return row is not None and row[0] > 0
