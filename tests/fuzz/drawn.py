"""A target, driven by Hypothesis: which shrinks what it finds, and needs no compiled part."""

from __future__ import annotations

import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.choices import DrawnChoices
from tests.fuzz.registry import Target, attempt

_BATCH = 1_000


def try_examples(tried: Target, count: int, *, repeatable: bool) -> None:
    """So many inputs: always the same ones, or new ones each time."""

    @settings(
        max_examples=count,
        derandomize=repeatable,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def anything(data: st.DataObject) -> None:
        attempt(tried, DrawnChoices(data))

    anything()


def try_for(tried: Target, seconds: float) -> int:
    """New inputs for so long; how many."""
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        try_examples(tried, _BATCH, repeatable=False)
        count += _BATCH
    return count
