"""How the shop does, in one look: a day's cash-outs, the days before, and what needs a person.

Each is read by an index of its own, whatever the size of the books.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import Database, rows, scalar
from dca_daemon.services import cash_outs, deposits, machines, payouts
from dca_daemon.services.cash_outs import CashOutSummary
from dca_daemon.services.deposits import DepositView
from dca_daemon.services.machines import MachineView
from dca_daemon.services.payouts import PayoutView
from dca_daemon.services.reconciliation import runs
from dca_daemon.services.reconciliation.runs import LastRun

FIRST = 5  # so many of each kind are shown, of what needs a person


@dataclass(frozen=True, slots=True)
class DaySum:
    """The cash-outs of one day, in one currency, that were distributed and not taken back."""

    day: date
    currency: str
    cash_outs: int
    fiat_minor: int
    sats: int
    commission_sats: int


@dataclass(frozen=True, slots=True)
class Today:
    """One day of the zone. `by_state`: all of Lamassu's, successful or not, that happened on it."""

    day: date
    sums: tuple[DaySum, ...]  # one per currency of the pools
    by_state: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class NeedsPerson:
    """How many of each wait for a person, with the newest few; and the last comparison, if anything differs."""

    reviews: int
    newest_reviews: tuple[CashOutSummary, ...]
    held_payouts: int
    newest_held: tuple[PayoutView, ...]
    machines: int
    first_machines: tuple[MachineView, ...]
    pending_deposits: int
    newest_pending: tuple[DepositView, ...]
    differing: LastRun | None

    @property
    def differences(self) -> int:
        """How many differences the last comparison found."""
        return 0 if self.differing is None else sum(self.differing.counts.values())

    @property
    def count(self) -> int:
        """All of it together."""
        return self.reviews + self.held_payouts + self.machines + self.pending_deposits + self.differences


async def today(db: Database, now: datetime, *, zone: ZoneInfo) -> Today:
    """The day that `now` is in."""
    day = now.astimezone(zone).date()
    since, until = _begins(day, zone), _begins(day + timedelta(days=1), zone)
    async with db.transaction() as conn:
        sums = await _sums(conn, day, 1, zone)
        found = await rows(
            conn,
            """SELECT state, count(*) AS n FROM cash_out
                WHERE happened_at >= :since AND happened_at < :until GROUP BY state ORDER BY state""",
            since=since,
            until=until,
        )
    return Today(day, tuple(sums), {r.state: int(r.n) for r in found})


async def days(db: Database, now: datetime, *, zone: ZoneInfo, count: int = 30) -> list[DaySum]:
    """The last `count` days until today, the oldest first: each day, and each currency of the pools in it."""
    first = now.astimezone(zone).date() - timedelta(days=count - 1)
    async with db.transaction() as conn:
        return await _sums(conn, first, count, zone)


def _begins(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


async def _sums(conn: AsyncConnection, first: date, count: int, zone: ZoneInfo) -> list[DaySum]:
    every = [first + timedelta(days=n) for n in range(count)]
    begins = [_begins(day, zone) for day in [*every, first + timedelta(days=count)]]
    found = await rows(
        conn,
        # Which day it was is told by when our zone's days begin: the database may know other zones than we do.
        """SELECT width_bucket(d.happened_at, CAST(:begins AS timestamptz[])) AS nth, p.currency,
                  count(*) AS cash_outs, CAST(sum(d.fiat_minor) AS bigint) AS fiat_minor,
                  CAST(sum(d.total_sats) AS bigint) AS sats,
                  CAST(sum(d.commission_sats) AS bigint) AS commission_sats
             FROM distribution d JOIN pool p ON p.id = d.pool_id
            WHERE d.kind = 'cash-out' AND d.reversed_at IS NULL
              AND d.happened_at >= :since AND d.happened_at < :until
            GROUP BY nth, p.currency""",
        begins=begins,
        since=begins[0],
        until=begins[-1],
    )
    sums = {(r.nth, r.currency): (r.cash_outs, r.fiat_minor, r.sats, r.commission_sats) for r in found}
    currencies = [r.currency for r in await rows(conn, "SELECT DISTINCT currency FROM pool ORDER BY currency")]
    return [
        DaySum(day, currency, *sums.get((nth, currency), (0, 0, 0, 0)))
        for nth, day in enumerate(every, 1)
        for currency in currencies
    ]


async def needs_person(db: Database, *, first: int = FIRST) -> NeedsPerson:
    """What waits for a person, wherever."""
    async with db.transaction() as conn:
        waiting_machines = await scalar(conn, "SELECT count(*) FROM machine WHERE awaiting_pool")
    last = await runs.last(db)
    return NeedsPerson(
        reviews=(await cash_outs.count_by_state(db))["review"],
        newest_reviews=tuple(await cash_outs.list_all(db, states=("review",), limit=first)),
        held_payouts=(await payouts.count_by_state(db))["held"],
        newest_held=tuple(await payouts.list_all(db, states=("held",), limit=first)),
        machines=int(waiting_machines),
        first_machines=tuple(await machines.list_all(db, awaiting_only=True, limit=first)),
        pending_deposits=(await deposits.count_by_state(db))["pending"],
        newest_pending=tuple(await deposits.list_all(db, state="pending", limit=first)),
        differing=last if last is not None and last.counts else None,
    )
