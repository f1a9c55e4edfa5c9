"""Places for books that nobody is paid from: schemas of a scratch database, apart from the books.

A database of its own, because that is where PostgreSQL draws its own lines: a session in it can't name a table of
the books, and no advisory lock and no notification passes from one database to another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, DatabaseError, InputError
from dca_daemon.ledger import lock_keys, migrate
from dca_daemon.ledger.db import Database, first_line, parse_url, rows, scalar, sqlstate, with_options

_MARK = "dca-daemon: scratch books, nothing is paid from them"
_MAY_NOT = "42501"  # insufficient privilege


class Purpose(StrEnum):
    """What a place is for; the name of its schema."""

    SHADOW = "shadow"
    SIMULATION = "simulation"

    @property
    def lock_key(self) -> int:
        """Of the session lock of who works there."""
        return lock_keys.SCRATCH + list(Purpose).index(self)


@dataclass(frozen=True, slots=True)
class Place:
    """Where scratch books are. `url` leads into the schema: no other is on the path of its sessions."""

    purpose: Purpose
    database: str
    books_url: str = field(repr=False)
    database_url: str = field(repr=False)
    url: str = field(repr=False)


def place(books_url: str, purpose: Purpose, *, database: str | None = None) -> Place:
    """The place beside the books: a database on the same server, of the same role, named after theirs.

    Raises `InputError` when that is the database of the books themselves.
    """
    books = parse_url(books_url).database or ""
    name = f"{books}_shadow" if database is None else database.strip()
    if not name or name == books:
        raise InputError(
            f"{name!r} can't be the scratch database: it must be another one than that of the books",
            remedy=f"create one: createdb -O ROLE {books}_shadow",
        )
    apart = with_options(books_url, "", database=name)
    return Place(purpose, name, books_url, apart, with_options(apart, f"-c search_path={purpose}"))


def read_only(books_url: str) -> str:
    """The address of the books, in sessions that PostgreSQL lets change nothing."""
    return with_options(books_url, "-c default_transaction_read_only=on")


@asynccontextmanager
async def occupied(where: Place, *, afresh: bool) -> AsyncIterator[Database]:
    """The scratch books, migrated, for one process at a time; `afresh`: empty, and gone again afterwards.

    Raises `ConflictError` while another process works there, and `DatabaseError` when the database is away, is
    not there and can't be made, or is somebody else's.
    """
    await _ensure_database(where)
    outside = Database(where.database_url, pool_size=1)
    try:
        async with outside.session_lock(where.purpose.lock_key) as ours:
            if not ours:
                raise ConflictError(
                    f"another dca-daemon works in the {where.purpose} of the database {where.database!r} already",
                    remedy="wait for its end, or name another database with --database",
                )
            if afresh:
                await drop(where)
            await _prepare(where)
            inside = Database(where.url, pool_size=2, application_name=f"dca-daemon {where.purpose}")
            try:
                yield inside
            finally:
                await inside.close()
                if afresh:
                    await drop(where)
    finally:
        await outside.close()


@asynccontextmanager
async def looked_at(where: Place) -> AsyncIterator[Database]:
    """The scratch books as they are, to read. Raises `InputError` when there are none."""
    db = Database(with_options(where.url, "-c default_transaction_read_only=on"), pool_size=2)
    try:
        if not await exists(where):
            raise InputError(
                f"there is no {where.purpose} in the database {where.database!r}",
                remedy="begin one: dca-daemon shadow",
            )
        if not (await migrate.revision(db)).fits:
            raise DatabaseError(
                f"the {where.purpose} was kept by another release of dca-daemon",
                remedy="run it once, which brings it up to date: dca-daemon shadow",
            )
        yield db
    finally:
        await db.close()


async def exists(where: Place) -> bool:
    """Whether there are scratch books of this purpose. Raises `DatabaseError` when the server is away."""
    if not await _has_database(where):
        return False
    db = Database(where.database_url, pool_size=1)
    try:
        async with db.transaction() as conn:
            return await _is_ours(conn, where.purpose)
    finally:
        await db.close()


async def discard(where: Place) -> bool:
    """Drops the scratch books. Whether there were any. Raises `ConflictError` while somebody works there."""
    if not await exists(where):
        return False
    db = Database(where.database_url, pool_size=1)
    try:
        async with db.session_lock(where.purpose.lock_key) as ours:
            if not ours:
                raise ConflictError(
                    f"a {where.purpose} is running in the database {where.database!r}: end it first"
                )
            await drop(where)
    finally:
        await db.close()
    return True


async def drop(where: Place) -> None:
    """Drops the schema, if it is one that we made."""
    db = Database(where.database_url, pool_size=1)
    try:
        async with db.transaction() as conn:
            if await _is_ours(conn, where.purpose):
                await conn.exec_driver_sql("SET LOCAL client_min_messages = warning")
                await conn.exec_driver_sql(f"DROP SCHEMA {where.purpose} CASCADE")
    finally:
        await db.close()


async def _ensure_database(where: Place) -> None:
    """Makes the database where the role may; else tells who can."""
    if await _has_database(where):
        return
    books = Database(where.books_url, pool_size=1)
    try:
        async with books.engine.connect() as conn:
            await conn.execution_options(isolation_level="AUTOCOMMIT")
            quoted = books.engine.dialect.identifier_preparer.quote_identifier(where.database)
            await conn.exec_driver_sql(f"CREATE DATABASE {quoted}")
    except DBAPIError as error:
        if sqlstate(error) != _MAY_NOT:
            raise DatabaseError(f"the scratch database {where.database!r}: {first_line(error)}") from error
        raise DatabaseError(
            f"there is no scratch database {where.database!r}, and our role may not create one",
            remedy=f"as PostgreSQL's superuser: createdb -O {parse_url(where.books_url).username or 'ROLE'} "
            f"{where.database}",
        ) from error
    finally:
        await books.close()


async def _has_database(where: Place) -> bool:
    books = Database(read_only(where.books_url), pool_size=1)
    try:
        async with books.transaction() as conn:
            found = await scalar(conn, "SELECT 1 FROM pg_catalog.pg_database WHERE datname = :n", n=where.database)
            return found is not None
    finally:
        await books.close()


async def _prepare(where: Place) -> None:
    db = Database(where.database_url, pool_size=1)
    try:
        async with db.transaction() as conn:
            if not await _is_ours(conn, where.purpose):
                await _require_empty(conn, where)
                await conn.exec_driver_sql(f"CREATE SCHEMA {where.purpose}")
                await conn.exec_driver_sql(f"COMMENT ON SCHEMA {where.purpose} IS '{_MARK}'")
    except DBAPIError as error:
        if sqlstate(error) != _MAY_NOT:
            raise
        role = parse_url(where.books_url).username or "ROLE"
        raise DatabaseError(
            f"our role may not work in the scratch database {where.database!r}: {first_line(error)}",
            remedy=f'as PostgreSQL\'s superuser: ALTER DATABASE "{where.database}" OWNER TO "{role}"',
        ) from error
    finally:
        await db.close()
    await asyncio.to_thread(migrate.upgrade, where.url)


async def _is_ours(conn: AsyncConnection, purpose: Purpose) -> bool:
    mark = await scalar(
        conn,
        """SELECT coalesce(obj_description(n.oid, 'pg_namespace'), '') FROM pg_catalog.pg_namespace n
            WHERE n.nspname = :name""",
        name=purpose,
    )
    if mark not in (None, _MARK):
        raise DatabaseError(
            f"the schema {purpose} in the scratch database is not ours: nothing was changed",
            remedy="name another database with --database",
        )
    return mark is not None


async def _require_empty(conn: AsyncConnection, where: Place) -> None:
    """Lamassu's database, or the books of another program, must not be taken for a scratch one."""
    found = await rows(
        conn,
        """SELECT c.relname FROM pg_catalog.pg_class c
            WHERE c.relnamespace = to_regnamespace('public') AND c.relkind IN ('r', 'p')
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
            ORDER BY c.relname LIMIT 3""",
    )
    if found:
        tables = ", ".join(r.relname for r in found)
        raise DatabaseError(
            f"the database {where.database!r} holds another program's tables ({tables}, …): nothing was changed",
            remedy="name an empty one with --database, or leave it out",
        )
