"""All fault points, from the names that the program declares."""

from __future__ import annotations

from typing import get_args

from dca_daemon.fault_points import CallStep, CommitStep

COMMIT_STEPS: tuple[CommitStep, ...] = get_args(CommitStep)
CALL_STEPS: tuple[CallStep, ...] = get_args(CallStep)
STEPS: tuple[str, ...] = (*COMMIT_STEPS, *CALL_STEPS)


def points_of(step: str) -> tuple[str, str]:
    """The point before a step, and the one after it."""
    kind = "commit" if step in COMMIT_STEPS else "call"
    return f"{step}.before-{kind}", f"{step}.after-{kind}"


POINTS = tuple(point for step in STEPS for point in points_of(step))
