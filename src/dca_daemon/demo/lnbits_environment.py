"""The virtual environment in which LNbits lives, since it pins old libraries; made from `lnbits.lock` by uv."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from dca_daemon.domain.errors import ConfigError

LOCK_FILE = Path(__file__).with_name("lnbits.lock")


def is_installed(install_dir: Path) -> bool:
    """Whether the installation there was finished, with the lock file that we have now."""
    marker = install_dir / ".installed"
    return marker.is_file() and marker.read_text(encoding="utf-8") == _lock_digest()


def mark_installed(install_dir: Path) -> None:
    """To be called last: what was interrupted before starts over."""
    (install_dir / ".installed").write_text(_lock_digest(), encoding="utf-8")


def make_environment(install_dir: Path) -> None:
    """Makes `install_dir`/venv anew. Raises `ConfigError` with one line that says why it can't, or `OSError`."""
    install_dir.mkdir(parents=True, exist_ok=True)
    uv = _find_uv()
    venv = install_dir / "venv"
    _run([uv, "venv", "--quiet", "--clear", "--python", _python_for_lnbits(), str(venv)])
    python = str(venv / "bin" / "python")
    _run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, str(LOCK_FILE)])


def _lock_digest() -> str:
    return hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()


def _find_uv() -> str:
    beside_python = Path(sys.executable).with_name("uv")
    found = shutil.which("uv") or (str(beside_python) if beside_python.is_file() else None)
    if found is None:
        try:
            from uv import find_uv_bin

            found = find_uv_bin()
        except (ImportError, FileNotFoundError):
            raise ConfigError(
                "LNbits can't be installed: uv was not found",
                remedy="install the extra: pip install 'dca-daemon[demo]'",
            ) from None
    return found


def _python_for_lnbits() -> str:
    """Our own Python where it fits, else whichever uv can find."""
    return sys.executable if (3, 10) <= sys.version_info[:2] <= (3, 12) else ">=3.10,<3.13"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[:400] or f"exit status {done.returncode}"
        raise ConfigError(
            f"LNbits can't be installed: {reason}",
            remedy="it needs Python 3.10, 3.11 or 3.12 and the Python package index",
        )
