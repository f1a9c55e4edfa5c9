"""Tries one file again. Its name begins with its target's, as `crash` files and regressions do."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.choices import BytesChoices
from tests.fuzz.registry import all_targets, attempt


def replay(path: Path) -> None:
    """Raises what the input raises."""
    name = path.name.partition("-")[0]
    attempt(all_targets()[name], BytesChoices(path.read_bytes()))
