"""Comparing at set times: once each, whatever the clock does; a fault only postpones it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

import pytest

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.runtime import reconciler as module
from dca_daemon.runtime.reconciler import Reconciler, latest_slot
from dca_daemon.services.reconciliation.findings import COMPARED, Difference, Kind, Reconciliation

TIMES = (time_of_day(4, 10), time_of_day(16, 10))
Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone with summer time: it began on 2026-03-08 and ended on 2026-11-01, at 2 o'clock."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone()


def result(differences: int = 0, away: str | None = None) -> Reconciliation:
    return Reconciliation(
        began_at=datetime(2026, 1, 1, tzinfo=UTC),
        since=None,
        compared=dict.fromkeys(COMPARED, 0),
        counts={Kind.PAYMENT_MISSING: differences} if differences else {},
        differences=tuple(
            Difference(Kind.PAYMENT_MISSING, f"number {n}", payout_id=f"p{n}") for n in range(differences)
        ),
        notes=(),
        not_compared={"payments": away} if away else {},
    )


class Bench:
    """A reconciler, the clocks that it sees, and what its comparisons come to: agreement, if nothing is said."""

    def __init__(self, now: str, done: str) -> None:
        self.now = local(now)
        self.seconds = 1_000.0
        self.done = local(done)
        self.results: list[Reconciliation | Exception] = []
        self.compared_at: list[datetime] = []
        self.restart()

    def restart(self) -> None:
        self.reconciler = Reconciler(
            self.compare, self.done_at, TIMES, now=lambda: self.now, clock=lambda: self.seconds
        )

    async def compare(self) -> Reconciliation:
        self.compared_at.append(self.now)
        found = self.results.pop(0) if self.results else result()
        if isinstance(found, Exception):
            raise found
        if found.complete:
            self.done = self.now
        return found

    async def done_at(self) -> datetime:
        return self.done

    async def at(self, text: str) -> bool:
        """Whether it compares when it looks at that time."""
        self.now = local(text)
        return await self.reconciler.look()


async def test_each_set_time_is_served_once() -> None:
    bench = Bench("2026-01-10T03:00", done="2026-01-09T16:11")
    asked = ["10T04:09:59", "10T04:10", "10T04:10:30", "10T12:00", "10T16:12", "10T23:59", "11T04:00", "11T04:11"]
    served = [await bench.at(f"2026-01-{text}") for text in asked]
    assert served == [False, True, False, False, True, False, False, True]


async def test_of_several_missed_times_one_is_caught_up() -> None:
    bench = Bench("2026-01-20T03:00", done="2026-01-02T16:11")
    assert await bench.at("2026-01-20T03:00:30")
    assert not await bench.at("2026-01-20T03:01")
    assert await bench.at("2026-01-20T04:10")


async def test_a_new_installation_begins_with_the_next_time() -> None:
    bench = Bench("2026-01-20T05:00", done="2026-01-20T05:00")
    assert not await bench.at("2026-01-20T05:10")
    assert await bench.at("2026-01-20T16:10")


async def test_a_restart_does_not_repeat_what_was_done() -> None:
    bench = Bench("2026-01-20T04:10", done="2026-01-19T16:10")
    assert await bench.at("2026-01-20T04:10:05")
    bench.restart()
    assert not await bench.at("2026-01-20T04:10:30")
    assert await bench.at("2026-01-20T16:10:30")


async def test_a_clock_that_jumps_serves_no_time_twice() -> None:
    bench = Bench("2026-01-20T04:10", done="2026-01-19T16:10")
    assert await bench.at("2026-01-20T04:10:05")
    assert not await bench.at("2026-01-20T03:10")
    assert not await bench.at("2026-01-20T04:10:05")
    assert await bench.at("2026-01-25T09:00"), "ahead by days: one"
    assert not await bench.at("2026-01-25T09:01")


async def test_a_clock_that_was_years_ahead_does_not_silence_it_for_years() -> None:
    bench = Bench("2031-01-20T04:10", done="2026-01-19T16:10")
    assert await bench.at("2031-01-20T04:10:05")
    assert not await bench.at("2026-01-20T09:00")
    assert await bench.at("2026-01-20T16:10:05")


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
async def test_when_summer_time_begins_or_ends_each_time_is_served_once(day: str) -> None:
    times = (time_of_day(2, 30), time_of_day(4, 10))  # in March there is no 02:30, in November two
    start = local(f"{day}T00:00")
    slots = {latest_slot(start + timedelta(minutes=5 * n), times) for n in range(12, 24 * 12)}
    assert len(slots) == 3, "yesterday's last, and today's two"
    following = latest_slot(start + timedelta(hours=25), times)
    assert following in slots, "the day after, the same instants are computed"


def test_without_times_there_is_none() -> None:
    assert latest_slot(local("2026-01-20T04:10"), ()) is None


async def test_a_partner_away_is_tried_again_and_told_once(logged: Logged) -> None:
    bench = Bench("2026-01-20T04:00", done="2026-01-19T16:10")
    bench.results = [result(2, away="LNbits"), result(2, away="LNbits"), DatabaseError("ours"), result(2)]
    assert await bench.at("2026-01-20T04:10")
    assert not await bench.at("2026-01-20T04:14:59")
    bench.seconds += 300
    assert await bench.at("2026-01-20T04:15")
    bench.seconds += 599
    assert not await bench.at("2026-01-20T04:24")
    bench.seconds += 1
    with pytest.raises(DatabaseError):
        await bench.at("2026-01-20T04:25")
    assert await bench.at("2026-01-20T04:26")
    assert not await bench.at("2026-01-20T04:27")
    events = [line["event"] for line in logged()]
    once = ["reconcile.difference", "reconcile.difference", "reconcile.differs"]
    assert events == [*once, "reconcile.failed", "reconcile.failed", *once]
    failed = [line for line in logged() if line["event"] == "reconcile.failed"]
    assert [line["retry_seconds"] for line in failed] == [300, 600]
    assert failed[0]["error"] == "payments: LNbits" and failed[0]["level"] == "warning"


async def test_what_came_of_it_is_logged(logged: Logged) -> None:
    bench = Bench("2026-01-20T04:00", done="2026-01-19T16:10")
    bench.results = [result(), result(30)]
    await bench.at("2026-01-20T04:10")
    (agrees,) = logged()
    assert (agrees["event"], agrees["level"]) == ("reconcile.agrees", "info")
    await bench.at("2026-01-20T16:10")
    lines = logged()[1:]
    assert [line["event"] for line in lines] == ["reconcile.difference"] * 20 + ["reconcile.differs"]
    assert {line["level"] for line in lines} == {"error"}
    assert (lines[0]["kind"], lines[0]["payout_id"], lines[0]["text"]) == ("payment-missing", "p0", "number 0")
    assert lines[0]["remedy"]
    assert (lines[-1]["differences"], lines[-1]["kinds"]) == (30, {"payment-missing": 30})


async def test_no_fault_ends_it(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_DELAY_SECONDS", 0)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0)
    bench = Bench("2026-01-20T04:10", done="2026-01-19T16:10")
    bench.results = [RuntimeError("a fault of ours"), DatabaseError("away")]
    running = asyncio.create_task(bench.reconciler.run())
    async with asyncio.timeout(60):
        while len(bench.compared_at) < 3:
            bench.seconds += 3_600
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    fault, away, agrees = logged()
    assert (fault["event"], fault["error"], "exception" in fault) == ("reconcile.failed", "a fault of ours", True)
    assert (away["event"], away["error"], "exception" in away) == ("reconcile.failed", "away", False)
    assert agrees["event"] == "reconcile.agrees"
