"""A client's purchases over time, for charts: sats stacked, and the price paid; summed up by the database.

Neither holds what was reversed, nor commission that the client receives. Corrections of sats count as stacked, up
and down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dca_daemon.ledger.db import Database, for_sums, one, rows
from dca_daemon.services import clients

POINTS_MAX = 200
RECORDS_MAX = 10_000


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
    """Both in the order in which it was booked, by the newest `RECORDS_MAX` records; what was stacked before them,
    or imported, counts from the beginning."""

    stacked: tuple[StackPoint, ...]
    prices: tuple[PricePoint, ...]


# Records are numbered as they are booked: parts of the span of their numbers are parts of time. Few stay single.
_SPAN = """
    WITH newest AS MATERIALIZED (
        SELECT id FROM distribution_record
         WHERE client_id = :client AND type <> 'commission' AND state <> 'reversed' ORDER BY id DESC LIMIT :newest)
    SELECT min(id) AS first, max(id) AS last, count(*) > :points AS many,
           coalesce((SELECT sum(bought_sats + adjusted_sats) FROM client_total WHERE client_id = :client), 0)
               + coalesce((SELECT received_sats FROM client_opening WHERE client_id = :client), 0) AS stacked
      FROM newest"""
# Without a look at the records' rows: index distribution_record_client. OFFSET 0: from the numbers PostgreSQL
# would guess that there are many parts, and sort.
_PARTS = """
    SELECT part, pool_id, max(happened_at) AS at, CAST(sum(sats) AS bigint) AS sats,
           count(*) FILTER (WHERE bought) AS purchases, max(happened_at) FILTER (WHERE bought) AS bought_at,
           CAST(sum(sats) FILTER (WHERE bought) AS bigint) AS bought_sats,
           CAST(sum(fiat_minor) FILTER (WHERE bought) AS bigint) AS fiat_minor
      FROM (SELECT (r.id - :first) / :width AS part, d.pool_id, d.happened_at, r.sats, r.fiat_minor,
                   r.fiat_minor > 0 AND r.sats > 0 AS bought
              FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
             WHERE r.client_id = :client AND r.id >= :first AND r.type <> 'commission' AND r.state <> 'reversed'
            OFFSET 0) x
     GROUP BY part, pool_id ORDER BY part, pool_id"""
_TAKEN_OFF = """
    SELECT at, amount_sats AS sats FROM adjustment WHERE client_id = :client AND amount_sats < 0 ORDER BY at, id"""


async def series(db: Database, reference: str, *, points: int = POINTS_MAX) -> ClientSeries:
    """Each with `points` at most; more where there are several currencies. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        client_id = await clients.find(conn, reference)
        span = await one(conn, _SPAN, client=client_id, points=points, newest=RECORDS_MAX)
        if span.first is None:
            return ClientSeries((), ())
        await for_sums(conn)
        width = -(-(span.last - span.first + 1) // points) if span.many else 1
        parts = await rows(conn, _PARTS, client=client_id, first=span.first, width=width)
        taken_off = await rows(conn, _TAKEN_OFF, client=client_id)
        currencies = {r.id: str(r.currency) for r in await rows(conn, "SELECT id, currency FROM pool")}
    before_sats = int(span.stacked) - sum(part.sats for part in parts)
    return ClientSeries(_stacked(parts, taken_off, before_sats), _prices(parts, currencies))


def _stacked(parts: Sequence[Any], taken_off: Sequence[Any], before_sats: int) -> tuple[StackPoint, ...]:
    """Corrections downwards are in no record: each counts with the first part that ends after it."""
    found: dict[int, StackPoint] = {}
    at, sats, left = datetime.min.replace(tzinfo=UTC), before_sats, list(taken_off)
    for part in parts:
        at, sats = max(at, part.at), sats + part.sats
        while left and left[0].at <= at:
            sats += left.pop(0).sats
        found[part.part] = StackPoint(at, sats)
    after = [StackPoint(one.at, sats + sum(x.sats for x in left[: n + 1])) for n, one in enumerate(left)]
    return (*found.values(), *after)


def _prices(parts: Sequence[Any], currencies: Mapping[int, str]) -> tuple[PricePoint, ...]:
    """Pools of one currency are one."""
    found: dict[tuple[int, str], PricePoint] = {}
    for part in (part for part in parts if part.purchases):
        currency = currencies[part.pool_id]
        point = PricePoint(part.bought_at, currency, part.purchases, part.bought_sats, part.fiat_minor)
        other = found.get((part.part, currency))
        found[part.part, currency] = point if other is None else _both(point, other)
    return tuple(found.values())


def _both(a: PricePoint, b: PricePoint) -> PricePoint:
    return PricePoint(
        max(a.at, b.at), a.currency, a.purchases + b.purchases, a.sats + b.sats, a.fiat_minor + b.fiat_minor
    )
