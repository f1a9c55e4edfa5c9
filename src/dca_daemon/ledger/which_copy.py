"""Which copy of the books this is: a restored dump, a clone and a promoted standby are others than before.

Only a file system that was set back as a whole, below a PostgreSQL that was stopped, looks the same.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import execute, scalar

# Where a hosted PostgreSQL keeps one of these from ordinary roles, the rest has to do.
_PARTS = (
    ("pg_control_system()", "SELECT CAST(system_identifier AS text) FROM pg_control_system()"),
    # The first eight digits are the timeline: it changes when a standby becomes the primary.
    ("pg_walfile_name(pg_lsn)", "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"),
)
_DATABASE = "SELECT CAST(oid AS text) FROM pg_database WHERE datname = current_database()"
_TABLE = (
    "SELECT CAST(CAST('payout' AS regclass)::oid AS text)"  # a dump restored over the old tables makes new ones
)


async def fingerprint(conn: AsyncConnection) -> str:
    """Differs from that of any other copy."""
    found = [
        await scalar(conn, query)
        for function, query in _PARTS
        if await scalar(conn, "SELECT has_function_privilege(:function, 'execute')", function=function)
    ]
    return "/".join([*found, await scalar(conn, _DATABASE), await scalar(conn, _TABLE)])


async def is_another(conn: AsyncConnection) -> bool:
    """Whether these are not the books that were last paid from. Those that never were count as the same."""
    last = await scalar(conn, "SELECT paid_from FROM installation")
    return last is not None and last != await fingerprint(conn)


async def mark_restored(conn: AsyncConnection) -> None:
    """These books come from a backup: whatever the server says, they are not those that were last paid from."""
    await execute(conn, "UPDATE installation SET paid_from = 'a backup'")


async def remember(conn: AsyncConnection) -> None:
    """From now on these are the books that are paid from."""
    await execute(
        conn,
        "UPDATE installation SET paid_from = :this WHERE paid_from IS DISTINCT FROM :this",
        this=await fingerprint(conn),
    )
