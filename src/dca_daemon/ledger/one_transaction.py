"""A database all of whose work is done in one transaction that somebody else ends.

Whatever a service does in transactions of its own becomes one step of a larger one: so any of them can be
rehearsed whole, and a confirmation or a request's key is used up by the very commit that carries it out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon import fault_points
from dca_daemon.ledger.db import Database

T = TypeVar("T")


class OneTransaction(Database):
    """`whole`, for the time of the transaction on `conn`. What fails is taken back alone (a savepoint)."""

    def __init__(self, whole: Database, conn: AsyncConnection) -> None:
        self.name = whole.name
        self.work_error = None
        self.engine = whole.engine
        self._conn = conn

    async def close(self) -> None:
        """Nothing is its own."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A savepoint: given up on an error."""
        async with self._conn.begin_nested():
            yield self._conn

    async def run(
        self, work: Callable[[AsyncConnection], Awaitable[T]], *, step: fault_points.CommitStep | None = None
    ) -> T:
        """Once: after a deadlock the whole transaction is tried again, by who began it."""
        async with self.transaction() as conn:
            return await work(conn)

    async def rehearse(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """As ever: passes every check, and is taken back."""
        nested = await self._conn.begin_nested()
        try:
            result = await work(self._conn)
            await self._conn.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        finally:
            await nested.rollback()
        return result
