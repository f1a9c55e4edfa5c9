"""One careful connection to Lamassu's database: read only, short timeouts, never waiting without an end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict

from dca_daemon.domain.errors import ConfigError, SourceError
from dca_daemon.lamassu.identifiers import check_channel
from dca_daemon.ledger.patience import CLIENT_KEEPALIVES, answered

# A setting that the server does not know (9.5 lacks one) or a pooler refuses at start-up must not stop us:
# hence one statement after connecting, joined with the settings that exist.
_SESSION_SQL = """
SELECT pg_catalog.set_config(s.name, w.value, false)
FROM (VALUES ('default_transaction_read_only', 'on'), ('default_transaction_isolation', 'read committed'),
             ('statement_timeout', %s), ('idle_in_transaction_session_timeout', %s), ('lock_timeout', '2s'),
             ('TimeZone', 'UTC'), ('DateStyle', 'ISO, YMD'), ('search_path', 'pg_catalog'), ('jit', 'off')
     ) AS w (name, value)
JOIN pg_catalog.pg_settings s ON s.name = w.name
"""
TIMEOUT_CODE = "source-timeout"
_GRACE_SECONDS = 5.0  # how much longer than the server's own timeout we wait for an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """How to reach Lamassu's database. Raises `ConfigError` for a wrong DSN or channel.

    `listen_dsn` is a direct connection for LISTEN where `dsn` goes through a pooler.
    """

    dsn: str = field(repr=False)
    listen_dsn: str | None = field(default=None, repr=False)
    channel: str = "dca_cash_out"
    connect_timeout_seconds: int = 5
    statement_timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        check_channel(self.channel)
        for name, dsn in (("lamassu.dsn", self.dsn), ("lamassu.listen_dsn", self.listen_dsn)):
            if dsn is not None:
                _parsed(dsn, name)

    @property
    def place(self) -> str:
        """Where the database is, for people; without the password."""
        parts = _parsed(self.dsn, "lamassu.dsn")
        host, port = parts.get("host") or "localhost", parts.get("port") or 5432
        return f"{parts.get('user') or '?'}@{host}:{port}/{parts.get('dbname') or parts.get('user') or '?'}"


def _parsed(dsn: str, name: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:  # its text may hold the password
        raise ConfigError(
            f"{name} is not a PostgreSQL connection string",
            remedy="write it like postgresql://dca_reader:PASSWORD@127.0.0.1:5432/lamassu",
        ) from None


async def connect(config: SourceConfig, *, listening: bool = False) -> AsyncConnection:
    """A new connection in autocommit with our session's settings. Raises `SourceError`."""
    dsn = (config.listen_dsn or config.dsn) if listening else config.dsn
    chosen = conninfo_to_dict(dsn)
    ours: dict[str, Any] = {
        "application_name": "dca-daemon listener" if listening else "dca-daemon",
        "connect_timeout": config.connect_timeout_seconds,
        "client_encoding": "UTF8",
        **CLIENT_KEEPALIVES,
    }
    options = {name: value for name, value in ours.items() if name not in chosen}
    timeout = f"{int(config.statement_timeout_seconds * 1000)}ms"
    try:
        # No prepared statements: a pooler may mix them up, and an upgrade of Lamassu changes what they return.
        conn = await AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None, **options)
    except (psycopg.Error, OSError) as exc:
        raise source_error(exc, config) from None
    try:
        for name in ("text", "varchar", "bpchar"):
            conn.adapters.register_loader(name, _AnyText)
        await answered(conn, config.connect_timeout_seconds, _set_up(conn, timeout))
    except (psycopg.Error, OSError) as exc:
        await conn.close()
        raise source_error(exc, config) from None
    except BaseException:
        await conn.close()
        raise
    return conn


async def _set_up(conn: AsyncConnection, timeout: str) -> None:
    await conn.execute(_SESSION_SQL, (timeout, timeout))
    if conn.pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII":
        # Such a database takes any bytes as text, and would refuse to send those that are not UTF-8.
        await conn.execute("SET client_encoding = 'SQL_ASCII'")


async def notify(config: SourceConfig, payload: str) -> None:
    """Notifies whoever listens on our channel, on a connection of its own. Raises `SourceError`.

    What a session tells itself comes back even through a pooler that passes on nothing of what others tell it.
    """
    conn = await connect(config, listening=True)
    try:
        telling = conn.execute("SELECT pg_catalog.pg_notify(%s, %s)", (config.channel, payload))
        await answered(conn, config.connect_timeout_seconds, telling)
    except (psycopg.Error, OSError) as exc:
        raise source_error(exc, config) from None
    finally:
        await conn.close()


def patience_seconds(config: SourceConfig) -> float:
    """How long to wait for a statement: longer than the server's own timeout, which tells the reason."""
    return config.statement_timeout_seconds + _GRACE_SECONDS


class _AnyText(Loader):
    """Text in whatever encoding: one row's odd bytes must not hide it, or the rows beside it."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "replace")


def source_error(exc: BaseException, config: SourceConfig) -> SourceError:
    """What went wrong, in one line with its remedy; the password can't be in it."""
    if isinstance(exc, SourceError):
        return exc
    detail = _one_line(exc, config)
    if isinstance(exc, psycopg.errors.QueryCanceled):
        return SourceError(
            f"Lamassu's database took longer than {config.statement_timeout_seconds:g} s to answer",
            remedy="look at its load, or raise lamassu.statement_timeout_seconds",
            code=TIMEOUT_CODE,
        )
    if isinstance(exc, psycopg.errors.LockNotAvailable):
        return SourceError(
            "a table of Lamassu's database is locked at the moment, as during an upgrade",
            remedy="nothing to do: it is tried again",
            code=TIMEOUT_CODE,
        )
    if isinstance(exc, psycopg.errors.InsufficientPrivilege):
        return SourceError(
            f"Lamassu's database refuses: {detail}",
            remedy="grant it: see `dca-daemon lamassu grants --print`",
        )
    if isinstance(exc, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return SourceError(
            f"Lamassu's database lacks something we read: {detail}",
            remedy="check that lamassu.dsn names Lamassu's own database; see `dca-daemon lamassu check`",
        )
    if isinstance(exc, psycopg.OperationalError | OSError):
        return SourceError(
            f"Lamassu's database at {config.place} can't be reached: {detail}",
            remedy="check lamassu.dsn (host, port, user, password, database) and that its tunnel is up",
        )
    return SourceError(f"Lamassu's database at {config.place}: {detail}", remedy="see `dca-daemon lamassu check`")


def _one_line(exc: BaseException, config: SourceConfig) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    text = lines[0] if lines else type(exc).__name__
    for dsn in (config.dsn, config.listen_dsn):
        password = conninfo_to_dict(dsn).get("password") if dsn else None
        if password:
            text = text.replace(str(password), "***")
    return text
