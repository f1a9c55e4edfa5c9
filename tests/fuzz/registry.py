"""All targets by name, and how one input is tried."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from tests.fuzz.choices import Choices

Check = Callable[[Choices], None]

MAX_SECONDS = 1.0  # of processor time, for any single input
GUIDED_MAX_SECONDS = 8.0  # the same, where every branch is counted
_MODULES = ("rows", "typed", "settings", "invoices", "lnurl", "lnbits")


class Target(NamedTuple):
    """`examples`: how many Hypothesis tries in `make test`."""

    name: str
    check: Check
    examples: int


_targets: dict[str, Target] = {}


def target(name: str, *, examples: int) -> Callable[[Check], Check]:
    """Registers a function that takes `Choices` and raises when something does not hold."""

    def register(check: Check) -> Check:
        _targets[name] = Target(name, check, examples)
        return check

    return register


def all_targets() -> dict[str, Target]:
    """Every target there is."""
    for module in _MODULES:
        import_module(f"tests.fuzz.targets_{module}")
    return _targets


def attempt(tried: Target, choices: Choices, max_seconds: float = MAX_SECONDS) -> None:
    """One input. Raises whatever the target raises, and `AssertionError` when it took too long."""
    began = time.process_time()
    tried.check(choices)
    seconds = time.process_time() - began
    assert seconds < max_seconds, f"one input took {seconds:.1f} s"
