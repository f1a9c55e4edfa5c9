"""One process's way to the books in memory: transactions that commit as a whole or not at all.

What is read is what was committed at that moment (READ COMMITTED); what is written is written at the commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Protocol, TypeVar

from dca_daemon import fault_points
from dca_daemon.fault_points import CommitStep
from tests.simulation.tables import Tables

T = TypeVar("T")


class Weather(Protocol):
    """What the world does to the calls of one process. Each may take its time, raise, or never return."""

    async def statement(self) -> None:
        """On the way to the database. Raises `DatabaseError` when it is away."""

    async def commit(self, apply: Callable[[], None]) -> None:
        """Has the transaction committed by `apply`. Raises `DatabaseError` before it, or after it."""


class FairWeather:
    """Nothing ever happens."""

    async def statement(self) -> None:
        """At once."""

    async def commit(self, apply: Callable[[], None]) -> None:
        """At once."""
        apply()


class Transaction:
    """Collects what is to be written, and holds locks until the end."""

    def __init__(self, tables: Tables, weather: Weather, locks: AsyncExitStack) -> None:
        self.tables = tables
        self._weather = weather
        self._locks = locks
        self._writes: list[Callable[[], object]] = []

    async def statement(self) -> None:
        """Each statement is a trip to the database."""
        await self._weather.statement()

    async def lock_pool(self) -> None:
        """Waits for every other writer."""
        await self.statement()
        await self._locks.enter_async_context(self.tables.pool_lock)

    def at_commit(self, write: Callable[[], object]) -> None:
        """To be done at the commit, all or nothing: only the first write may refuse, by raising."""
        self._writes.append(write)

    def commit(self) -> None:
        for write in self._writes:
            write()


class Session:
    """Takes the place of `ledger.db.Database`."""

    def __init__(self, tables: Tables, weather: Weather) -> None:
        self.tables = tables
        self.weather = weather

    async def run(self, work: Callable[[Transaction], Awaitable[T]], *, step: CommitStep | None = None) -> T:
        async with AsyncExitStack() as locks:
            transaction = Transaction(self.tables, self.weather, locks)
            await transaction.statement()
            result = await work(transaction)
            await fault_points.before_commit(step)
            await self.weather.commit(transaction.commit)
        await fault_points.after_commit(step)
        return result
