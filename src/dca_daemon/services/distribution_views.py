"""Distributions as people look at them: what was shared, with each record and the payout that it is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, NotFoundError
from dca_daemon.domain.payout import NEVER_SUBMITTED_STATES, PayoutState
from dca_daemon.ledger.db import Database, int_array, one, rows, scalar
from dca_daemon.ledger.pages import Conditions, anchor
from dca_daemon.services import cash_outs, clients


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
    db: Database,
    *,
    kind: str | None = None,
    reversed_only: bool = False,
    client: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    after: int | None = None,
) -> list[DistributionView]:
    """The newest distributions first, from after the distribution `after` on.

    `client`: those that it has a record of. Booked from `since` until before `until`. Raises `NotFoundError`.
    """
    conditions = Conditions()
    conditions.given("d.kind = :kind", kind=kind)
    conditions.given("d.booked_at >= :since", since=since)
    conditions.given("d.booked_at < :until", until=until)
    if reversed_only:
        conditions.always("d.reversed_at IS NOT NULL")
    order = "d.booked_at DESC, d.id DESC"
    async with db.transaction() as conn:
        if client is not None:
            client_id = await clients.find(conn, client)
            page = await _of_client(conn, client_id, conditions, limit, after)
            conditions, order = Conditions(), "array_position(CAST(:page AS bigint[]), d.id)"
            conditions.always("d.id = ANY(CAST(:page AS bigint[]))", page=int_array(page))
        elif after is not None:
            at = await anchor(
                conn, "distribution", "SELECT booked_at, id FROM distribution WHERE id = :after", after
            )
            conditions.always("(d.booked_at, d.id) < (:at, :id)", at=at.booked_at, id=at.id)
        found = await rows(
            conn,
            f"{_SELECT} {conditions.where} ORDER BY {order} LIMIT :limit",
            limit=limit,
            **conditions.values,
        )
        return await _with_records(conn, found)


async def _of_client(
    conn: AsyncConnection, client_id: int, conditions: Conditions, limit: int, after: int | None
) -> list[int]:
    """The ids of a page of one client's, each at the place of its last record of the client."""
    conditions.always("r.client_id = :client", client=client_id)
    if after is not None:
        query = f"""SELECT id FROM distribution_record WHERE client_id = {client_id} AND distribution_id = :after
                     ORDER BY id DESC LIMIT 1"""  # noqa: S608 - a number of ours
        at = await anchor(conn, "distribution of this client", query, after)
        conditions.always("r.id < :after", after=at.id)
    found = await rows(
        conn,
        f"""SELECT d.id FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
             WHERE {conditions.all}
               AND NOT EXISTS (SELECT FROM distribution_record x WHERE x.distribution_id = r.distribution_id
                                  AND x.client_id = r.client_id AND x.id > r.id)
             ORDER BY r.id DESC LIMIT :limit""",  # noqa: S608 - every part stands here
        limit=limit,
        **conditions.values,
    )
    return [int(r.id) for r in found]


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
    return (await _with_records(conn, [found]))[0]


async def _with_records(conn: AsyncConnection, found: Sequence[Any]) -> list[DistributionView]:
    records: dict[int, list[RecordView]] = {r.distribution_id: [] for r in found}
    for r in await rows(
        conn,
        """SELECT r.distribution_id, r.id AS record_id, r.client_id, c.name AS client, r.type, r.sats,
                  r.fiat_minor, r.state, CAST(p.id AS text) AS payout_id, p.state AS payout_state, p.held_from,
                  p.adopted_at IS NOT NULL AS adopted
             FROM distribution_record r JOIN client c ON c.id = r.client_id
             LEFT JOIN payout_record pr ON pr.record_id = r.id AND pr.active
             LEFT JOIN payout p ON p.id = pr.payout_id
            WHERE r.distribution_id = ANY(CAST(:ids AS bigint[])) ORDER BY r.id""",
        ids=int_array(records),
    ):
        records[r.distribution_id].append(_record(r))
    return [DistributionView(**r._mapping, records=tuple(records[r.distribution_id])) for r in found]


def _record(r: Any) -> RecordView:
    values = {name: value for name, value in r._mapping.items() if name != "distribution_id"}
    for name in ("payout_state", "held_from"):
        values[name] = None if values[name] is None else PayoutState(values[name])
    return RecordView(**values)
