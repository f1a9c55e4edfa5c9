"""The version of this program."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("SQLAlchemy", "psycopg", "httpx", "fastapi", "uvicorn", "pydantic", "structlog", "cryptography")


@functools.cache
def versions() -> dict[str, str]:
    """Of this program, of Python, and of the libraries that most depends on."""
    return {
        "dca-daemon": program_version(),
        "Python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def program_version() -> str:
    """The installed version; `unknown` in a source tree that was never installed."""
    try:
        return version("dca-daemon")
    except PackageNotFoundError:
        return "unknown"
