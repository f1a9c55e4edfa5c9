"""Whether the way to Lamassu's database is one that nobody can stand in."""

from __future__ import annotations

import os
from typing import Any

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from dca_daemon.domain.hosts import is_loopback
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.finding import Finding

_WEAK = {
    "require": "it is encrypted, but nobody checks who answers",
    "verify-ca": "the certificate is checked, but not that it is this host's",
}
_REMEDY = "reach it through the tunnel ([tunnel]), or set sslmode=verify-full and sslrootcert: docs/tunnel.md"


async def transport(conn: AsyncConnection, config: SourceConfig) -> list[Finding]:
    """As `look`; the connection itself is not asked."""
    return [look(config)]


def look(config: SourceConfig) -> Finding:
    """Through the tunnel, on this computer, or by TLS that checks who answers; of both connections the worse."""
    if config.tunnel is not None:
        text = f"through SSH to {config.tunnel.config.place}, whose host key is pinned"
        return Finding("transport", True, text)
    found = [_look(conninfo_to_dict(dsn)) for dsn in (config.dsn, config.listen_dsn) if dsn is not None]
    return next((one for one in found if one.ok is not True), found[0])


def _look(parts: dict[str, Any]) -> Finding:
    hosts = str(parts.get("hostaddr") or parts.get("host") or os.environ.get("PGHOST") or "").split(",")
    if all(not host or host.startswith(("/", "@")) or is_loopback(host) for host in hosts):
        return Finding("transport", True, "it does not leave this computer")
    mode = str(parts.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer")
    if mode == "verify-full":
        return Finding("transport", True, "TLS: the certificate and the host's name are checked")
    why = _WEAK.get(mode, "whoever is on the way can read the password, or answer in its place")
    return Finding("transport", None, f"{', '.join(hosts)} is reached with sslmode={mode}: {why}", _REMEDY)
