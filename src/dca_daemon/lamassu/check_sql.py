"""The check as SQL, for an operator who must run it elsewhere: what is missing, in the words of a table.

Reads the catalogue only; any role may run it. SQL for PostgreSQL 9.5 and up.
"""

from __future__ import annotations

from dca_daemon.lamassu.columns import COLUMNS, SCHEMA
from dca_daemon.lamassu.grants import DEFAULT_ROLE
from dca_daemon.lamassu.identifiers import check_channel, check_role, quote_literal
from dca_daemon.lamassu.trigger import FUNCTION, INSERT_TRIGGER, UPDATE_TRIGGER, function_body


def check_sql(role: str = DEFAULT_ROLE, channel: str = "dca_cash_out") -> str:
    """SQL that looks at columns, rights and trigger. Raises `ConfigError` for names that can't be used."""
    name = quote_literal(check_role(role))
    body = function_body(check_channel(channel))
    columns = ",\n".join(
        f"  ({number}, {quote_literal(c.table)}, {quote_literal(c.name)}, {str(c.required).lower()})"
        for number, c in enumerate(COLUMNS, 1)
    )
    return f"""\
-- What dca-daemon needs of Lamassu's database, and whether it is there. Changes nothing.
-- Every finding should be 'ok'; 'not in this release' and 'no right' of an optional column do no harm.
SELECT n.table_name || '.' || n.column_name AS what,
       CASE WHEN r.oid IS NULL THEN 'NO SUCH ROLE: ' || {name}
            WHEN a.attname IS NULL AND n.required THEN 'MISSING'
            WHEN a.attname IS NULL THEN 'not in this release'
            WHEN pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT') THEN 'ok'
            WHEN n.required THEN 'NO RIGHT TO READ' ELSE 'no right' END AS finding
FROM (VALUES
{columns}
     ) AS n (number, table_name, column_name, required)
LEFT JOIN pg_catalog.pg_roles r ON r.rolname = {name}
LEFT JOIN pg_catalog.pg_namespace s ON s.nspname = '{SCHEMA}'
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = n.table_name
LEFT JOIN pg_catalog.pg_attribute a
  ON a.attrelid = c.oid AND a.attname = n.column_name AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY n.number;

SELECT n.name AS what,
       CASE WHEN t.oid IS NULL THEN 'NOT INSTALLED'
            WHEN t.tgenabled NOT IN ('O', 'A') THEN 'DISABLED'
            WHEN p.proname <> '{FUNCTION}' OR p.prosrc <> $dca${body}$dca$
            THEN 'NOT AS THIS RELEASE INSTALLS IT'
            ELSE 'ok' END AS finding
FROM (VALUES ('{INSERT_TRIGGER}'), ('{UPDATE_TRIGGER}')) AS n (name)
LEFT JOIN pg_catalog.pg_namespace s ON s.nspname = '{SCHEMA}'
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = 'cash_out_txs'
LEFT JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid AND t.tgname = n.name AND NOT t.tgisinternal
LEFT JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
ORDER BY n.name;
"""  # noqa: S608 - names are checked and quoted
