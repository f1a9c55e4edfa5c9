"""A PgBouncer of a test's own, in transaction mode, in front of one role's database."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.e2e.conftest import free_port

_INI = """
[databases]
* = host={host} port={server_port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
{more}
"""


def pgbouncer() -> str:
    """Where PgBouncer is installed; the test that needs it says so, and is skipped, where it is not."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("there is no PgBouncer here to put in front of PostgreSQL (apt-get install pgbouncer)")
    return found


@contextlib.contextmanager
def pooled(dsn: str, *, pool_size: int = 5, more: str = "") -> Iterator[str]:
    """The same database as its role sees it through the pooler: a DSN. `more`: further lines of its settings."""
    program = pgbouncer()
    to, port = urlsplit(dsn), free_port()
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="dca-pooler-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            _INI.format(
                host=to.hostname,
                server_port=to.port,
                user=unquote(to.username or ""),
                password=unquote(to.password or ""),
                port=port,
                pool_size=pool_size,
                more=more,
            )
        )
        process = subprocess.Popen([program, str(settings)], stderr=subprocess.DEVNULL, **as_user)
        try:
            _wait_until_answering(port)
            yield f"postgresql://{to.username}:unused@127.0.0.1:{port}{to.path}"
        finally:
            process.terminate()
            process.wait()


def _wait_until_answering(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
