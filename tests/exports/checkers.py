"""The accountants' programs themselves: Beancount in this process, hledger as it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from beancount import loader

HLEDGER = shutil.which("hledger")
needs_hledger = pytest.mark.skipif(HLEDGER is None, reason="hledger is not installed: apt-get install hledger")


def beancount_errors(text: str) -> list[str]:
    """What bean-check would say of this file."""
    _, errors, _ = loader.load_string(text)
    return [str(error.message) for error in errors]


def beancount_entries(text: str) -> list[Any]:
    """What Beancount reads in it. It must find nothing wrong."""
    entries, errors, _ = loader.load_string(text)
    assert not errors, errors
    return list(entries)


def hledger(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs hledger on the file."""
    assert HLEDGER is not None
    return subprocess.run(
        [HLEDGER, "-f", str(path), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
    )
