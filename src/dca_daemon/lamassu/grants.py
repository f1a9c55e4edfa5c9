"""The reader's role: what an operator runs once on Lamassu's database, as its superuser.

It may read the columns of `columns.py` and nothing else. SQL for PostgreSQL 9.5 and up; may be run again.
"""

from __future__ import annotations

from dca_daemon.lamassu.columns import CASH_OUT_TXS, COLUMNS, SCHEMA, Column
from dca_daemon.lamassu.identifiers import check_role, quote_identifier, quote_literal

DEFAULT_ROLE = "dca_reader"


def grants_sql(
    role: str = DEFAULT_ROLE,
    database: str = "lamassu",
    *,
    statement_timeout_seconds: int = 30,
    idle_in_transaction_timeout_seconds: int = 30,
) -> str:
    """SQL that makes the role and grants it column-level SELECT. The password is not part of it, on purpose.

    Raises `ConfigError` for names that can't be used.
    """
    name = quote_identifier(check_role(role))
    required = ", ".join(_name(column) for column in COLUMNS if column.required)
    optional = "\n".join(_optional_grant(name, column) for column in COLUMNS if not column.required)
    return f"""\
-- Rights of dca-daemon in Lamassu's database: reads the columns it needs, and nothing else.
-- Run it as a superuser:  psql {quote_literal(database)} -v ON_ERROR_STOP=1 -f THIS_FILE
-- Then give the role its password, which so never stands in a file:  \\password {name}
BEGIN;
SET LOCAL lock_timeout = '2s';
DO $dca$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {quote_literal(role)}) THEN
    CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT;
  END IF;
END $dca$;
ALTER ROLE {name} LOGIN;
ALTER ROLE {name} SET default_transaction_read_only = on;
ALTER ROLE {name} SET statement_timeout = '{statement_timeout_seconds:d}s';
DO $dca$
BEGIN
  IF pg_catalog.current_setting('server_version_num')::integer >= 90600 THEN
    ALTER ROLE {name} SET idle_in_transaction_session_timeout = '{idle_in_transaction_timeout_seconds:d}s';
  END IF;
END $dca$;
GRANT CONNECT ON DATABASE {quote_identifier(database)} TO {name};
GRANT USAGE ON SCHEMA {SCHEMA} TO {name};
GRANT SELECT ({required})
  ON {SCHEMA}.{CASH_OUT_TXS} TO {name};
DO $dca$
BEGIN
{optional}
END $dca$;
COMMIT;
"""  # noqa: S608 - names are checked and quoted


def _optional_grant(role: str, column: Column) -> str:
    """Releases differ in these: granted where they exist."""
    table = f"{SCHEMA}.{column.table}"
    return f"""\
  IF EXISTS (SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass('{table}')
             AND attname = '{column.name}' AND attnum > 0 AND NOT attisdropped) THEN
    GRANT SELECT ({_name(column)}) ON {table} TO {role};
  END IF;"""  # noqa: S608 - constants and a quoted name


def _name(column: Column) -> str:
    return quote_identifier(column.name)
