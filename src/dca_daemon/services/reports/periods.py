"""What happened in each day, week or month: volume, commission, house, payouts. What was reversed is apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger.db import Database, for_sums, rows


class By(StrEnum):
    """How long a period is; a week begins on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class CurrencyPeriod:
    """One period in one currency: fiat in minor units."""

    period: date  # its first day
    currency: str
    cash_outs: int
    fiat_minor: int  # notes that left
    sats: int  # what laypeople paid for them
    principal_sats: int
    commission_sats: int
    commission_shared_sats: int  # of it, the receivers'; the rest is the house's
    clients_minor: int  # charged to clients by cash-outs
    clients_sats: int
    uncovered_minor: int  # of the principal, what no client's balance covered
    uncovered_sats: int
    fixed_purchases: int  # records of fixed runs
    fixed_minor: int
    fixed_sats: int
    reversed: int  # distributions that were taken back; not in any other number
    reversed_sats: int

    @property
    def commission_house_sats(self) -> int:
        """Commission that nobody else gets."""
        return self.commission_sats - self.commission_shared_sats

    @property
    def house_minor(self) -> int:
        """What the house's cash gained (< 0: lost): its part of the notes that left, and fixed purchases."""
        return self.fixed_minor - (self.fiat_minor - self.clients_minor)


@dataclass(frozen=True, slots=True)
class SatsPeriod:
    """One period's payouts, and what the house gained in sats: a payout may pay for several currencies."""

    period: date
    payouts: int
    paid_sats: int
    fees_msat: int  # of payouts and of the operator's moves
    losses_msat: int
    house_gross_sats: int  # commission and uncovered, less fixed purchases and adjustments

    @property
    def house_net_msat(self) -> int:
        """After fees and losses."""
        return self.house_gross_sats * MSATS_PER_SAT - self.fees_msat - self.losses_msat


@dataclass(frozen=True, slots=True)
class CommissionPeriod:
    """What one receiver got of the commission of a period's cash-outs."""

    period: date
    client_id: int
    receiver: str
    sats: int


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """All of it, oldest first."""

    currencies: tuple[CurrencyPeriod, ...]
    sats: tuple[SatsPeriod, ...]
    commission: tuple[CommissionPeriod, ...]


async def periods(
    db: Database, *, by: By, zone: ZoneInfo, since: datetime | None = None, until: datetime | None = None
) -> PeriodReport:
    """By the days of a zone. Periods in which nothing happened are left out."""
    parameters = {"by": str(by), "zone": zone.key, "since": since, "until": until}
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await for_sums(conn)
        return PeriodReport(
            tuple([CurrencyPeriod(**r._mapping) for r in await rows(conn, _CURRENCIES, **parameters)]),
            tuple([SatsPeriod(**r._mapping) for r in await rows(conn, _SATS, **parameters)]),
            tuple([CommissionPeriod(**r._mapping) for r in await rows(conn, _COMMISSION, **parameters)]),
        )


def _period(at: str) -> str:
    return f"CAST(date_trunc(:by, {at} AT TIME ZONE :zone) AS date)"


def _within(at: str) -> str:
    return f"""{at} >= coalesce(CAST(:since AS timestamptz), '-infinity')
               AND {at} < coalesce(CAST(:until AS timestamptz), 'infinity')"""


def _sum(what: str, condition: str) -> str:
    return f"CAST(coalesce(sum({what}) FILTER (WHERE d.reversed_at IS NULL AND {condition}), 0) AS bigint)"


_CASH_OUT, _FIXED = "d.kind = 'cash-out'", "d.kind = 'fixed'"
_CURRENCIES = f"""
    SELECT {_period("d.happened_at")} AS period, p.currency,
           count(*) FILTER (WHERE d.reversed_at IS NULL AND {_CASH_OUT}) AS cash_outs,
           {_sum("d.fiat_minor", _CASH_OUT)} AS fiat_minor,
           {_sum("d.total_sats", _CASH_OUT)} AS sats,
           {_sum("d.principal_sats", _CASH_OUT)} AS principal_sats,
           {_sum("d.commission_sats", _CASH_OUT)} AS commission_sats,
           {_sum("d.commission_shared_sats", _CASH_OUT)} AS commission_shared_sats,
           {_sum("d.charge_minor - d.uncovered_minor", _CASH_OUT)} AS clients_minor,
           {_sum("d.principal_sats - d.uncovered_sats", _CASH_OUT)} AS clients_sats,
           {_sum("d.uncovered_minor", _CASH_OUT)} AS uncovered_minor,
           {_sum("d.uncovered_sats", _CASH_OUT)} AS uncovered_sats,
           {_sum("d.client_count", _FIXED)} AS fixed_purchases,
           {_sum("d.charge_minor - d.uncovered_minor", _FIXED)} AS fixed_minor,
           {_sum("d.principal_sats - d.uncovered_sats", _FIXED)} AS fixed_sats,
           count(*) FILTER (WHERE d.reversed_at IS NOT NULL) AS reversed,
           CAST(coalesce(sum(d.total_sats) FILTER (WHERE d.reversed_at IS NOT NULL), 0) AS bigint) AS reversed_sats
      FROM distribution d JOIN pool p ON p.id = d.pool_id
     WHERE {_within("d.happened_at")} AND d.kind <> 'adjustment'
     GROUP BY 1, 2 ORDER BY 1, 2"""  # noqa: S608 - every part stands here
# Each line one kind of event: (period, payouts, paid, fees, losses, house).
_SATS = f"""
    SELECT period, CAST(sum(payouts) AS bigint) AS payouts, CAST(sum(paid) AS bigint) AS paid_sats,
           CAST(sum(fees) AS bigint) AS fees_msat, CAST(sum(losses) AS bigint) AS losses_msat,
           CAST(sum(house) AS bigint) AS house_gross_sats
      FROM (SELECT {_period("o.settled_at")} AS period, count(*) AS payouts, sum(o.amount_sats) AS paid,
                   sum(o.fee_msat) AS fees, 0 AS losses, 0 AS house
              FROM payout o WHERE o.state = 'settled' AND {_within("o.settled_at")} GROUP BY 1
            UNION ALL
            SELECT {_period("m.at")}, 0, 0, sum(m.fee_sats) * 1000, 0, 0
              FROM treasury_move m WHERE {_within("m.at")} GROUP BY 1
            UNION ALL
            SELECT {_period("e.happened_at")}, 0, 0, 0, sum(g.amount), 0
              FROM account a JOIN posting g ON g.account_id = a.id JOIN journal_entry e ON e.id = g.entry_id
             WHERE a.purpose = 'losses' AND {_within("e.happened_at")} GROUP BY 1
            UNION ALL
            SELECT {_period("d.happened_at")}, 0, 0, 0, 0,
                   sum(CASE WHEN d.kind = 'cash-out'
                            THEN d.commission_sats - d.commission_shared_sats + d.uncovered_sats
                            ELSE d.uncovered_sats - d.principal_sats END)
              FROM distribution d WHERE d.reversed_at IS NULL AND {_within("d.happened_at")} GROUP BY 1
            UNION ALL
            SELECT {_period("j.at")}, 0, 0, 0, 0, -sum(j.amount_sats)
              FROM adjustment j WHERE j.amount_sats < 0 AND {_within("j.at")} GROUP BY 1) x
     GROUP BY period ORDER BY period"""  # noqa: S608 - every part stands here
_COMMISSION = f"""
    SELECT s.*, c.name AS receiver
      FROM (SELECT {_period("d.happened_at")} AS period, r.client_id, CAST(sum(r.sats) AS bigint) AS sats
              FROM distribution d JOIN distribution_record r ON r.distribution_id = d.id AND r.type = 'commission'
             WHERE d.reversed_at IS NULL AND d.commission_shared_sats > 0 AND {_within("d.happened_at")}
               AND r.distribution_id >= (SELECT coalesce(min(d.id + 0), 0) FROM distribution d
                                          WHERE {_within("d.happened_at")})
             GROUP BY 1, 2) s
      JOIN client c ON c.id = s.client_id
     ORDER BY s.period, s.client_id"""  # noqa: S608 - every part stands here
