"""Pacing, by a clock of our own: no test waits."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dca_daemon.payouts.pacing import MAX_PAUSE_SECONDS, WINDOW_SECONDS, Pacer, SlowerPacer

PATH = "/api/v1/payments"


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def paced(limit: int) -> tuple[Pacer, Clock]:
    clock = Clock()
    return Pacer(limit, clock=clock, sleep=clock.sleep), clock


async def test_below_the_rate_nothing_waits() -> None:
    pacer, clock = paced(5)
    for _ in range(5):
        await pacer.wait_turn(PATH)
    assert clock.now == 1_000.0


async def test_one_more_waits_for_the_window_to_pass() -> None:
    pacer, clock = paced(5)
    for _ in range(6):
        await pacer.wait_turn(PATH)
    assert WINDOW_SECONDS <= clock.now - 1_000.0 < WINDOW_SECONDS + 1


async def test_paths_are_counted_apart_as_lnbits_does() -> None:
    pacer, clock = paced(1)
    await pacer.wait_turn(PATH)
    await pacer.wait_turn("/api/v1/wallet")
    assert clock.now == 1_000.0


async def test_zero_means_no_limit_of_ours() -> None:
    pacer, clock = paced(0)
    for _ in range(1_000):
        await pacer.wait_turn(PATH)
    assert clock.now == 1_000.0


@given(limit=st.integers(1, 10), gaps=st.lists(st.floats(0, 40), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_window_of_lnbits_ever_holds_more_than_the_limit(limit: int, gaps: list[float]) -> None:
    """Wherever its windows begin, so also right after a restart of either side."""

    async def run() -> list[float]:
        pacer, clock = paced(limit)
        sent_at = []
        for gap in gaps:
            clock.now += gap
            await pacer.wait_turn(PATH)
            sent_at.append(clock.now)
        return sent_at

    sent_at = asyncio.run(run())
    for start in sent_at:
        assert sum(start <= moment < start + WINDOW_SECONDS for moment in sent_at) <= limit


async def test_after_a_refusal_the_path_waits_as_long_as_it_was_told() -> None:
    pacer, clock = paced(100)
    await pacer.wait_turn(PATH)
    assert pacer.refused(PATH, 7.0) == 7.0
    await pacer.wait_turn("/other")
    assert clock.now == 1_000.0, "the other paths go on"
    await pacer.wait_turn(PATH)
    assert clock.now == pytest.approx(1_007.0)


async def test_without_a_word_it_waits_out_the_window() -> None:
    pacer, clock = paced(100)
    await pacer.wait_turn(PATH)
    clock.now += 20
    assert pacer.refused(PATH, None) == pytest.approx(40, abs=1)


async def test_another_programs_traffic_makes_us_wait_a_whole_window() -> None:
    pacer, clock = paced(0)
    assert pacer.refused(PATH, None) == pytest.approx(60, abs=1)
    await pacer.wait_turn(PATH)
    assert clock.now - 1_000.0 >= 60


@pytest.mark.parametrize(("asked", "kept"), [(0.0, 1.0), (1e9, MAX_PAUSE_SECONDS)])
async def test_an_odd_wish_is_bounded(asked: float, kept: float) -> None:
    pacer, _ = paced(1)
    assert pacer.refused(PATH, asked) == kept


async def test_waiters_are_served_in_order_and_may_give_up() -> None:
    released = asyncio.Event()
    clock = Clock()

    async def sleep(seconds: float) -> None:
        await released.wait()
        clock.now += seconds

    pacer = Pacer(1, clock=clock, sleep=sleep)
    await pacer.wait_turn(PATH)
    served: list[str] = []

    async def wait(name: str) -> None:
        await pacer.wait_turn(PATH)
        served.append(name)

    first, second, third = (asyncio.create_task(wait(name)) for name in ("first", "second", "third"))
    await asyncio.sleep(0)
    second.cancel()
    released.set()
    await asyncio.gather(first, third)
    assert served == ["first", "third"]
    assert second.cancelled() or second.cancelling()
    await asyncio.gather(second, return_exceptions=True)


async def test_a_slower_pace_within_another_leaves_the_most_of_it_free() -> None:
    outer, clock = paced(10)
    slower = SlowerPacer(3, outer)
    for _ in range(3):
        await slower.wait_turn(PATH)
    for _ in range(7):
        await outer.wait_turn(PATH)
    assert clock.now == 1_000.0, "seven of ten are left to the other"
    await slower.wait_turn(PATH)
    assert clock.now >= 1_000.0 + WINDOW_SECONDS
    outer, clock = paced(3)
    slower = SlowerPacer(5, outer)
    for _ in range(4):
        await slower.wait_turn(PATH)
    assert clock.now >= 1_000.0 + WINDOW_SECONDS, "both together keep to the outer pace"


async def test_a_refusal_of_the_slower_one_makes_everybody_wait() -> None:
    outer, clock = paced(0)
    SlowerPacer(3, outer).refused(PATH, 7)
    await outer.wait_turn(PATH)
    assert clock.now == 1_007.0
