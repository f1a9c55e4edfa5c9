"""Fixtures for every room; each family has its own module under tests/fixtures."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from dca_daemon.runtime.logging import count_events_with, listen_with
from dca_daemon.runtime.redaction import forget_secrets

pytest_plugins = [
    "tests.fixtures.argon",
    "tests.fixtures.postgres",
    "tests.fixtures.sshd",
    "tests.fixtures.books",
    "tests.fixtures.lnbits",
]


@pytest.fixture(autouse=True)
def logging_afresh() -> Iterator[None]:
    """A command that runs within a test sets the process's logging up: the next test must not inherit it."""
    yield
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, "is_ours", False):
            root.removeHandler(handler)
    root.setLevel(logging.WARNING)
    logging.captureWarnings(False)
    count_events_with(None)
    listen_with(None)
    forget_secrets()
    structlog.reset_defaults()
