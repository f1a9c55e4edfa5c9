"""A lock that is held over several transactions, by one process at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError

from dca_daemon.ledger.db import Database, scalar


@asynccontextmanager
async def session_lock(db: Database, key: int) -> AsyncIterator[bool]:
    """Within the block this process has the lock `key`, if the value is True; else another one has it.

    It is a hint for who should work, not a proof: the connection that holds it may be lost within the block.
    """
    async with db.engine.connect() as conn:
        await conn.execution_options(isolation_level="AUTOCOMMIT")
        held = bool(await scalar(conn, "SELECT pg_try_advisory_lock(:key)", key=key))
        try:
            yield held
        finally:
            if held:
                try:
                    await scalar(conn, "SELECT pg_advisory_unlock(:key)", key=key)
                except (DBAPIError, OSError):
                    await conn.invalidate()
