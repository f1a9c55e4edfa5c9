"""The folder that a demo lives in: a temporary one that disappears, or one that the user named, which stays."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dca_daemon.domain.errors import ConfigError, DcaError

_LOGS = (Path("daemon.log"), Path("lnbits/lnbits.log"))


class FailedError(DcaError):
    """A step failed, and here is where to look."""

    code = "demo"


@contextlib.contextmanager
def demo_folder(named: Path | None) -> Iterator[Path]:
    """The folder. After a failure the logs are kept, and the error names them."""
    folder = _checked(named.absolute()) if named else Path(tempfile.mkdtemp(prefix="dca-demo-"))
    try:
        yield folder
    except DcaError as error:
        logs = _kept_logs(folder, move=named is None)
        if not logs:
            raise
        raise FailedError(str(error), remedy=f"logs: {', '.join(map(str, logs))}") from error
    finally:
        if named is None:
            shutil.rmtree(folder, ignore_errors=True)


def _checked(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        used = any(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"the demo can't use {folder}: {error.strerror}") from None
    if used:
        raise ConfigError(f"{folder} is not empty", remedy="give the demo a folder of its own")
    return folder


def _kept_logs(folder: Path, *, move: bool) -> list[Path]:
    found = [folder / log for log in _LOGS if (folder / log).is_file()]
    if not move or not found:
        return found
    kept = Path(tempfile.mkdtemp(prefix="dca-demo-failed-"))
    return [Path(shutil.copy2(log, kept)) for log in found]
