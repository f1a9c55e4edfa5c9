"""A Debian of its own in a container, booted by its own systemd; it shares this computer's network."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("debootstrap", "systemd-nspawn", "nsenter")
_INCLUDED = "systemd,systemd-sysv,dbus,ca-certificates,sudo"  # what a server's Debian has anyway
_BOOT_SECONDS = 60
_PASSED_ON = ("PIP_CERT", "PIP_INDEX_URL", "HTTPS_PROXY")  # how packages are reached from here
_ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
}


class Failed(Exception):
    """A step did not come out as it must."""


def missing() -> str | None:
    """Why it can't be done here."""
    if os.geteuid() != 0:
        return "it needs root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"missing: {', '.join(absent)} (apt-get install debootstrap systemd-container)" if absent else None


class Machine:
    """The booted one."""

    def __init__(self, root: Path, leader: int) -> None:
        self.root = root
        self._leader = leader

    def run(self, *command: str, given: str = "", may_fail: bool = False, **environment: str) -> str:
        """What a command says on stdout. Raises `Failed`, with all that it said."""
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        done = subprocess.run(
            ["nsenter", "--target", str(self._leader), "--all", *command],
            env={**_ENVIRONMENT, **passed_on, **environment},
            input=given,
            capture_output=True,
            text=True,
        )
        if done.returncode and not may_fail:
            raise Failed(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def sql(self, database: str, text: str) -> str:
        """As PostgreSQL's superuser."""
        command = ("sudo", "-u", "postgres", "psql", "-qAt", "-v", "ON_ERROR_STOP=1", database)
        return self.run(*command, given=text)

    def state(self, unit: str, what: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", what, unit).strip()

    def has(self, path: str) -> bool:
        """Whether a file is there, seen from outside: links are not followed."""
        return os.path.lexists(self.root / path.lstrip("/"))


def base(folder: Path) -> Path:
    """An empty Debian, made once."""
    done = folder / "done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        release = platform.freedesktop_os_release()
        suite = release["VERSION_CODENAME"] if release["ID"] == "debian" else "stable"
        command = ["debootstrap", "--variant=minbase", f"--include={_INCLUDED}", suite, str(folder / "root")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        done.touch()
    return folder / "root"


@contextlib.contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Starts it, and takes it down at the end."""
    binds = [f"--bind-ro={path}" for name in _PASSED_ON if Path(path := os.environ.get(name, "")).is_file()]
    command = ["systemd-nspawn", "--quiet", "--boot", f"--directory={root}", "--register=no", "--keep-unit"]
    nothing = subprocess.DEVNULL
    with subprocess.Popen(
        [*command, "--console=pipe", *binds], stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    ) as container:
        try:
            yield _up(root, container)
        finally:
            container.terminate()
            try:
                container.wait(_BOOT_SECONDS)
            except subprocess.TimeoutExpired:
                container.kill()


def _up(root: Path, container: subprocess.Popen[bytes]) -> Machine:
    deadline = time.monotonic() + _BOOT_SECONDS
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
    while time.monotonic() < deadline and container.poll() is None:
        if pids := children.read_text().split():
            machine = Machine(root, int(pids[0]))
            if machine.run("systemctl", "is-system-running", may_fail=True).strip() in ("running", "degraded"):
                return machine
        time.sleep(0.2)
    raise Failed("the machine did not come up: has this computer a systemd that may start containers?")
