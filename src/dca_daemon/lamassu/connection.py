"""One careful connection to Lamassu's database: read only, short timeouts, never waiting without an end.

`open_connection` is the one way there, for whoever wants it: directly, or through the SSH tunnel.
"""

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
from dca_daemon.lamassu.tunnel import LOOPBACK, Tunnel
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
_BEHIND_THE_TUNNEL = (
    "see that PostgreSQL runs there, that lamassu.dsn names it as the SSH server sees it, and that the key may go "
    'there (authorized_keys: restrict,port-forwarding,permitopen="127.0.0.1:5432")'
)
_GRACE_SECONDS = 5.0  # how much longer than the server's own timeout we wait for an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """How to reach Lamassu's database. Raises `ConfigError` for a wrong DSN or channel.

    `listen_dsn` is a direct connection for LISTEN where `dsn` goes through a pooler. With a `tunnel`, the
    host of each is as the SSH server sees it.
    """

    dsn: str = field(repr=False)
    listen_dsn: str | None = field(default=None, repr=False)
    channel: str = "dca_cash_out"
    connect_timeout_seconds: int = 5
    statement_timeout_seconds: float = 30.0
    tunnel: Tunnel | None = None

    def __post_init__(self) -> None:
        check_channel(self.channel)
        for name, dsn in (("lamassu.dsn", self.dsn), ("lamassu.listen_dsn", self.listen_dsn)):
            if dsn is not None:
                parts = _parsed(dsn, name)
                if self.tunnel is not None:
                    _through(parts, name)

    @property
    def place(self) -> str:
        """Where the database is, for people; without the password."""
        parts = _parsed(self.dsn, "lamassu.dsn")
        host, port = parts.get("host") or "localhost", parts.get("port") or 5432
        place = f"{parts.get('user') or '?'}@{host}:{port}/{parts.get('dbname') or parts.get('user') or '?'}"
        return place if self.tunnel is None else f"{place} through {self.tunnel.config.place}"

    async def close(self) -> None:
        """Closes the tunnel, if there is one. Harmless: it opens again when it is wanted."""
        if self.tunnel is not None:
            await self.tunnel.close()


def _parsed(dsn: str, name: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:  # its text may hold the password
        raise ConfigError(
            f"{name} is not a PostgreSQL connection string",
            remedy="write it like postgresql://dca_reader:PASSWORD@127.0.0.1:5432/lamassu",
        ) from None


def _through(parts: dict[str, Any], name: str) -> tuple[str, str, int]:
    """The name of the host, for TLS to check, and where the SSH server reaches it. Raises `ConfigError`."""
    name_of_host = str(parts.get("host") or "")
    host, port = str(parts.get("hostaddr") or name_of_host or LOOPBACK), str(parts.get("port") or 5432)
    if "," in host + port or "service" in parts or not port.isdigit():
        raise ConfigError(
            f"{name} must name one host and port, since it is reached through the tunnel",
            remedy="write it like postgresql://dca_reader:PASSWORD@127.0.0.1:5432/lamassu",
        )
    return "localhost" if name_of_host.startswith("/") else name_of_host or host, host, int(port)


async def open_connection(config: SourceConfig, dsn: str, **options: Any) -> AsyncConnection:
    """A plain connection to `dsn`, through the tunnel if there is one. Raises `SourceError`."""
    try:
        if config.tunnel is None:
            return await AsyncConnection.connect(dsn, **options)
        name, host, port = _through(_parsed(dsn, "the connection"), "the connection")
        local = await config.tunnel.local_port(host, port)
        try:
            # `host` stays the real one's name: with sslmode=verify-full that is what the certificate must bear.
            return await AsyncConnection.connect(dsn, **options, host=name, hostaddr=LOOPBACK, port=local)
        except (psycopg.OperationalError, OSError):
            if reason := await config.tunnel.obstacle(host, port):
                raise SourceError(
                    f"Lamassu's database at {config.place} can't be reached: {reason}", remedy=_BEHIND_THE_TUNNEL
                ) from None
            raise
    except (psycopg.Error, OSError) as exc:
        raise source_error(exc, config) from None


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
    # No prepared statements: a pooler may mix them up, and an upgrade of Lamassu changes what they return.
    conn = await open_connection(config, dsn, autocommit=True, prepare_threshold=None, **options)
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
