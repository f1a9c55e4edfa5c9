"""Our own database: connections, transactions, retries, and errors that people understand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
import structlog
from sqlalchemy import TextClause, event, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from dca_daemon import fault_points
from dca_daemon.domain.errors import ConfigError, DatabaseError
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.patience import CLIENT_KEEPALIVES, SERVER_KEEPALIVES, answered

log = structlog.get_logger()

T = TypeVar("T")

DRIVER = "postgresql+psycopg"
RETRIES_MAX = 8
_RETRYABLE = ("40001", "40P01")  # serialization failure, deadlock: the transaction left nothing behind
# Read-only (it became a standby), ended by the server for its slowness, or its files are damaged: no fault of a
# row, although SQLAlchemy does not call these "operational".
_READ_ONLY = "25006"
_AWAY = (_READ_ONLY, "25P03", "25P04", "XX001", "XX002")
_TOO_MUCH = "54"  # the class of what a limit of PostgreSQL refuses, a row's own fault: it would never get better
_GRACE_SECONDS = 5.0  # how much longer than the server's own timeout we wait for an answer
# Whatever the server's defaults. READ COMMITTED: what is read under a lock is read after the lock was had. Commits
# that a crash can't forget: a forgotten `submitted` is a payment made twice. A daemon that stands still in a
# transaction (SIGSTOP, a frozen virtual machine) loses its locks to the next one. No compiling of
# queries: those of a page take some ms, which is less than it costs.
_OPTIONS = (
    r"-c timezone=UTC -c synchronous_commit=on -c lock_timeout=30s -c idle_in_transaction_session_timeout=15s"
    rf" -c default_transaction_isolation=read\ committed -c jit=off {SERVER_KEEPALIVES}"
)
_CONNECT_ARGS = {"connect_timeout": 5, **CLIENT_KEEPALIVES}


class _Connection(psycopg.AsyncConnection[Any]):
    """Never waits without an end: it hangs up on a server that does not answer, and when it is cancelled."""

    patience_seconds: float | None = None

    async def wait(self, *args: Any, **options: Any) -> Any:
        """psycopg's own, through which every statement, commit and rollback passes."""
        work = super().wait(*args, **options)
        return await answered(self, self.patience_seconds, work)


class Database:
    """Hands out transactions on our own PostgreSQL.

    What waiting can mend comes out as `DatabaseError`. `url` has the form `postgresql+psycopg://…`; settings
    in its `options` hold beside ours. The server ends a statement after `statement_timeout_seconds`, and a little
    later we hang up; None: any time will do.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 5,
        application_name: str = "dca-daemon",
        statement_timeout_seconds: float | None = None,
    ) -> None:
        parsed = parse_url(url)
        patience = statement_timeout_seconds
        options = _OPTIONS if patience is None else f"{_OPTIONS} -c statement_timeout={int(patience * 1000)}ms"
        options = f"{_given_options(parsed)} {options}".lstrip()

        async def connect(*args: Any, **parameters: Any) -> _Connection:
            conn = await _Connection.connect(*args, **parameters)
            conn.patience_seconds = None if patience is None else patience + _GRACE_SECONDS
            return conn

        self.name = parsed.render_as_string(hide_password=True)
        self.work_error: str | None = None  # why the last work had to wait for the database
        self.engine: AsyncEngine = create_async_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            pool_recycle=1800,
            connect_args={
                **_CONNECT_ARGS,
                "application_name": application_name,
                "options": options,
                "async_creator_fn": connect,
            },
        )

        event.listen(self.engine.sync_engine, "handle_error", _give_up_read_only_sessions)

    async def close(self) -> None:
        """Closes all connections."""
        await self.engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction at READ COMMITTED: committed at the end of the block, rolled back on an error."""
        try:
            async with self.engine.connect() as conn:
                try:
                    async with conn.begin():
                        yield conn
                except DBAPIError as error:
                    if _is_away(error):
                        await conn.invalidate()
                    raise
        except (DBAPIError, PoolTimeoutError) as error:
            if sqlstate(error) in _RETRYABLE or not _is_away(error):
                raise
            raise _away(error) from error

    @asynccontextmanager
    async def session_lock(self, key: int) -> AsyncIterator[bool]:
        """Whether this process has the advisory lock `key` for the length of the block, or another one has it.

        It tells who should work, and proves nothing: its connection may be lost within the block.
        """
        try:
            async with self.engine.connect() as conn:
                await conn.execution_options(isolation_level="AUTOCOMMIT")
                held = bool(await scalar(conn, "SELECT pg_try_advisory_lock(:key)", key=key))
                try:
                    yield held
                finally:
                    if held and not conn.invalidated:
                        await scalar(conn, "SELECT pg_advisory_unlock(:key)", key=key)
        except (DBAPIError, PoolTimeoutError) as error:
            raise _away(error) from error

    async def run(
        self, work: Callable[[AsyncConnection], Awaitable[T]], *, step: fault_points.CommitStep | None = None
    ) -> T:
        """Runs `work` in a transaction; again, a bounded number of times, after a deadlock.

        `step` names the fault points around its commit.
        """
        try:
            done = await self._retried(work, step)
        except DatabaseError as error:
            self.work_error = str(error)
            raise
        self.work_error = None
        return done

    async def rehearse(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What `work` would come to: it is done in a transaction that passes every check and is rolled back."""
        async with self.transaction() as conn:
            result = await work(conn)
            await conn.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
            await conn.rollback()
        return result

    async def _retried(
        self, work: Callable[[AsyncConnection], Awaitable[T]], step: fault_points.CommitStep | None
    ) -> T:
        for attempt in range(1, RETRIES_MAX + 1):
            try:
                async with self.transaction() as conn:
                    result = await work(conn)
                    await fault_points.before_commit(step)
                await fault_points.after_commit(step)
                return result
            except DBAPIError as error:
                if sqlstate(error) not in _RETRYABLE:
                    raise
                if attempt == RETRIES_MAX:  # busy, not wrong: nobody may take this for a refusal
                    raise _away(error) from error
                log.info("database.retry", attempt=attempt, sqlstate=sqlstate(error))
                await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - jitter, no secret
        raise AssertionError("unreachable")


def parse_url(url: str) -> URL:
    """The parts of our database's address. Raises `ConfigError`, which does not quote it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _no_address() from None
    if parsed.drivername != DRIVER:
        raise _no_address()
    return parsed


def _given_options(parsed: URL) -> str:
    given = parsed.query.get("options", "")
    return given if isinstance(given, str) else " ".join(given)


def with_options(url: str, options: str, *, database: str | None = None) -> str:
    """The same address with further session settings, as `-c name=value`; perhaps of another database there."""
    parsed = parse_url(url)
    given = f"{_given_options(parsed)} {options}".lstrip()
    parsed = parsed.update_query_dict({"options": given}).set(database=database or parsed.database)
    return parsed.render_as_string(hide_password=False)


def _no_address() -> ConfigError:
    return ConfigError(
        "database.url is not an address of a database", remedy="write it like postgresql://role@localhost/dca"
    )


def _give_up_read_only_sessions(context: ExceptionContext) -> None:
    """A session begun while the server was read-only stays so: SQLAlchemy then replaces every one of that time,
    where each would cost another failed attempt."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _is_away(error: BaseException) -> bool:
    state = sqlstate(error) or ""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
        return not state.startswith(_TOO_MUCH)
    return state in _AWAY


def _away(error: BaseException) -> DatabaseError:
    reason, remedy = first_line(error), "check that PostgreSQL runs and that database.url is right"
    if "unsupported startup parameter" in reason:
        remedy = "it is a connection pooler that answers: give the address of PostgreSQL itself in database.url"
    return DatabaseError(f"our database is not reachable: {reason}", remedy=remedy)


def sqlstate(error: BaseException) -> str | None:
    """The five-letter SQLSTATE of a database error, if it has one."""
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def constraint(error: BaseException) -> str | None:
    """The name of the constraint that refused, if one did."""
    diag = getattr(getattr(error, "orig", None), "diag", None)
    return getattr(diag, "constraint_name", None)


def first_line(error: BaseException) -> str:
    """The first line of the driver's own message: no SQL, no parameters. An error without words: its name."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@lru_cache(maxsize=512)
def statement(sql: str) -> TextClause:
    """The parsed statement; parsing a long one each time would cost as much as running it."""
    return text(sql)


def int_array(values: Iterable[int]) -> str:
    """An array of integers as PostgreSQL writes it: `{1,2,3}`. psycopg's own way takes longer than the insert."""
    return "{" + ",".join(map(str, values)) + "}"


async def rows(conn: AsyncConnection, sql: str, **parameters: Any) -> list[Any]:
    """All rows of a query; each row's columns by name."""
    return list((await conn.execute(statement(sql), parameters)).all())


async def one(conn: AsyncConnection, sql: str, **parameters: Any) -> Any:
    """The one row of a query, or None."""
    return (await conn.execute(statement(sql), parameters)).one_or_none()


async def scalar(conn: AsyncConnection, sql: str, **parameters: Any) -> Any:
    """The single value of a query, or None."""
    return (await conn.execute(statement(sql), parameters)).scalar_one_or_none()


async def execute(conn: AsyncConnection, sql: str, **parameters: Any) -> int:
    """Runs a statement; the number of rows it touched."""
    return (await conn.execute(statement(sql), parameters)).rowcount


async def for_sums(conn: AsyncConnection) -> None:
    """Until the transaction ends, sums over many rows may take the memory that spares them sorting on disk."""
    await conn.exec_driver_sql("SET LOCAL work_mem = '32MB'")


async def is_pooled(conn: AsyncConnection) -> bool:
    """Whether a connection pooler is in between: the process that it announces is not the one that answers."""
    driver = (await conn.get_raw_connection()).driver_connection
    return bool(driver is None or await scalar(conn, "SELECT pg_backend_pid()") != driver.info.backend_pid)


async def lock_pool(conn: AsyncConnection, pool_id: int) -> None:
    """Serializes everything that changes fiat balances of a pool, until the transaction ends."""
    await one(
        conn, "SELECT pg_advisory_xact_lock(:class, :pool)", **{"class": lock_keys.POOL_CLASS, "pool": pool_id}
    )
