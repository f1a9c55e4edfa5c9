"""What runs here."""

from __future__ import annotations

from dca_daemon.ledger.migrate import revision, server_version
from dca_daemon.runtime.version import versions
from dca_daemon.web.desk import Desk


async def versions_of(desk: Desk) -> dict[str, str]:
    """Of programs, libraries, and the schema of the books."""
    schema = await revision(desk.db)
    return {
        **versions(),
        "PostgreSQL of the books": await server_version(desk.db),
        "Schema of the books": schema.current or "none",
    }
