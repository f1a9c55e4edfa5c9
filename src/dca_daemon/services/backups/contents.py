"""What a copy of the books holds, whatever the revision of its schema: to compare a restored one with."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import BackupError
from dca_daemon.ledger.db import rows, scalar
from dca_daemon.services.backups.manifest import Contents


async def read(conn: AsyncConnection) -> Contents:
    """Counts every row. Raises `BackupError` when these are no books of ours."""
    if await scalar(conn, "SELECT to_regclass('alembic_version') IS NULL OR to_regclass('installation') IS NULL"):
        raise BackupError(
            "the database holds no books: there is nothing to back up", remedy="run: dca-daemon db upgrade"
        )
    tables = await rows(
        conn,
        """SELECT c.relname AS name, quote_ident(c.relname) AS quoted FROM pg_catalog.pg_class c
            WHERE c.relnamespace = pg_catalog.current_schema()::pg_catalog.regnamespace AND c.relkind = 'r'
            ORDER BY c.relname""",
    )
    each = "SELECT {} AS n, count(*) AS number FROM {}"
    counted = " UNION ALL ".join(each.format(n, table.quoted) for n, table in enumerate(tables))
    counts = {tables[r.n].name: int(r.number) for r in await rows(conn, counted)}
    balances: dict[str, dict[str, int]] = {}
    for r in await rows(
        conn,
        "SELECT unit, purpose, sum(balance) AS total FROM account GROUP BY unit, purpose ORDER BY unit, purpose",
    ):
        balances.setdefault(r.unit, {})[r.purpose] = int(r.total)
    return Contents(
        revision=str(await scalar(conn, "SELECT version_num FROM alembic_version")),
        installation_id=str(await scalar(conn, "SELECT CAST(id AS text) FROM installation")),
        counts=counts,
        balances=balances,
    )


async def anything_in(conn: AsyncConnection) -> list[str]:
    """Up to three things that are in the way in a database that should be empty."""
    found = await rows(
        conn,
        """WITH ours AS (SELECT oid, nspname FROM pg_catalog.pg_namespace
                          WHERE nspname <> 'information_schema' AND nspname !~ '^pg_')
           SELECT name FROM (
               SELECT c.oid, o.nspname || '.' || c.relname AS name FROM pg_catalog.pg_class c
                 JOIN ours o ON o.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
                UNION ALL
               SELECT p.oid, o.nspname || '.' || p.proname || '()' FROM pg_catalog.pg_proc p
                 JOIN ours o ON o.oid = p.pronamespace
                UNION ALL
               SELECT t.oid, o.nspname || '.' || t.typname FROM pg_catalog.pg_type t
                 JOIN ours o ON o.oid = t.typnamespace WHERE t.typtype IN ('d', 'e')) there
            WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = there.oid AND d.deptype = 'e')
            ORDER BY name LIMIT 3""",
    )
    return [str(r.name) for r in found]
