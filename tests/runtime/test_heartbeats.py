"""Who is silent for too long is found out."""

from __future__ import annotations

from dca_daemon.runtime.heartbeats import Heartbeats


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_silent_service_is_stale_until_it_beats() -> None:
    clock = Clock()
    beats = Heartbeats({"scanner": 10, "payer": 30}, clock=clock)
    assert beats.fresh()
    clock.now += 10
    assert beats.fresh()
    clock.now += 1
    assert beats.stale() == {"scanner": 11} and not beats.fresh()
    beats.beat("scanner")
    assert beats.fresh()


def test_who_left_is_not_waited_for() -> None:
    clock = Clock()
    beats = Heartbeats(clock=clock)
    beats.register("scanner", 1)
    clock.now += 5
    beats.unregister("scanner")
    beats.beat("scanner")
    clock.now += 5
    assert beats.fresh()
