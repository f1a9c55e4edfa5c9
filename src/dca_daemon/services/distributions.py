"""Distributions in the books: the journal entry, the distribution, and a record per receiver."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.allocation import Allocation
from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.split import Charge, Split, SplitMethod
from dca_daemon.ledger import journal
from dca_daemon.ledger.db import execute, int_array
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

    @property
    def event(self) -> Event:
        """Its line in the processing log."""
        detail = {
            "total_sats": self.split.total_sats,
            "principal_sats": self.split.principal_sats,
            "commission_sats": self.split.commission_sats,
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
                pool_id=d.pool.pool_id,
                currency=d.pool.currency,
                total_sats=d.split.total_sats,
                fiat_minor=d.fiat_minor,
                allocation=d.allocation,
                happened_at=d.happened_at,
                actor=actor,
            )
            for d in booked
        ],
    )
    shares = [(d.cash_out_id, share) for d in booked for share in d.allocation.shares]
    # One statement: each trip to the database is a part of the time from the cash-out to its distribution.
    await execute(
        conn,
        _INSERT,
        method=method,
        charge=charge,
        distributions=json.dumps([_values(d, e) for d, e in zip(booked, entry_ids, strict=True)]),
        cash_outs=int_array(cash_out_id for cash_out_id, _ in shares),
        clients=int_array(share.client_id for _, share in shares),
        sats=int_array(share.sats for _, share in shares),
        minor=int_array(share.fiat_minor for _, share in shares),
    )


_INSERT = """
    WITH d AS (
        INSERT INTO distribution (kind, split_method, charge, cash_out_id, pool_id, entry_id, total_sats,
               principal_sats, commission_sats, uncovered_sats, fiat_minor, charge_minor, uncovered_minor,
               client_count, happened_at)
        SELECT 'cash-out', :method, :charge, r.*
          FROM jsonb_to_recordset(CAST(:distributions AS jsonb)) AS r (
               cash_out_id bigint, pool_id integer, entry_id bigint, total_sats bigint,
               principal_sats bigint, commission_sats bigint, uncovered_sats bigint, fiat_minor bigint,
               charge_minor bigint, uncovered_minor bigint, client_count integer, happened_at timestamptz)
        RETURNING id, cash_out_id, (
            SELECT CASE c.source WHEN 'manual' THEN 'manual' ELSE 'flow' END
              FROM cash_out c WHERE c.id = cash_out_id) AS type)
    INSERT INTO distribution_record (type, distribution_id, client_id, sats, fiat_minor, state)
    SELECT d.type, d.id, r.client_id, r.sats, r.fiat_minor,
           CASE WHEN r.sats = 0 THEN 'nothing' ELSE 'owed' END
      FROM unnest(CAST(:cash_outs AS bigint[]), CAST(:clients AS bigint[]),
                  CAST(:sats AS bigint[]), CAST(:minor AS bigint[]))
           WITH ORDINALITY AS r (cash_out_id, client_id, sats, fiat_minor, n)
      JOIN d ON d.cash_out_id = r.cash_out_id
     ORDER BY r.n  -- records are paid in the order of their ids: cash-outs as they happened, clients by id"""


def _values(d: Distributed, entry_id: int) -> dict[str, Any]:
    return {
        "cash_out_id": d.cash_out_id,
        "pool_id": d.pool.pool_id,
        "entry_id": entry_id,
        "total_sats": d.split.total_sats,
        "principal_sats": d.split.principal_sats,
        "commission_sats": d.split.commission_sats,
        "uncovered_sats": d.allocation.house_sats,
        "fiat_minor": d.fiat_minor,
        "charge_minor": d.split.charge_minor,
        "uncovered_minor": d.allocation.house_minor,
        "client_count": len(d.allocation.shares),
        "happened_at": str(d.happened_at),
    }
