"""What each receiver got of the commission, day by day or month by month, and by which versions it was shared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import at_field
from dca_daemon.ledger.db import Database, for_sums, one, rows
from dca_daemon.services import clients, commission
from dca_daemon.services.commission import Version


class Period(StrEnum):
    """By what amounts are summed up."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class PeriodAmount:
    """One receiver's commission of the cash-outs of one period, and what of it has been paid; in sats."""

    period: str  # 2026-11-22, or 2026-11
    client_id: int
    name: str
    records: int
    sats: int
    settled_sats: int


@dataclass(frozen=True, slots=True)
class History:
    """The newest versions first, and the amounts, the newest period first."""

    versions: tuple[Version, ...]
    amounts: tuple[PeriodAmount, ...]


_FORMAT = {Period.DAY: "%Y-%m-%d", Period.MONTH: "%Y-%m"}


async def history(
    db: Database,
    *,
    by: Period = Period.MONTH,
    since: datetime | None = None,
    until: datetime | None = None,
    receiver: str | None = None,
    zone: tzinfo | None = None,
    limit: int = 50,
) -> History:
    """At most `limit` versions; amounts of cash-outs that happened from `since` until before `until`.

    Days are those of `zone`; None: this computer's.
    """
    async with db.transaction() as conn:
        await for_sums(conn)
        versions = await commission.versions(conn, limit=limit)
        days = _days(await one(conn, _SPAN, since=since, until=until), zone)
        found = await rows(
            conn,
            # By when our zone's days begin: the database may know other zones than we do.
            """SELECT s.*, c.name
                 FROM (SELECT width_bucket(d.happened_at, CAST(:begins AS timestamptz[])) AS nth, r.client_id,
                              count(*) AS records, sum(r.sats)::bigint AS sats,
                              coalesce(sum(r.sats) FILTER (WHERE r.state = 'settled'), 0)::bigint AS settled
                         FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
                        WHERE r.type = 'commission' AND r.state <> 'reversed'
                          AND d.happened_at >= coalesce(CAST(:since AS timestamptz), '-infinity')
                          AND d.happened_at < coalesce(CAST(:until AS timestamptz), 'infinity')
                          AND r.distribution_id >= (
                              SELECT coalesce(min(id + 0), 0) FROM distribution
                               WHERE happened_at >= coalesce(CAST(:since AS timestamptz), '-infinity'))
                          AND (CAST(:client AS bigint) IS NULL OR r.client_id = :client)
                        GROUP BY 1, 2) s
                 JOIN client c ON c.id = s.client_id""",
            begins=[_begins(day, zone) for day in days],
            since=since,
            until=until,
            client=await _receiver(conn, receiver),
        )
    sums: dict[tuple[str, int], PeriodAmount] = {}
    for r in found:
        period = days[r.nth - 1].strftime(_FORMAT[by])
        so_far = sums.get((period, r.client_id)) or PeriodAmount(period, r.client_id, r.name, 0, 0, 0)
        sums[period, r.client_id] = PeriodAmount(
            period,
            r.client_id,
            r.name,
            so_far.records + r.records,
            so_far.sats + r.sats,
            so_far.settled_sats + r.settled,
        )
    amounts = sorted(sums.values(), key=lambda a: (a.period, -a.client_id), reverse=True)
    return History(tuple(versions), tuple(amounts))


async def _receiver(conn: AsyncConnection, reference: str | None) -> int | None:
    with at_field("receiver"):
        return None if reference is None else await clients.find(conn, reference)


_SPAN = """
    SELECT greatest(min(happened_at), CAST(:since AS timestamptz)) AS first,
           least(max(happened_at), CAST(:until AS timestamptz)) AS last FROM distribution"""


def _days(span: Any, zone: tzinfo | None) -> list[date]:
    """Every day of the zone on which something may have happened; at least one."""
    if span.first is None or span.last is None:
        return [date(1970, 1, 1)]
    first, last = span.first.astimezone(zone).date(), span.last.astimezone(zone).date()
    return [first + timedelta(days=n) for n in range(max(1, (last - first).days + 1))]


def _begins(day: date, zone: tzinfo | None) -> datetime:
    midnight = datetime.combine(day, time(), zone)
    return midnight.astimezone() if zone is None else midnight
