"""Distributions in the books: the journal entry, the distribution, and a record per receiver."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.allocation import Allocation
from dca_daemon.domain.cash_out import MANUAL, SourceRow
from dca_daemon.domain.commission import NOTHING_SHARED, CommissionAllocation, Pay, Terms
from dca_daemon.domain.split import Charge, Split, SplitMethod
from dca_daemon.ledger import journal
from dca_daemon.ledger.db import execute, int_array, rows
from dca_daemon.ledger.postings.cash_out_distributed import cash_out_distributed
from dca_daemon.services.mirror import Event
from dca_daemon.services.pools import Pool


@dataclass(frozen=True, slots=True)
class Distributed:
    """One cash-out, split and shared: ready to be booked, or as it was booked."""

    row: SourceRow
    cash_out_id: int
    happened_at: datetime
    pool: Pool
    split: Split
    fiat_minor: int
    allocation: Allocation
    commission: CommissionAllocation
    terms: Terms = NOTHING_SHARED
    times_reversed: int = 0  # distributions of the same cash-out that were taken back

    def __post_init__(self) -> None:
        assert self.commission.shared_sats + self.commission.house_sats == self.split.commission_sats

    @property
    def record_type(self) -> str:
        """What its clients' records are called."""
        return "manual" if self.row.source == MANUAL else "flow"

    @property
    def commission_state(self) -> str:
        """Where its commission records begin: payable at once, or gathered until they are released."""
        return "owed" if self.terms.pay is Pay.AT_ONCE else "gathered"

    @property
    def house_sats(self) -> int:
        """What is the house's: unshared commission, and principal that no balance covered."""
        return self.commission.house_sats + self.allocation.house_sats

    @property
    def event(self) -> Event:
        """Its line in the processing log."""
        detail = {
            "total_sats": self.split.total_sats,
            "principal_sats": self.split.principal_sats,
            "commission_sats": self.split.commission_sats,
            "commission_shared_sats": self.commission.shared_sats,
            "uncovered_sats": self.allocation.house_sats,
            "charge_minor": self.split.charge_minor,
            "clients": len(self.allocation.shares),
        }
        return self.cash_out_id, "booked", detail


async def write(
    conn: AsyncConnection,
    booked: Sequence[Distributed],
    *,
    method: SplitMethod,
    charge: Charge,
    actor: str,
) -> None:
    """Books a batch, set by set. The database checks every sum again."""
    entry_ids = await journal.post(
        conn,
        [
            cash_out_distributed(
                cash_out_id=d.cash_out_id,
                source=d.row.source,
                external_id=d.row.external_id,
                times_reversed=d.times_reversed,
                pool_id=d.pool.pool_id,
                currency=d.pool.currency,
                total_sats=d.split.total_sats,
                fiat_minor=d.fiat_minor,
                allocation=d.allocation,
                commission=d.commission,
                happened_at=d.happened_at,
                actor=actor,
            )
            for d in booked
        ],
    )
    records = [record for d in booked for record in _records(d)]
    # One statement: each trip to the database is a part of the time from the cash-out to its distribution.
    await execute(
        conn,
        _INSERT,
        method=method,
        charge=charge,
        distributions=json.dumps([_values(d, e) for d, e in zip(booked, entry_ids, strict=True)]),
        cash_outs=int_array(r[0] for r in records),
        types=_text_array(r[1] for r in records),
        clients=int_array(r[2] for r in records),
        sats=int_array(r[3] for r in records),
        minor=int_array(r[4] for r in records),
        states=_text_array(r[5] for r in records),
    )


_INSERT = """
    WITH d AS (
        INSERT INTO distribution (kind, split_method, charge, cash_out_id, pool_id, entry_id, total_sats,
               principal_sats, commission_sats, commission_shared_sats, commission_version_id, uncovered_sats,
               fiat_minor, charge_minor, uncovered_minor, client_count, happened_at)
        SELECT 'cash-out', :method, :charge, r.*
          FROM jsonb_to_recordset(CAST(:distributions AS jsonb)) AS r (
               cash_out_id bigint, pool_id integer, entry_id bigint, total_sats bigint,
               principal_sats bigint, commission_sats bigint, commission_shared_sats bigint,
               commission_version_id bigint, uncovered_sats bigint, fiat_minor bigint,
               charge_minor bigint, uncovered_minor bigint, client_count integer, happened_at timestamptz)
        RETURNING id, cash_out_id)
    INSERT INTO distribution_record (type, distribution_id, client_id, sats, fiat_minor, state)
    SELECT r.type, d.id, r.client_id, r.sats, r.fiat_minor,
           CASE WHEN r.sats = 0 THEN 'nothing' ELSE r.state END
      FROM unnest(CAST(:cash_outs AS bigint[]), CAST(:types AS text[]), CAST(:clients AS bigint[]),
                  CAST(:sats AS bigint[]), CAST(:minor AS bigint[]), CAST(:states AS text[]))
           WITH ORDINALITY AS r (cash_out_id, type, client_id, sats, fiat_minor, state, n)
      JOIN d ON d.cash_out_id = r.cash_out_id
     ORDER BY r.n  -- records are paid in the order of their ids: cash-outs as they happened, clients by id"""

_Record = tuple[int, str, int, int, int, str]  # cash-out, type, client, sats, fiat, state


def _records(d: Distributed) -> list[_Record]:
    return [
        *((d.cash_out_id, d.record_type, s.client_id, s.sats, s.fiat_minor, "owed") for s in d.allocation.shares),
        *((d.cash_out_id, "commission", p.client_id, p.sats, 0, d.commission_state) for p in d.commission.parts),
    ]


def _text_array(words: Iterable[str]) -> str:
    """An array of plain words as PostgreSQL writes it, as `int_array` does for numbers."""
    return "{" + ",".join(words) + "}"


def _values(d: Distributed, entry_id: int) -> dict[str, Any]:
    return {
        "cash_out_id": d.cash_out_id,
        "pool_id": d.pool.pool_id,
        "entry_id": entry_id,
        "total_sats": d.split.total_sats,
        "principal_sats": d.split.principal_sats,
        "commission_sats": d.split.commission_sats,
        "commission_shared_sats": d.commission.shared_sats,
        "commission_version_id": d.terms.version_id,
        "uncovered_sats": d.allocation.house_sats,
        "fiat_minor": d.fiat_minor,
        "charge_minor": d.split.charge_minor,
        "uncovered_minor": d.allocation.house_minor,
        "client_count": len(d.allocation.shares),
        "happened_at": str(d.happened_at),
    }


async def times_reversed(conn: AsyncConnection, cash_out_ids: Sequence[int]) -> dict[int, int]:
    """How many distributions of these cash-outs were taken back; only those that have any."""
    found = await rows(
        conn,
        """SELECT cash_out_id, count(*) AS n FROM distribution
            WHERE cash_out_id = ANY(CAST(:ids AS bigint[])) AND reversed_at IS NOT NULL GROUP BY cash_out_id""",
        ids=int_array(cash_out_ids),
    )
    return {r.cash_out_id: r.n for r in found}
