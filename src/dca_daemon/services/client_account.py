"""What a client sees of its own account, and of nobody else's.

Numbers of rows (records, deposits, cash-outs) are left out of what it sees: they count everybody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.fixed import Rate
from dca_daemon.domain.money import fiat_per_btc, fiat_value
from dca_daemon.ledger.db import Database, int_array, one, rows, scalar
from dca_daemon.services import client_access, client_changes, client_lists
from dca_daemon.services.client_access import Permissions
from dca_daemon.services.clients import Mode, PoolBalance, Status
from dca_daemon.services.destinations import describe
from dca_daemon.services.fixed_amounts import FixedTerms
from dca_daemon.services.reports.clients import ClientSats, ClientSums, sats_of, sums_of


@dataclass(frozen=True, slots=True)
class Worth:
    """What was bought in one currency is worth now, in minor units; `rate_at` to the hour, for the moment of a
    ticker is that of somebody's cash-out."""

    rate: Rate
    rate_at: datetime
    value_minor: int
    gain_minor: int
    gain_percent: Decimal | None  # of what was paid, to two digits; None where nothing was


@dataclass(frozen=True, slots=True)
class ClientAccount:
    """One client's account. `currencies`: the sums of each currency in which it ever had cash."""

    name: str
    mode: Mode
    status: Status
    paid_to: str
    balances: tuple[PoolBalance, ...]
    currencies: tuple[ClientSums, ...]
    sats: ClientSats
    taken_off_sats: int  # by corrections: 0 or more
    permissions: Permissions
    fixed: tuple[FixedTerms, ...]  # of the pools in which it has, or had, cash

    @property
    def bought_sats(self) -> int:
        """For fiat, in whatever currency."""
        return sum(one.bought_sats for one in self.currencies)

    @property
    def corrected_sats(self) -> int:
        """What the operator has added by hand, less what was taken off."""
        return sum(one.adjusted_sats for one in self.currencies) - self.taken_off_sats

    @property
    def stacked_sats(self) -> int:
        """All that the client has got, or is to get: not commission that it receives."""
        return self.bought_sats + self.corrected_sats

    @property
    def commission_sats(self) -> int:
        """Commission that the client receives besides, paid or not."""
        sats = self.sats
        return (
            sats.commission_gathered_sats
            + sats.commission_owed_sats
            + sats.commission_in_payout_sats
            + sats.commission_settled_sats
        )


@dataclass(frozen=True, slots=True)
class Purchase:
    """One record of a client: what it got when its cash went out, and whether it has been paid.

    `record_id` is for going on after it, and is not shown.
    """

    record_id: int
    happened_at: datetime
    booked_at: datetime
    type: str
    kind: str  # cash-out, fixed, adjustment, commission
    sats: int
    fiat_minor: int
    currency: str
    state: str
    reversed_at: datetime | None
    payout_id: str | None
    paid_at: datetime | None


async def of(db: Database, client_id: int) -> ClientAccount:
    """A client's account at one moment."""
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row: Any = await one(
            conn,
            """SELECT c.name, c.mode, c.status, d.kind, d.name AS destination_name, d.address, d.wallet_id
                 FROM client c JOIN destination d ON d.id = c.destination_id WHERE c.id = :client""",
            client=client_id,
        )
        return ClientAccount(
            name=row.name,
            mode=Mode(row.mode),
            status=Status(row.status),
            paid_to=describe(row.kind, row.address, row.wallet_id, row.destination_name),
            balances=await _balances(conn, client_id),
            currencies=tuple(await sums_of(conn, client_id)),
            sats=await sats_of(conn, client_id),
            taken_off_sats=await _taken_off_sats(conn, client_id),
            permissions=await client_access.permissions(conn, client_id),
            fixed=await client_changes.own_terms(conn, client_id),
        )


async def _balances(conn: AsyncConnection, client_id: int) -> tuple[PoolBalance, ...]:
    found = await rows(conn, client_lists.BALANCES, ids=int_array([client_id]))
    return tuple(
        PoolBalance(r.pool_id, r.pool, r.currency, r.balance, int(r.pending), int(r.confirmed)) for r in found
    )


async def _taken_off_sats(conn: AsyncConnection, client_id: int) -> int:
    return int(
        await scalar(
            conn,
            """SELECT coalesce(-sum(amount_sats), 0) FROM adjustment
                WHERE client_id = :client AND amount_sats < 0""",
            client=client_id,
        )
    )


async def purchases(db: Database, client_id: int, *, limit: int = 50, after: int | None = None) -> list[Purchase]:
    """The newest records of a client first, from after the record `after` on; those that were taken back too."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            """SELECT r.id AS record_id, d.happened_at, d.booked_at, r.type, d.kind, r.sats, r.fiat_minor,
                      p.currency, r.state, d.reversed_at, CAST(pr.payout_id AS text) AS payout_id,
                      po.settled_at AS paid_at
                 FROM distribution_record r
                 JOIN distribution d ON d.id = r.distribution_id
                 JOIN pool p ON p.id = d.pool_id
                 LEFT JOIN payout_record pr ON pr.record_id = r.id AND pr.active
                 LEFT JOIN payout po ON po.id = pr.payout_id
                WHERE r.client_id = :client AND (CAST(:after AS bigint) IS NULL OR r.id < :after)
                ORDER BY r.id DESC LIMIT :limit""",
            client=client_id,
            after=after,
            limit=limit,
        )
    return [Purchase(**r._mapping) for r in found]


def average_price(report: ClientSums) -> Decimal | None:
    """What a bitcoin cost the client on the average, in its currency; None where nothing was bought for fiat."""
    return fiat_per_btc(report.bought_sats, report.converted_minor, report.currency)


def worth(report: ClientSums, rate: Rate) -> Worth:
    """What was bought for this currency is worth at this rate, against what was paid for it."""
    value_minor = fiat_value(report.bought_sats, rate.fiat_per_btc, report.currency)
    paid_minor = report.converted_minor
    gain_minor = value_minor - paid_minor
    return Worth(
        rate=rate,
        rate_at=rate.at.replace(minute=0, second=0, microsecond=0),
        value_minor=value_minor,
        gain_minor=gain_minor,
        gain_percent=Decimal(round(Fraction(gain_minor * 10_000, paid_minor))).scaleb(-2) if paid_minor else None,
    )
