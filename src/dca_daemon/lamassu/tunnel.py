"""The way to Lamassu's database through SSH: opened when somebody wants to connect, opened again when it is lost.

A forwarded port listens on loopback, not on a UNIX socket: libpq does no TLS over sockets, and `verify-full` must
keep its meaning within the tunnel. The kernel chooses the port; it serves connections of our own account only.

Who connects asks for the way each time. So it comes back when its users try again, and they spread their tries
already; here only the next try is put off, longer after a refusal than after an outage.
"""

from __future__ import annotations

import asyncio
import random
import time
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from dca_daemon.domain.errors import SourceError
from dca_daemon.domain.text import plain
from dca_daemon.lamassu.host_keys import HostKey
from dca_daemon.lamassu.outage import Outage
from dca_daemon.lamassu.own_account import is_ours

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

    from dca_daemon.lamassu.ssh import SshWatcher

log = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"
REFUSED_CODE = "tunnel-refused"
_REFUSED_SECONDS = 30.0  # what a person must mend needs no haste, and servers ban who knocks too often
_CHANNEL_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelConfig:
    """How to reach the SSH server, and who it must be. `private_key` is the key itself; else `agent` is asked."""

    host: str
    port: int = 22
    user: str
    host_keys: tuple[HostKey, ...]
    private_key: str | None = field(default=None, repr=False)
    agent: str | None = None
    connect_timeout_seconds: float = 10.0
    keepalive_seconds: float = 3.0

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.user}@{self.host}:{self.port}"


class Tunnel:
    """One SSH connection, and a loopback port for each place that is reached through it.

    `telling`: what becomes of it is logged, for who runs for long. A command's own error says it already.
    """

    def __init__(self, config: TunnelConfig, *, telling: bool = False) -> None:
        self.config = config
        self._telling = telling
        self._lock = asyncio.Lock()
        self._conn: SSHClientConnection | None = None
        self._watcher: SshWatcher | None = None
        self._ports: dict[tuple[str, int], int] = {}
        self._outage = Outage()
        self._error: SourceError | None = None
        self._retry_at = 0.0

    def __repr__(self) -> str:
        return f"Tunnel({self.config.place!r})"

    @property
    def up(self) -> bool:
        """Whether the connection stands."""
        return self._conn is not None

    @property
    def trouble(self) -> str | None:
        """Why it does not stand, in one sentence. None while it does, and before it was first wanted."""
        return None if self.up or self._error is None else self._error.message

    async def local_port(self, host: str, port: int) -> int:
        """The port on `LOOPBACK` that leads to that host and port, or UNIX socket in folder `host`, of the server.

        Raises `SourceError`.
        """
        async with self._lock:
            conn = self._conn or await self._open()
            if (host, port) not in self._ports:
                self._ports[host, port] = await _forward(conn, host, port)
            return self._ports[host, port]

    async def obstacle(self, host: str, port: int) -> str | None:
        """Why that place can't be reached from the server: to be asked after a failure, since it tries to."""
        conn = self._conn
        if conn is None:
            return self.trouble
        import asyncssh

        try:
            async with asyncio.timeout(_CHANNEL_SECONDS):
                if host.startswith("/"):
                    _, writer = await conn.open_unix_connection(_socket(host, port))
                else:
                    _, writer = await conn.open_connection(host, port)
                writer.close()
        except asyncssh.ChannelOpenError as error:
            where = _socket(host, port) if host.startswith("/") else f"{host}:{port}"
            return f"the SSH server {self.config.place} does not reach {where}: {plain(error.reason, 200)}"
        except (OSError, asyncssh.Error, TimeoutError):
            return self.trouble
        return None

    async def close(self) -> None:
        """Closes it. It may be used again afterwards."""
        async with self._lock:
            conn, self._conn, self._watcher = self._conn, None, None
            self._ports.clear()
            if conn is not None:
                conn.abort()
                await conn.wait_closed()

    async def _open(self) -> SSHClientConnection:
        from dca_daemon.lamassu import ssh

        if self._error is not None and time.monotonic() < self._retry_at:
            raise copy(self._error)  # itself, raised over and over, would gather all its tracebacks
        watcher = ssh.SshWatcher(self.config.host_keys, self._on_lost)
        try:
            conn = await ssh.connect(self.config, watcher)
            if watcher.lost is not None:  # at once, before we knew that it stood
                raise self._lost(watcher.lost)
        except SourceError as error:
            self._failed(error)
            raise
        self._conn, self._watcher, self._error = conn, watcher, None
        away_seconds = self._outage.recovered()
        if self._telling:
            log.info("tunnel.up", place=self.config.place, host_key=watcher.shown, away_seconds=away_seconds)
        return conn

    def _failed(self, error: SourceError) -> None:
        to_log = self._outage.failed()
        for_a_person = error.code == REFUSED_CODE
        changed = self._error is None or self._error.message != error.message
        self._error = error
        delay_seconds = self._outage.delay_seconds
        if for_a_person:
            delay_seconds = _REFUSED_SECONDS * random.uniform(0.75, 1.0)  # noqa: S311 - spreads load
        self._retry_at = time.monotonic() + delay_seconds
        if not self._telling:
            return
        if for_a_person and (to_log or changed):
            log.error("tunnel.refused", reason=error.message, remedy=error.remedy)
        elif to_log:
            log.warning("tunnel.lost", error=error.message, failures=self._outage.failures)

    def _on_lost(self, watcher: SshWatcher, reason: str) -> None:
        if watcher is not self._watcher:
            return  # it was never up, or closed by us
        self._conn, self._watcher = None, None
        self._ports.clear()
        self._failed(self._lost(reason))

    def _lost(self, reason: str) -> SourceError:
        return SourceError(f"the SSH tunnel to {self.config.place} was lost: {reason}")


async def _forward(conn: SSHClientConnection, host: str, port: int) -> int:
    import asyncssh

    def accept(orig_host: str, orig_port: int) -> bool:
        return is_ours(orig_port)

    try:
        if host.startswith("/"):
            listener = await conn.forward_local_port_to_path(LOOPBACK, 0, _socket(host, port), accept)
        else:
            listener = await conn.forward_local_port(LOOPBACK, 0, host, port, accept)
    except (OSError, asyncssh.Error) as error:
        raise SourceError(f"no local port for the SSH tunnel: {plain(error, 200)}") from None
    return listener.get_port()


def refused(message: str, remedy: str) -> SourceError:
    """What a person must mend; it is tried again more seldom."""
    return SourceError(message, remedy=remedy, code=REFUSED_CODE)


def _socket(folder: str, port: int) -> str:
    return f"{folder.rstrip('/')}/.s.PGSQL.{port}"
