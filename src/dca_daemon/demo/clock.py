"""The clock of the demo's shop: set back by a week, it lets the real services write a week within seconds.

The books take their times from PostgreSQL. While the clock is set back, the role of the books finds a `now()` and
a `clock_timestamp()` of ours before PostgreSQL's own, and the columns' defaults use them. Afterwards nothing of
that is left in the database; what was written meanwhile stays as it was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import sql

_SCHEMA = "shop_clock"
_FUNCTIONS = ("now", "clock_timestamp")
_INSTALL = """
    CREATE SCHEMA shop_clock;
    CREATE TABLE shop_clock.set_back (lag interval NOT NULL);
    INSERT INTO shop_clock.set_back VALUES ('0');
    CREATE FUNCTION shop_clock.now() RETURNS timestamptz LANGUAGE sql STABLE
        AS 'SELECT pg_catalog.now() - lag FROM shop_clock.set_back';
    CREATE FUNCTION shop_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
        AS 'SELECT pg_catalog.clock_timestamp() - lag FROM shop_clock.set_back';
    GRANT USAGE ON SCHEMA shop_clock TO PUBLIC;
    GRANT SELECT ON shop_clock.set_back TO PUBLIC"""
_DEFAULTS = """
    SELECT c.relname, a.attname FROM pg_attrdef d
      JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
      JOIN pg_class c ON c.oid = d.adrelid
     WHERE c.relnamespace = 'public'::regnamespace AND pg_get_expr(d.adbin, d.adrelid) = %s
     ORDER BY c.relname, a.attname"""


class ShopClock:
    """What time it is in the shop. It runs as any clock does, from where it was set to last."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn
        self.lag = timedelta()

    def now(self) -> datetime:
        """The time in the shop."""
        return datetime.now(UTC) - self.lag

    def set_to(self, at: datetime) -> None:
        """Moves the clock on; backwards would make nonsense of the books. Not beyond the real time."""
        self.lag = min(self.lag, datetime.now(UTC) - at)
        self.lag = max(self.lag, timedelta())
        self._conn.execute("UPDATE shop_clock.set_back SET lag = %s", (self.lag,))


@contextmanager
def shop_clock(dsn: str, role: str, at: datetime) -> Iterator[ShopClock]:
    """The clock, set to `at`, for the connections that `role` opens to the database of the superuser's `dsn`."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        where = (sql.Identifier(role), sql.Identifier(conn.info.dbname))
        conn.execute(_INSTALL)
        path = sql.SQL("ALTER ROLE {} IN DATABASE {} SET search_path = {}, pg_catalog, public")
        conn.execute(path.format(*where, sql.Identifier(_SCHEMA)))
        _use(conn, "pg_catalog", _SCHEMA)
        clock = ShopClock(conn)
        clock.lag = datetime.now(UTC) - at
        clock.set_to(at)
        yield clock
        _use(conn, _SCHEMA, "pg_catalog")
        conn.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} RESET search_path").format(*where))
        conn.execute("DROP SCHEMA shop_clock CASCADE")


def _use(conn: psycopg.Connection, before: str, after: str) -> None:
    """Has the columns that were filled by one clock filled by the other."""
    for function in _FUNCTIONS:
        written = f"{function}()" if before == "pg_catalog" else f"{before}.{function}()"
        for table, column in conn.execute(_DEFAULTS, (written,)).fetchall():
            change = sql.SQL("ALTER TABLE public.{} ALTER {} SET DEFAULT {}.{}()")
            names = (sql.Identifier(name) for name in (table, column, after, function))
            conn.execute(change.format(*names))
