"""PostgreSQL's own programs: which of those on this computer may be used, and running them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dca_daemon.domain.errors import BackupError

T = TypeVar("T")
_INSTALLED = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin")
_OURS = ("DCA_", "CREDENTIALS_DIRECTORY")  # what we were given is no business of theirs


@dataclass(frozen=True, slots=True)
class Programs:
    """A pg_dump and the pg_restore beside it."""

    folder: Path
    major: int

    @property
    def dump(self) -> Path:
        return self.folder / "pg_dump"

    @property
    def restore(self) -> Path:
        return self.folder / "pg_restore"


def find(least_major: int, folder: Path | None, *, root: Path = Path("/")) -> Programs:
    """The oldest that is not older than `least_major`, since a newer one may write what an older server refuses.

    Raises `BackupError` that says which there are.
    """
    found = [
        Programs(place, major)
        for place in ([folder] if folder is not None else _places(root))
        if (major := _major(place)) is not None
    ]
    fitting = sorted((one for one in found if one.major >= least_major), key=lambda one: one.major)
    if fitting:
        return fitting[0]
    where = f"in {folder}" if folder is not None else "on this computer"
    there = (
        f"only those of PostgreSQL {', '.join(str(m) for m in sorted({o.major for o in found}))}"
        if found
        else "none"
    )
    raise BackupError(
        f"pg_dump and pg_restore of PostgreSQL {least_major} or newer are needed; {where} there are {there}",
        remedy=f"install postgresql-client-{least_major}, or name their folder in backup.pg_bin",
    )


def _places(root: Path) -> Iterator[Path]:
    in_path = shutil.which("pg_dump")
    if in_path:
        yield Path(in_path).parent
    for pattern in _INSTALLED:
        yield from sorted(root.glob(pattern))


def _major(folder: Path) -> int | None:
    if not (folder / "pg_restore").exists():
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a path that the operator's own system names
            [folder / "pg_dump", "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(version[1]) if done.returncode == 0 and version else None


@dataclass(frozen=True, slots=True)
class Login:
    """How a program reaches a database: what may be seen in a list of processes, and what may not."""

    dbname: str
    password: str | None

    @classmethod
    def of(cls, dsn: str) -> Login:
        """From a DSN. Raises `BackupError`."""
        parts = {key: value for key, value in conninfo_to_dict(dsn).items() if value is not None}
        if "sslpassword" in parts:
            raise BackupError(
                "pg_dump can't be given an sslpassword without showing it to others",
                remedy="use a client key without a passphrase",
            )
        password = parts.pop("password", None)
        return cls(make_conninfo("", **parts), None if password is None else str(password))

    @property
    def environment(self) -> dict[str, str]:
        """For the program: without our own secrets."""
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_OURS)}
        more = {} if self.password is None else {"PGPASSWORD": self.password}
        return {**kept, **more, "LC_ALL": "C", "PGAPPNAME": "dca-backup", "PGCONNECT_TIMEOUT": "10"}


def read_from(
    command: Sequence[str | Path], login: Login, timeout_seconds: float, use: Callable[[IO[bytes]], T]
) -> T:
    """What `use` makes of the program's output. Raises `BackupError` when the program fails, whatever it wrote."""
    with _running(command, login, timeout_seconds, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        return use(process.stdout)


def write_to(
    command: Sequence[str | Path], login: Login | None, timeout_seconds: float, feed: Callable[[IO[bytes]], object]
) -> None:
    """Feeds the program's input. That it stops to read is its own affair. Raises `BackupError` when it fails."""
    with _running(command, login, timeout_seconds, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            feed(process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass


@contextmanager
def _running(
    command: Sequence[str | Path],
    login: Login | None,
    timeout_seconds: float,
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    program = Path(command[0]).name
    environment = (login or Login("", None)).environment
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - the program that `find` found
            [str(part) for part in command], stdin=stdin, stdout=stdout, stderr=errors, env=environment
        )
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout_seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            yield process
            status = process.wait()
        finally:
            timer.cancel()
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    _close(pipe)
            process.wait()
        if late.is_set():
            raise BackupError(
                f"{program} took longer than {timeout_seconds:g} s", remedy="raise backup.timeout_seconds"
            )
        if status != 0:
            errors.seek(0)
            raise BackupError(f"{program} failed: {_reason(errors.read(100_000), status)}")


def _close(pipe: IO[bytes]) -> None:
    with suppress(OSError):  # what was left in our buffer can't be written to who is gone
        pipe.close()


def _reason(output: bytes, status: int) -> str:
    """The first error, without the rows that a server quotes in its further lines."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    first = next((line for line in lines if "error:" in line), lines[0] if lines else f"exit status {status}")
    return first.partition("error: ")[2] or first
