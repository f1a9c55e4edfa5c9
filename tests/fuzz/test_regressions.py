"""Inputs that once broke something, through the same targets; atheris is not needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.registry import all_targets
from tests.fuzz.replay import replay

FILES = sorted(Path(__file__).with_name("regressions").iterdir())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_was_found_once_holds(path: Path) -> None:
    replay(path)


def test_each_file_belongs_to_a_target() -> None:
    assert FILES
    assert {path.name.partition("-")[0] for path in FILES} <= all_targets().keys()
