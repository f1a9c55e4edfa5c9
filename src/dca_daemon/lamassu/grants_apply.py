"""Makes the reader's role with an administrator's connection, where we may have one."""

from __future__ import annotations

import psycopg

from dca_daemon.domain.errors import SourceError
from dca_daemon.lamassu.connection import SourceConfig, open_connection, source_error
from dca_daemon.lamassu.grants import grants_sql
from dca_daemon.lamassu.tunnel import Tunnel


async def apply_grants(dsn: str, role: str, *, tunnel: Tunnel | None = None) -> str:
    """Runs `grants_sql` with a superuser's DSN; gives the database's name. Raises `SourceError`."""
    config = SourceConfig(dsn=dsn, tunnel=tunnel)
    try:
        async with await open_connection(
            config,
            dsn,
            autocommit=True,
            application_name="dca-daemon",
            connect_timeout=config.connect_timeout_seconds,
        ) as conn:
            database = conn.info.dbname
            await conn.execute(grants_sql(role, database).encode())
            return database
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        raise SourceError(
            "this role may not make roles or grant rights; nothing was changed",
            remedy="use a superuser's DSN, or run the SQL of `dca-daemon lamassu grants --print` there",
        ) from None
    except (psycopg.Error, OSError) as error:
        raise source_error(error, config) from None
