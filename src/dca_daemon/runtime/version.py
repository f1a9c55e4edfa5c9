"""The version of this program."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """The installed version; `unknown` in a source tree that was never installed."""
    try:
        return version("dca-daemon")
    except PackageNotFoundError:
        return "unknown"
