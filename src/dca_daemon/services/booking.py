"""What the intake needs of the books within one of its transactions.

`SqlBooking` is the real thing; a simulation (tests/simulation) runs the intake's rules on books in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.commission import NOTHING_SHARED, Pay, Terms
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.fault_points import CommitStep
from dca_daemon.ledger.db import lock_pool, rows
from dca_daemon.services import distributions, mirror
from dca_daemon.services import filters as intake_filters
from dca_daemon.services.distributions import Distributed
from dca_daemon.services.filters import Filters
from dca_daemon.services.mirror import Event, Known, Mirrored, Written
from dca_daemon.services.pools import Place, Pool, pools_of_machines

T = TypeVar("T")


class Transactions(Protocol):
    """What runs a transaction: `ledger.db.Database`."""

    async def run(self, work: Callable[[Any], Awaitable[T]], *, step: CommitStep | None = None) -> T:
        """Runs `work` in a transaction. Raises `DatabaseError` when the database is away."""


class Booking(Protocol):
    """The books within one transaction."""

    async def pools_of_machines(self, source_rows: Iterable[SourceRow], *, new_wait: bool) -> Mapping[str, Place]:
        """Where each row's machine stands, by device id; with `new_wait` one that is new waits for a decision."""

    async def filters(self) -> Filters:
        """What is left out."""

    async def lock_pool(self, pool_id: int) -> None:
        """Waits for all other writers of the pool; nobody else writes until this transaction ends."""

    async def known(self, source_rows: Sequence[SourceRow]) -> Mapping[str, Known]:
        """What the books have of these rows, by external id; locked."""

    async def count_duplicates(self, source: str, external_ids: Sequence[str]) -> None:
        """Somebody tried to have these booked a second time."""

    async def write(self, pool: Pool, changed: Sequence[Mirrored]) -> Mapping[str, Written]:
        """Mirrors rows; what they are in the books, by external id."""

    async def flow_balances(self, pool_id: int) -> dict[int, int]:
        """What the active Flow Mode clients still have in, in minor units by client id."""

    async def commission_terms(self) -> Terms:
        """How commission is shared from now on."""

    async def times_reversed(self, cash_out_ids: Sequence[int]) -> Mapping[int, int]:
        """How many distributions of these cash-outs were taken back; only those that have any."""

    async def distribute(
        self, booked: Sequence[Distributed], *, method: SplitMethod, charge: Charge, actor: str
    ) -> None:
        """Books distributions, with their records."""

    async def write_log(self, events: Sequence[Event]) -> None:
        """Appends to the processing logs."""


class SqlBooking:
    """See `Booking`."""

    def __init__(self, conn: AsyncConnection) -> None:
        self._conn = conn

    async def pools_of_machines(self, source_rows: Iterable[SourceRow], *, new_wait: bool) -> Mapping[str, Place]:
        return await pools_of_machines(self._conn, source_rows, new_wait=new_wait)

    async def filters(self) -> Filters:
        return await intake_filters.in_force(self._conn)

    async def lock_pool(self, pool_id: int) -> None:
        await lock_pool(self._conn, pool_id)

    async def known(self, source_rows: Sequence[SourceRow]) -> Mapping[str, Known]:
        return await mirror.known(self._conn, source_rows)

    async def count_duplicates(self, source: str, external_ids: Sequence[str]) -> None:
        await mirror.count_duplicates(self._conn, source, external_ids)

    async def write(self, pool: Pool, changed: Sequence[Mirrored]) -> Mapping[str, Written]:
        return await mirror.write(self._conn, pool, changed)

    async def flow_balances(self, pool_id: int) -> dict[int, int]:
        return await flow_balances(self._conn, pool_id)

    async def commission_terms(self) -> Terms:
        return await commission_terms(self._conn)

    async def times_reversed(self, cash_out_ids: Sequence[int]) -> Mapping[int, int]:
        return await distributions.times_reversed(self._conn, cash_out_ids)

    async def distribute(
        self, booked: Sequence[Distributed], *, method: SplitMethod, charge: Charge, actor: str
    ) -> None:
        await distributions.write(self._conn, booked, method=method, charge=charge, actor=actor)

    async def write_log(self, events: Sequence[Event]) -> None:
        await mirror.write_log(self._conn, events)


async def flow_balances(conn: AsyncConnection, pool_id: int) -> dict[int, int]:
    """What the active Flow Mode clients still have in, in minor units by client id. Hold the pool's lock."""
    found = await rows(
        conn,
        """SELECT a.client_id, -a.balance AS minor
             FROM account a JOIN client c ON c.id = a.client_id
            WHERE a.pool_id = :pool AND a.purpose = 'client-fiat' AND a.balance < 0
              AND c.mode = 'flow' AND c.status = 'active'""",
        pool=pool_id,
    )
    return {r.client_id: r.minor for r in found}


async def commission_terms(conn: AsyncConnection) -> Terms:
    """How commission is shared by the version in force: the active shares of active receivers."""
    found = await rows(
        conn,
        """SELECT v.id, v.pay, s.client_id, s.basis_points
             FROM (SELECT id, pay FROM commission_version ORDER BY id DESC LIMIT 1) v
             LEFT JOIN (commission_share s JOIN client c ON c.id = s.client_id AND c.status = 'active')
               ON s.version_id = v.id AND s.active""",
    )
    if not found:
        return NOTHING_SHARED
    shares = {r.client_id: r.basis_points for r in found if r.client_id is not None}
    return Terms(found[0].id, Pay(found[0].pay), shares)
