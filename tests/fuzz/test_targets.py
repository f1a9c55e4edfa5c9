"""Each target with the same inputs each time. Many more, and others: `make fuzz`."""

from __future__ import annotations

import pytest

from tests.fuzz.drawn import try_examples
from tests.fuzz.registry import Target, all_targets


@pytest.mark.parametrize("tried", all_targets().values(), ids=lambda tried: tried.name)
def test_whatever_comes_in(tried: Target) -> None:
    try_examples(tried, tried.examples, repeatable=True)
