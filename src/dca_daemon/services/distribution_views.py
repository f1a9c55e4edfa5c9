"""Distributions as people look at them: what was shared, with each record and the payout that it is in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, NotFoundError
from dca_daemon.domain.payout import NEVER_SUBMITTED_STATES, PayoutState
from dca_daemon.ledger.db import Database, one, rows, scalar
from dca_daemon.services import cash_outs


@dataclass(frozen=True, slots=True)
class RecordView:
    """A distribution record, with the payout that it is in, if any. Fiat in minor units."""

    record_id: int
    client_id: int
    client: str
    type: str
    sats: int
    fiat_minor: int
    state: str
    payout_id: str | None
    payout_state: PayoutState | None
    held_from: PayoutState | None
    adopted: bool

    @property
    def in_the_way(self) -> bool:
        """Whether it keeps its distribution from being reversed."""
        return self.state == "settled" or (self.state == "in-payout" and not self.voidable)

    @property
    def voidable(self) -> bool:
        """Whether its payout waits for a person and was never submitted: it can be ended with the reversal."""
        return (
            self.payout_state is PayoutState.HELD and self.held_from in NEVER_SUBMITTED_STATES and not self.adopted
        )


@dataclass(frozen=True, slots=True)
class DistributionView:
    """A distribution with its records. Sats; fiat in minor units."""

    distribution_id: int
    kind: str
    cash_out_id: int | None
    external_id: str | None
    pool_id: int
    pool: str
    currency: str
    entry_id: int
    total_sats: int
    fiat_minor: int
    charge_minor: int
    house_sats: int
    happened_at: datetime
    booked_at: datetime
    reason: str | None
    reversed_at: datetime | None
    reversal_entry_id: int | None
    records: tuple[RecordView, ...]

    @property
    def name(self) -> str:
        """For people."""
        of = f"cash-out {self.cash_out_id} ({self.external_id})" if self.cash_out_id is not None else self.kind
        return f"distribution {self.distribution_id} of {of}"


async def find_of_cash_out(db: Database, reference: str) -> DistributionView:
    """The distribution in force of a cash-out. Raises `NotFoundError` and `ConflictError`."""
    async with db.transaction() as conn:
        cash_out_id = await cash_outs.find(conn, reference)
        distribution_id = await scalar(
            conn,
            "SELECT id FROM distribution WHERE cash_out_id = :id AND reversed_at IS NULL",
            id=cash_out_id,
        )
        if distribution_id is None:
            state = await scalar(conn, "SELECT state FROM cash_out WHERE id = :id", id=cash_out_id)
            raise ConflictError(f"cash-out {cash_out_id} is {state}: there is no distribution to reverse")
        return await view_of(conn, distribution_id)


async def show(db: Database, distribution_id: int) -> DistributionView:
    """One distribution. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        return await view_of(conn, distribution_id)


async def list_all(
    db: Database, *, kind: str | None = None, reversed_only: bool = False, limit: int = 50
) -> list[DistributionView]:
    """The newest distributions first."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            f"""{_SELECT} WHERE (CAST(:kind AS text) IS NULL OR d.kind = :kind)
                            AND (NOT CAST(:reversed AS boolean) OR d.reversed_at IS NOT NULL)
                 ORDER BY d.id DESC LIMIT :limit""",
            kind=kind,
            reversed=reversed_only,
            limit=limit,
        )
        return [await _with_records(conn, r) for r in found]


_SELECT = """
    SELECT d.id AS distribution_id, d.kind, d.cash_out_id, c.external_id, d.pool_id, p.name AS pool, p.currency,
           d.entry_id, d.total_sats, d.fiat_minor, d.charge_minor,
           d.commission_sats - d.commission_shared_sats + d.uncovered_sats AS house_sats,
           d.happened_at, d.booked_at, d.reason, d.reversed_at, d.reversal_entry_id
      FROM distribution d JOIN pool p ON p.id = d.pool_id LEFT JOIN cash_out c ON c.id = d.cash_out_id
"""


async def view_of(conn: AsyncConnection, distribution_id: int) -> DistributionView:
    """One distribution, in the caller's transaction. Raises `NotFoundError`."""
    found = await one(conn, f"{_SELECT} WHERE d.id = :id", id=distribution_id)
    if found is None:
        raise NotFoundError(
            f"there is no distribution {distribution_id}", remedy="see: dca-daemon distribution list"
        )
    return await _with_records(conn, found)


async def _with_records(conn: AsyncConnection, found: Any) -> DistributionView:
    records = await rows(
        conn,
        """SELECT r.id AS record_id, r.client_id, c.name AS client, r.type, r.sats, r.fiat_minor, r.state,
                  CAST(p.id AS text) AS payout_id, p.state AS payout_state, p.held_from,
                  p.adopted_at IS NOT NULL AS adopted
             FROM distribution_record r JOIN client c ON c.id = r.client_id
             LEFT JOIN payout_record pr ON pr.record_id = r.id AND pr.active
             LEFT JOIN payout p ON p.id = pr.payout_id
            WHERE r.distribution_id = :id ORDER BY r.id""",
        id=found.distribution_id,
    )
    return DistributionView(**found._mapping, records=tuple(_record(r) for r in records))


def _record(r: Any) -> RecordView:
    values = dict(r._mapping)
    for name in ("payout_state", "held_from"):
        values[name] = None if values[name] is None else PayoutState(values[name])
    return RecordView(**values)
