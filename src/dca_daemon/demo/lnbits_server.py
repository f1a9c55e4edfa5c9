"""A real LNbits of our own for the demo and the tests: installs it, runs it, ends it.

LNbits pins old libraries, so it lives in a virtual environment of its own, made from `lnbits.lock`.
`python -m dca_daemon.demo.lnbits_server install DIR` makes DIR with that environment and with a data folder
that is already set up, which later starts copy.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.demo.lnbits_environment import is_installed, make_environment, mark_installed
from dca_daemon.domain.errors import ConfigError, DcaError

__all__ = ["SUPER_USER", "LnbitsServer", "install", "is_installed"]

CHILD = Path(__file__).with_name("lnbits_child.py")
SUPER_USER = "operator"
START_ATTEMPTS = 3

# What counts at the first start of a data folder: no rate limit worth the name, nothing that goes out to the
# network, no extensions.
ENVIRONMENT = {
    "LNBITS_BACKEND_WALLET_CLASS": "FakeWallet",
    "LNBITS_ADMIN_UI": "true",
    "AUTH_HTTPS_ONLY": "false",
    "LNBITS_RATE_LIMIT_NO": "1000000",
    "LNBITS_RATE_LIMIT_UNIT": "second",
    "LNBITS_PRICE_AGGREGATOR_ENABLED": "false",
    "LNBITS_EXCHANGE_RATE_PROVIDERS": "[]",
    "LNBITS_EXCHANGE_HISTORY_SIZE": "0",
    "LNBITS_EXTENSIONS_DEACTIVATE_ALL": "true",
    "LNBITS_EXTENSIONS_MANIFESTS": "[]",
    "LNBITS_WASM_EXTENSIONS_MANIFESTS": "[]",
    "LNBITS_AUDIT_ENABLED": "false",
    "LNBITS_LNURL_ALLOW_PRIVATE_IPS": "true",
    "ENABLE_LOG_TO_FILE": "false",
}


def install(install_dir: Path) -> None:
    """Makes `install_dir` ready, unless it is. Raises `ConfigError` with one line that says why not."""
    if is_installed(install_dir):
        return
    try:
        _install(install_dir)
    except OSError as error:
        raise ConfigError(f"LNbits can't be installed in {install_dir}: {error.strerror}") from error


def _install(install_dir: Path) -> None:
    make_environment(install_dir)
    _make_template(install_dir)
    mark_installed(install_dir)


def _make_template(install_dir: Path) -> None:
    """Starts LNbits once on an empty data folder and sets it up: copies of it start twice as fast."""
    template = install_dir / "template"
    shutil.rmtree(template, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="lnbits-template-") as work:
        server = LnbitsServer(install_dir, Path(work), password=secrets.token_urlsafe(24))
        try:
            server.start()
            server.first_install()
        finally:
            server.stop()
        shutil.copytree(server.data_dir / "data", template / "data")
        shutil.copy2(server.data_dir / "super-user.json", template / "super-user.json")


class LnbitsServer(LnbitsAdmin):
    """One LNbits as a process of ours on loopback, with the calls of its super user.

    It ends with the process `owner_pid` (by default this one), however that ends. Its money, wallets and
    settings are in `data_dir` and outlast `restart`. Not for use from several threads at once.
    """

    def __init__(
        self,
        install_dir: Path,
        data_dir: Path,
        port: int = 0,
        *,
        password: str | None = None,
        owner_pid: int | None = None,
        start_timeout_seconds: float = 90,
    ) -> None:
        self.install_dir = install_dir.resolve()
        self.data_dir = data_dir.resolve()
        self._wanted_port = port
        self._owner_pid = owner_pid or os.getpid()
        self._start_timeout_seconds = start_timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        password = self._prepare_folder(password)
        super().__init__(f"http://127.0.0.1:{port}", username=SUPER_USER, password=password)

    @property
    def pid(self) -> int | None:
        """The number of the running process."""
        return self._process.pid if self._process is not None else None

    @property
    def super_user_password(self) -> str:
        """For another process that attaches with `LnbitsAdmin`."""
        return self._password

    def start(self) -> None:
        """Starts LNbits and waits until it answers. Raises `DcaError` with the end of its log if it won't."""
        for attempt in range(1, START_ATTEMPTS + 1):
            port = self._wanted_port or _free_port()
            _check_free(port)  # else whoever has it would answer in our place
            self._spawn(port)
            if self._wait_until_ready():
                self._wanted_port = port  # a restart comes back at the same place
                return
            self.stop()
            port_was_taken = "address already in use" in self._log_tail().lower()
            if self._wanted_port or not port_was_taken or attempt == START_ATTEMPTS:
                break
        raise DcaError(f"LNbits did not start: {self._log_tail()[-300:]!r}", remedy=f"see {self._log_path}")

    def stop(self, timeout_seconds: float = 10) -> None:
        """Asks it to end, and kills it when it does not in time."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Ends it at once, in the middle of whatever it does, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freezes it: connections open, nothing is answered, until `resume`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused one go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stops and starts it on the same port and data."""
        self.stop()
        self.start()

    def __enter__(self) -> LnbitsServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepare_folder(self, password: str | None) -> str:
        """Fills a new folder from the template, links static files. Returns the super user's password."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        secret_file = self.data_dir / "super-user.json"
        if password is not None:
            secret_file.touch(mode=0o600)
            secret_file.write_text(json.dumps({"password": password}), encoding="utf-8")
        elif not secret_file.exists():
            template = self.install_dir / "template"
            if not is_installed(self.install_dir):
                raise ConfigError(
                    f"LNbits is not installed in {self.install_dir}",
                    remedy=f"python -m dca_daemon.demo.lnbits_server install {self.install_dir}",
                )
            shutil.copytree(template, self.data_dir, dirs_exist_ok=True)
        static = self.data_dir / "lnbits" / "static"
        static.parent.mkdir(exist_ok=True)
        if not static.is_symlink():
            static.symlink_to(self._package_dir() / "static")
        known: str = json.loads(secret_file.read_text(encoding="utf-8"))["password"]
        return known

    def _package_dir(self) -> Path:
        found = next((self.install_dir / "venv" / "lib").glob("python3.*/site-packages/lnbits"), None)
        if found is None:
            raise ConfigError(f"there is no LNbits in {self.install_dir}", remedy="remove it and install again")
        return found

    def _spawn(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ},
            **ENVIRONMENT,
            "HOME": str(self.data_dir),
            "LNBITS_DATA_FOLDER": str(self.data_dir / "data"),
            "LNBITS_EXTENSIONS_PATH": str(self.data_dir / "lnbits"),
            "LNBITS_BASEURL": self.url,
        }
        python = str(self.install_dir / "venv" / "bin" / "python")
        server = ["lnbits.__main__:app", "--host", "127.0.0.1", "--port", str(port)]
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [python, str(CHILD), str(self._owner_pid), *server],
                cwd=self.data_dir,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for the owner, who then stops us
            )

    def _wait_until_ready(self) -> bool:
        """True once it answers; False when it ended or took too long."""
        deadline = time.monotonic() + self._start_timeout_seconds
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            try:
                httpx.get(self.url + "/api/v1/health", timeout=5, trust_env=False)
                return True
            except httpx.TransportError:
                time.sleep(0.05)
        return False

    @property
    def _log_path(self) -> Path:
        return self.data_dir / "lnbits.log"

    def _log_tail(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace")[-2000:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DcaError(f"LNbits did not start: port {port} of 127.0.0.1: {error.strerror}") from error


def main(arguments: list[str]) -> int:
    """The command line: `install DIR`."""
    if len(arguments) != 2 or arguments[0] != "install":
        print("usage: python -m dca_daemon.demo.lnbits_server install DIR", file=sys.stderr)
        return 2
    try:
        install(Path(arguments[1]))
    except DcaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
