"""A client's purchases over time, for charts: sats stacked, and the price paid; thinned out by the database.

Neither holds what was reversed, nor commission that the client receives. Corrections of sats count as stacked, up
and down.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dca_daemon.ledger.db import Database, rows
from dca_daemon.services import clients

POINTS_MAX = 200


@dataclass(frozen=True, slots=True)
class StackPoint:
    """How many sats the client had got in all, paid or owed, by then."""

    at: datetime
    sats: int


@dataclass(frozen=True, slots=True)
class PricePoint:
    """Purchases that follow one another, `at` the last one's time: their price is the exact pair of both sums."""

    at: datetime
    currency: str
    purchases: int
    sats: int
    fiat_minor: int


@dataclass(frozen=True, slots=True)
class ClientSeries:
    """Both in the order of time. What was imported from another program counts as stacked from the beginning."""

    stacked: tuple[StackPoint, ...]
    prices: tuple[PricePoint, ...]


_RECORDS = """
    SELECT d.happened_at, r.id, r.sats, r.fiat_minor, d.kind, d.pool_id
      FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
     WHERE r.client_id = :client AND r.type <> 'commission' AND r.state <> 'reversed'"""
# Every so-many-th, counted from the last, so that it is always shown.
_STACKED = f"""
    SELECT happened_at AS at, CAST(sats + opening AS bigint) AS sats
      FROM (SELECT happened_at, id, sum(sats) OVER w AS sats, row_number() OVER w AS n, count(*) OVER () AS total,
                   coalesce((SELECT received_sats FROM client_opening WHERE client_id = :client), 0) AS opening
              FROM (SELECT happened_at, id, sats FROM ({_RECORDS}) r
                    UNION ALL
                    SELECT at, id, amount_sats FROM adjustment WHERE client_id = :client AND amount_sats < 0) r
            WINDOW w AS (ORDER BY happened_at, id)) s
     WHERE (total - n) % ((total + :points - 1) / :points) = 0 ORDER BY happened_at, id"""  # noqa: S608
_PRICES = f"""
    SELECT max(happened_at) AS at, currency, count(*) AS purchases, CAST(sum(sats) AS bigint) AS sats,
           CAST(sum(fiat_minor) AS bigint) AS fiat_minor
      FROM (SELECT r.happened_at, r.sats, r.fiat_minor, p.currency, row_number() OVER w AS n,
                   count(*) OVER () AS total
              FROM ({_RECORDS} AND r.fiat_minor > 0 AND r.sats > 0 AND d.kind <> 'adjustment') r
              JOIN pool p ON p.id = r.pool_id WINDOW w AS (ORDER BY r.happened_at, r.id)) s
     GROUP BY currency, (n - 1) / ((total + :points - 1) / :points)
     ORDER BY at, currency"""  # noqa: S608 - every part stands here


async def series(db: Database, reference: str, *, points: int = POINTS_MAX) -> ClientSeries:
    """Each with about `points` at most; more where there are several currencies. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        client_id = await clients.find(conn, reference)
        stacked = await rows(conn, _STACKED, client=client_id, points=points)
        prices = await rows(conn, _PRICES, client=client_id, points=points)
    return ClientSeries(
        tuple(StackPoint(**r._mapping) for r in stacked), tuple(PricePoint(**r._mapping) for r in prices)
    )
