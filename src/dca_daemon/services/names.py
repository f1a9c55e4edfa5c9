"""Names of things, for who has to choose one."""

from __future__ import annotations

from enum import StrEnum

from dca_daemon.ledger.db import Database, rows


class Named(StrEnum):
    """What has names."""

    CLIENTS = "clients"
    POOLS = "pools"
    MACHINES = "machines"


_QUERIES = {
    Named.CLIENTS: """SELECT name FROM client WHERE mode <> 'commission' AND erased_at IS NULL
                        ORDER BY status, lower(name) LIMIT :limit""",
    Named.POOLS: "SELECT name FROM pool ORDER BY id LIMIT :limit",
    Named.MACHINES: "SELECT coalesce(name, device_id) AS name FROM machine ORDER BY first_seen_at LIMIT :limit",
}


async def offered(db: Database, what: Named, *, limit: int) -> list[str]:
    """Some of the names; active clients first."""
    async with db.transaction() as conn:
        return [r.name for r in await rows(conn, _QUERIES[what], limit=limit)]
