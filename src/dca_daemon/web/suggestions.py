"""Names that a form's field offers; a bounded number, for it takes any other too."""

from __future__ import annotations

from collections.abc import Sequence

from dca_daemon.ledger.db import Database
from dca_daemon.services import names

MAX_OFFERED = 200


async def suggestions(db: Database, wanted: Sequence[str | None]) -> dict[str, list[str]]:
    """By the name of the list: clients, pools, machines."""
    return {
        what: await names.offered(db, names.Named(what), limit=MAX_OFFERED)
        for what in sorted({w for w in wanted if w})
    }
