"""PostgreSQL's own processes, one for each connection: found, ended, frozen."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import psycopg
import pytest

SOAK = os.environ.get("DCA_TEST_SOAK", "") not in ("", "0")  # longer rounds: `make soak`


def rounds(usual: int, soak: int) -> int:
    """How often to do it: as always, or when there is time."""
    return soak if SOAK else usual


@dataclass(frozen=True)
class Backend:
    """One connection of a daemon, as the server sees it."""

    pid: int
    application: str
    client_port: int
    wait_event: str | None


def backends(admin_dsn: str, application: str = "dca-daemon%") -> list[Backend]:
    """The connections of these applications to this database."""
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        found = conn.execute(
            """SELECT pid, application_name, client_port, wait_event FROM pg_stat_activity
                WHERE datname = current_database() AND application_name LIKE %s AND pid <> pg_backend_pid()
                ORDER BY pid""",
            (application,),
        ).fetchall()
    return [Backend(*row) for row in found]


def of_daemon(admin_dsn: str, daemon: subprocess.Popen[bytes]) -> list[Backend]:
    """The connections of one daemon."""
    ports = {c.laddr.port for c in psutil.Process(daemon.pid).net_connections("inet")}
    return [backend for backend in backends(admin_dsn) if backend.client_port in ports]


def terminate(admin_dsn: str, pid: int) -> None:
    """Ends one connection, as an administrator would."""
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        conn.execute("SELECT pg_terminate_backend(%s)", (pid,))


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process stands still: its link is up, and nothing is ever answered."""
    try:
        os.kill(pid, signal.SIGSTOP)
    except (ProcessLookupError, PermissionError):
        pytest.skip("the PostgreSQL server is not a process of this machine's")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
