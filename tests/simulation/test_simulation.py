"""Some seeds of the simulation; `make simulate` runs ten thousand."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.auditor import ViolationError
from tests.simulation.planted import BUGS, Bug
from tests.simulation.trace import Trace
from tests.simulation.world import run_seed

SEEDS = 160
_BLOCK = 40
_SEEDS_TO_FIND_A_BUG = 100


@pytest.mark.parametrize("first", range(0, SEEDS, _BLOCK))
def test_whatever_happens_the_invariants_hold(first: int) -> None:
    totals: Counter[str] = Counter()
    for seed in range(first, first + _BLOCK):
        try:
            totals += run_seed(seed).counts()
        except BaseException as error:
            error.add_note(f"replay it: make simulate SEED={seed}")
            raise
    for fault in ("kill", "crash", "freeze", "lie", "database_away", "lnbits_killed", "lnbits_away"):
        assert totals[f"fault_{fault}"], f"no seed had the fault {fault}"
    assert totals["payouts_settled"] > _BLOCK


def test_a_seed_is_always_the_same_run() -> None:
    for seed in (3, 17):
        traces = [Trace(keep=True) for _ in range(2)]
        for trace in traces:
            run_seed(seed, trace=trace)
        assert list(traces[0].lines) == list(traces[1].lines)


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    bug = BUGS[name]
    seeds = range(bug.first_seed, bug.first_seed + _SEEDS_TO_FIND_A_BUG)
    found = next((seed for seed in seeds if _violates(seed, bug)), None)
    assert found is not None, f"no seed finds it: {name}"


def _violates(seed: int, bug: Bug) -> bool:
    try:
        with bug.planted():
            run_seed(seed, payout_books_class=bug.payout_books, booking=bug.booking)
    except ViolationError:
        return True
    return False
