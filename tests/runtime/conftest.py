"""What the runtime's tests share: an environment of their own, logging put back as it was."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dca_daemon.runtime import logging as our_logging
from dca_daemon.runtime import settings_sources


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No `DCA_` variable, no credentials, no configuration file to be found; the current folder, empty."""
    for name in list(os.environ):
        if name.upper().startswith("DCA_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings_sources, "SEARCH_PATHS", (Path("etc/config.toml"), Path("config.toml")))
    return tmp_path


@pytest.fixture
def logged() -> Callable[[], list[dict[str, Any]]]:
    """Logs as JSON into memory from level debug on; gives the lines so far."""
    stream = io.StringIO()
    our_logging.configure_logging(level="debug", format="json", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
