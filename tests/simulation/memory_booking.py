"""`services.booking.Booking` on books in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.commission import Terms
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.services.distributions import Distributed
from dca_daemon.services.filters import Filters
from dca_daemon.services.mirror import Event, Known, Mirrored, Written
from dca_daemon.services.pools import Place, Pool
from tests.simulation.session import Transaction
from tests.simulation.tables import POOL, CashOut, Record, moment, now_seconds


class MemoryBooking:
    """See `services.booking.Booking`."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction
        self._tables = transaction.tables

    async def pools_of_machines(self, source_rows: Iterable[SourceRow], *, new_wait: bool) -> Mapping[str, Place]:
        await self._tx.statement()
        return {row.device_id: Place(POOL) for row in source_rows}

    async def filters(self) -> Filters:
        await self._tx.statement()
        return Filters()

    async def lock_pool(self, pool_id: int) -> None:
        await self._tx.lock_pool()

    async def known(self, source_rows: Sequence[SourceRow]) -> Mapping[str, Known]:
        await self._tx.statement()
        cash_outs = self._tables.cash_outs
        return {r.external_id: cash_outs[r.external_id].known for r in source_rows if r.external_id in cash_outs}

    async def count_duplicates(self, source: str, external_ids: Sequence[str]) -> None:
        await self._tx.statement()
        self._tx.at_commit(lambda: self._count(external_ids))

    def _count(self, external_ids: Sequence[str]) -> None:
        for external_id in external_ids:
            self._tables.cash_outs[external_id].duplicates += 1

    async def write(self, pool: Pool, changed: Sequence[Mirrored]) -> Mapping[str, Written]:
        await self._tx.statement()
        written: dict[str, Written] = {}
        for mirrored in changed:
            row, before = mirrored.row, self._tables.cash_outs.get(mirrored.row.external_id)
            cash_out = CashOut(
                cash_out_id=before.cash_out_id if before else next(self._tables.ids),
                row=row,
                state=mirrored.state,
                reason=mirrored.reason,
                text=mirrored.text,
                happened_at=row.dispensed_at or moment(now_seconds()),
                duplicates=before.duplicates if before else 0,
            )
            written[row.external_id] = Written(cash_out.cash_out_id, cash_out.happened_at)
            self._tx.at_commit(partial(self._keep, cash_out))
        return written

    def _keep(self, cash_out: CashOut) -> None:
        self._tables.cash_outs[cash_out.row.external_id] = cash_out

    async def flow_balances(self, pool_id: int) -> dict[int, int]:
        await self._tx.statement()
        clients = self._tables.clients.values()
        return {c.client_id: c.balance_minor for c in clients if c.active and c.balance_minor > 0}

    async def commission_terms(self) -> Terms:
        await self._tx.statement()
        return self._tables.commission

    async def times_reversed(self, cash_out_ids: Sequence[int]) -> Mapping[int, int]:
        await self._tx.statement()
        return {}

    async def distribute(
        self, booked: Sequence[Distributed], *, method: SplitMethod, charge: Charge, actor: str
    ) -> None:
        await self._tx.statement()
        for one in booked:
            self._tx.at_commit(partial(self._distribute, one))

    def _distribute(self, booked: Distributed) -> None:
        self._tables.distributions.append(booked)
        for share in booked.allocation.shares:
            self._tables.clients[share.client_id].balance_minor -= share.fiat_minor
            self._record(share.client_id, share.sats, share.fiat_minor, "owed")
        for part in booked.commission.parts:
            self._record(part.client_id, part.sats, 0, booked.commission_state)

    def _record(self, client_id: int, sats: int, fiat_minor: int, state: str) -> None:
        record_id = next(self._tables.ids)
        state = state if sats else "nothing"
        self._tables.records[record_id] = Record(record_id, client_id, sats, fiat_minor, state)

    async def write_log(self, events: Sequence[Event]) -> None:
        await self._tx.statement()
