"""What the runtime's tests share: an environment of their own, logging put back as it was."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from dca_daemon.runtime import logging as our_logging
from dca_daemon.runtime import settings_sources
from dca_daemon.runtime.redaction import forget_secrets


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


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Puts the process-wide logging back as a test found it."""
    yield
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, "is_ours", False):
            root.removeHandler(handler)
    root.setLevel(logging.WARNING)
    logging.captureWarnings(False)
    our_logging.count_events_with(None)
    forget_secrets()
    structlog.reset_defaults()
