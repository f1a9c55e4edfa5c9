"""An outage is tried again with patience, and told with restraint."""

from __future__ import annotations

import pytest

from dca_daemon.lamassu import outage as outage_module
from dca_daemon.lamassu.outage import Outage


class Clock:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(outage_module, "time", made)
    return made


def test_delays_grow_to_a_few_seconds_and_no_further(clock: Clock) -> None:
    outage = Outage()
    delays = []
    for _ in range(200):
        outage.failed()
        delays.append(outage.delay_seconds)
    assert 0.1 <= delays[0] <= 0.2
    assert all(2 <= delay <= 4 for delay in delays[10:])


def test_a_day_of_outage_is_a_few_lines_and_one_all_clear(clock: Clock) -> None:
    outage = Outage()
    told = 0
    for _ in range(24 * 60 * 2):
        told += outage.failed()
        clock.seconds += 30
    assert 20 <= told <= 32
    assert outage.recovered() == 24 * 3600
    assert outage.recovered() is None
    assert outage.failed()  # a new outage is told at once


def test_there_is_no_all_clear_without_an_outage(clock: Clock) -> None:
    assert Outage().recovered() is None
