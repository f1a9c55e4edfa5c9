"""Where a report or an export goes: stdout, or a file that is there wholly or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dca_daemon.domain.errors import InputError

STDOUT = Path("-")


@contextmanager
def output_to(path: Path | None) -> Iterator[Callable[[str], object]]:
    """Gives a function that writes text. A file takes its name only once it is complete; only its owner can read
    it. Raises `InputError` where it can't be written."""
    if path is None or path == STDOUT:
        yield sys.stdout.write
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - a descriptor, no path
                yield file.write
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}") from None
