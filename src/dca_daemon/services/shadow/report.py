"""What the scratch books have come to: by pool, client and receiver, and what was not distributed and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.money import fiat_per_btc
from dca_daemon.ledger.db import Database, for_sums, int_array, one, rows

_UNINTERESTING = "('distributed', 'before-baseline', 'failed')"


@dataclass(frozen=True, slots=True)
class PoolSums:
    """All that was distributed in a pool. The house's: unshared commission, and principal that nobody covered."""

    pool_id: int
    pool: str
    currency: str
    cash_outs: int
    total_sats: int
    principal_sats: int
    clients_sats: int
    uncovered_sats: int
    commission_sats: int
    commission_shared_sats: int
    fiat_minor: int
    charge_minor: int
    uncovered_minor: int

    @property
    def house_sats(self) -> int:
        """What is the house's."""
        return self.total_sats - self.clients_sats - self.commission_shared_sats


@dataclass(frozen=True, slots=True)
class ClientSums:
    """What a client would have got. `given_minor`: what it began with, and what came and went since."""

    client_id: int
    client: str
    mode: str
    status: str
    pool_id: int
    pool: str
    currency: str
    given_minor: int
    converted_minor: int
    left_minor: int
    purchases: int
    sats: int

    @property
    def average_fiat_per_btc(self) -> Decimal | None:
        """What it would have paid for a bitcoin."""
        return fiat_per_btc(self.sats, self.converted_minor, self.currency)


@dataclass(frozen=True, slots=True)
class ReceiverSums:
    """What a receiver of commission would have got."""

    client_id: int
    receiver: str
    records: int
    sats: int


@dataclass(frozen=True, slots=True)
class Undistributed:
    """A cash-out that would wait in review, or be left out, and why."""

    external_id: str
    state: str
    reason: str
    text: str
    created_at: datetime
    happened_at: datetime
    machine: str | None
    fiat: Decimal
    fiat_code: str
    crypto_atoms: Decimal
    crypto_code: str


@dataclass(frozen=True, slots=True)
class ShareOfOne:
    """What one client or receiver gets of one cash-out."""

    client_id: int
    client: str
    commission: bool
    sats: int
    fiat_minor: int


@dataclass(frozen=True, slots=True)
class CashOutSums:
    """One cash-out as it would have been distributed."""

    external_id: str
    happened_at: datetime
    machine: str | None
    pool_id: int
    currency: str
    total_sats: int
    principal_sats: int
    commission_sats: int
    house_sats: int
    fiat_minor: int
    charge_minor: int
    split_method: str
    charge: str
    shares: tuple[ShareOfOne, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything. The lists of single cash-outs go up to the limit that was asked for, the newest first."""

    begun_at: datetime
    about: Mapping[str, Any]
    pools: tuple[PoolSums, ...]
    clients: tuple[ClientSums, ...]
    receivers: tuple[ReceiverSums, ...]
    reasons: Mapping[tuple[str, str], int]  # how many were not distributed, by state and reason
    undistributed: tuple[Undistributed, ...]
    cash_outs: tuple[CashOutSums, ...]


async def report(db: Database, *, limit: int) -> Report:
    """What the scratch books hold now."""
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await for_sums(conn)
        state = await one(conn, "SELECT begun_at, about, given FROM scratch_state")
        reasons = await rows(
            conn,
            f"""SELECT state, reason, count(*) AS n FROM cash_out WHERE state NOT IN {_UNINTERESTING}
                GROUP BY state, reason ORDER BY state DESC, reason""",  # noqa: S608 - our own constant
        )
        return Report(
            begun_at=state.begun_at,
            about=state.about,
            pools=await _pools(conn),
            clients=await _clients(conn, state.given),
            receivers=await _receivers(conn),
            reasons={(r.state, r.reason): r.n for r in reasons},
            undistributed=await _undistributed(conn, limit),
            cash_outs=await _cash_outs(conn, limit),
        )


async def _pools(conn: AsyncConnection) -> tuple[PoolSums, ...]:
    found = await rows(
        conn,
        """SELECT p.id AS pool_id, p.name AS pool, p.currency, count(d.id) AS cash_outs,
                  CAST(coalesce(sum(d.total_sats), 0) AS bigint) AS total_sats,
                  CAST(coalesce(sum(d.principal_sats), 0) AS bigint) AS principal_sats,
                  CAST(coalesce(sum(d.principal_sats - d.uncovered_sats), 0) AS bigint) AS clients_sats,
                  CAST(coalesce(sum(d.uncovered_sats), 0) AS bigint) AS uncovered_sats,
                  CAST(coalesce(sum(d.commission_sats), 0) AS bigint) AS commission_sats,
                  CAST(coalesce(sum(d.commission_shared_sats), 0) AS bigint) AS commission_shared_sats,
                  CAST(coalesce(sum(d.fiat_minor), 0) AS bigint) AS fiat_minor,
                  CAST(coalesce(sum(d.charge_minor), 0) AS bigint) AS charge_minor,
                  CAST(coalesce(sum(d.uncovered_minor), 0) AS bigint) AS uncovered_minor
             FROM pool p LEFT JOIN distribution d ON d.pool_id = p.id GROUP BY p.id ORDER BY p.id""",
    )
    return tuple(PoolSums(**r._mapping) for r in found)


async def _clients(conn: AsyncConnection, given: Mapping[str, int]) -> tuple[ClientSums, ...]:
    """Each client in each pool that it has, or had, anything in."""
    found = await rows(
        conn,
        """SELECT c.id AS client_id, c.name AS client, c.mode, c.status, a.pool_id, p.name AS pool, p.currency,
                  -a.balance AS left_minor, coalesce(s.purchases, 0) AS purchases,
                  CAST(coalesce(s.sats, 0) AS bigint) AS sats,
                  CAST(coalesce(s.minor, 0) AS bigint) AS converted_minor
             FROM account a JOIN client c ON c.id = a.client_id JOIN pool p ON p.id = a.pool_id
             LEFT JOIN (SELECT r.client_id, d.pool_id, count(*) AS purchases, sum(r.sats) AS sats,
                               sum(r.fiat_minor) AS minor
                          FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
                         WHERE r.type <> 'commission' GROUP BY r.client_id, d.pool_id) s
                    ON s.client_id = a.client_id AND s.pool_id = a.pool_id
            WHERE a.purpose = 'client-fiat' ORDER BY a.client_id, a.pool_id""",
    )
    return tuple(ClientSums(**r._mapping, given_minor=given.get(f"{r.client_id}:{r.pool_id}", 0)) for r in found)


async def _receivers(conn: AsyncConnection) -> tuple[ReceiverSums, ...]:
    found = await rows(
        conn,
        """SELECT c.id AS client_id, c.name AS receiver, s.records, s.sats
             FROM (SELECT client_id, count(*) AS records, CAST(sum(sats) AS bigint) AS sats
                     FROM distribution_record WHERE type = 'commission' GROUP BY client_id) s
             JOIN client c ON c.id = s.client_id ORDER BY c.id""",
    )
    return tuple(ReceiverSums(**r._mapping) for r in found)


async def _undistributed(conn: AsyncConnection, limit: int) -> tuple[Undistributed, ...]:
    """What waits for a person first, then what a filter or its coin leaves out."""
    found = await rows(
        conn,
        f"""SELECT external_id, state, reason, reason_text AS text, created_at, happened_at,
                  machine_name AS machine, fiat, fiat_code, crypto_atoms, crypto_code
             FROM cash_out WHERE state NOT IN {_UNINTERESTING}
            ORDER BY state = 'review' DESC, happened_at DESC, id DESC LIMIT :limit""",  # noqa: S608 - our own
        limit=limit,
    )
    return tuple(Undistributed(**r._mapping) for r in found)


async def _cash_outs(conn: AsyncConnection, limit: int) -> tuple[CashOutSums, ...]:
    found = await rows(
        conn,
        """SELECT d.id, c.external_id, d.happened_at, c.machine_name AS machine, d.pool_id, p.currency,
                  d.total_sats, d.principal_sats, d.commission_sats,
                  d.commission_sats - d.commission_shared_sats + d.uncovered_sats AS house_sats,
                  d.fiat_minor, d.charge_minor, d.split_method, d.charge
             FROM distribution d JOIN cash_out c ON c.id = d.cash_out_id JOIN pool p ON p.id = d.pool_id
            ORDER BY d.id DESC LIMIT :limit""",
        limit=limit,
    )
    shares = defaultdict(list)
    for r in await rows(
        conn,
        """SELECT r.distribution_id, r.client_id, c.name, r.type = 'commission' AS commission, r.sats, r.fiat_minor
             FROM distribution_record r JOIN client c ON c.id = r.client_id
            WHERE r.distribution_id = ANY(CAST(:ids AS bigint[])) ORDER BY r.id""",
        ids=int_array(r.id for r in found),
    ):
        shares[r.distribution_id].append(ShareOfOne(r.client_id, r.name, r.commission, r.sats, r.fiat_minor))
    return tuple(
        CashOutSums(**{key: value for key, value in r._mapping.items() if key != "id"}, shares=tuple(shares[r.id]))
        for r in found
    )
