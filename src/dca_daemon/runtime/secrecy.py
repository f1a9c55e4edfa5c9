"""Which files with our secrets others of this computer can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dca_daemon.runtime.settings import Settings
from dca_daemon.runtime.settings_model import SECTIONS
from dca_daemon.runtime.settings_sources import Source

_OTHERS = 0o007


def exposed(settings: Settings) -> Iterator[tuple[Path, list[str]]]:
    """Each such file, with the secret settings that are in it. Files named by `x_file` are refused before."""
    secrets = [f"{name}.{key}" for name, cls in SECTIONS.items() for key in cls.secret_keys()]
    written = [key for key in secrets if settings.source_of(key) is Source.FILE]
    if settings.config_path is not None and written and _readable_by_others(settings.config_path):
        yield settings.config_path, written
    folder = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere"))
    for key in secrets:
        if settings.source_of(key) is Source.CREDENTIAL and _readable_by_others(folder / key):
            yield folder / key, [key]


def _readable_by_others(path: Path) -> bool:
    """Also by whoever may pass the folders above it."""
    try:
        if not path.stat().st_mode & _OTHERS:
            return False
        return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)
    except OSError:
        return False
