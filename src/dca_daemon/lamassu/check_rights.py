"""Whether the reader's role may do more than it needs: whoever has its password may do that too."""

from __future__ import annotations

from psycopg import AsyncConnection

from dca_daemon.lamassu.columns import COLUMNS, SCHEMA
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.finding import GRANTS, Finding

_COLUMNS_SHOWN = 3
_SHOWN = 6  # so many are named; the others are counted


async def excess_rights(conn: AsyncConnection, config: SourceConfig) -> list[Finding]:
    """A superuser, a role that may make others, a reader of what we do not read, or one that may write."""
    row = await (await conn.execute(_ROLE_SQL)).fetchone()
    assert row is not None
    role, superuser, *powers = row
    if superuser:
        text = f"{role} is a superuser: it can read every key and write every table"
        return [Finding("excess-rights", None, text, f"use a role of its own: {GRANTS}")]
    excess = [power for power in powers if power is not None]
    ours = [f"{column.table}.{column.name}" for column in COLUMNS]
    tables = sorted({column.table for column in COLUMNS})
    readable = await (await conn.execute(_READABLE_SQL, (tables, tables, ours))).fetchall()
    writable = await (await conn.execute(_WRITABLE_SQL)).fetchall()
    excess += _named("write", [name for (name,) in writable]) + _named("read", _grouped(readable))
    if excess:
        remedy = f"revoke what is not needed; for what is, {GRANTS}"
        return [Finding("excess-rights", None, f"{role} can also {', '.join(excess)}", remedy)]
    return [Finding("excess-rights", True, f"{role} has no right that it does not need")]


def _grouped(readable: list[tuple[str, str | None]]) -> list[str]:
    """Other tables first; of ours the columns, counted where they are many."""
    columns: dict[str, list[str]] = {}
    for table, column in readable:
        if column is not None:
            columns.setdefault(table, []).append(f"{table}.{column}")
    few = [name for names in columns.values() if len(names) <= _COLUMNS_SHOWN for name in names]
    many = [f"{len(n)} columns of {table}" for table, n in columns.items() if len(n) > _COLUMNS_SHOWN]
    return [table for table, column in readable if column is None] + few + many


def _named(verb: str, names: list[str]) -> list[str]:
    found = [f"{verb} {name}" for name in names[:_SHOWN]]
    return found + ([f"{verb} {len(names) - _SHOWN} more"] if len(names) > _SHOWN else [])


_ROLE_SQL = """
SELECT rolname::text, rolsuper, CASE WHEN rolcreaterole THEN 'make and change roles' END,
       CASE WHEN rolcreatedb THEN 'make databases' END, CASE WHEN rolreplication THEN 'copy the whole server' END,
       CASE WHEN rolbypassrls THEN 'pass by row security' END
FROM pg_catalog.pg_roles WHERE rolname = current_user
"""
# What extensions bring along is readable for everybody, and nobody's data.
_FOREIGN = """
  n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e
                  WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                    AND e.objid = c.oid AND e.deptype = 'e')
"""
_NAME = f"CASE WHEN n.nspname = '{SCHEMA}' THEN '' ELSE n.nspname || '.' END || c.relname"
_READABLE_SQL = f"""
SELECT DISTINCT {_NAME}, CASE WHEN n.nspname = '{SCHEMA}' AND c.relname = ANY (%s) THEN a.attname::text END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_FOREIGN}
  AND NOT (n.nspname = '{SCHEMA}' AND c.relname = ANY (%s) AND c.relname || '.' || a.attname = ANY (%s))
  AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
ORDER BY 1, 2
"""  # noqa: S608 - constants
_WRITABLE_SQL = f"""
SELECT {_NAME}
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND {_FOREIGN}
  AND (pg_catalog.has_any_column_privilege(c.oid, 'INSERT, UPDATE')
       OR pg_catalog.has_table_privilege(c.oid, 'DELETE, TRUNCATE'))
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
ORDER BY 1
"""  # noqa: S608 - constants
