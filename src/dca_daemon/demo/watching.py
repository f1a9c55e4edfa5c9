"""Looks at the books until something is so, and measures what happened by the databases' own commit times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from dca_daemon.demo.daemon_process import DemoError
from dca_daemon.demo.stage import Stage
from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.ledger.db import Database, one, rows

T = TypeVar("T")

_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds from the commit at the ATM to the committed distribution, and to its last settled payout."""

    booked_ms: int
    settled_ms: int


@dataclass(frozen=True, slots=True)
class Payments:
    """What a set of cash-outs has led to."""

    booked: int
    records: int
    settled: int
    payouts: int


async def until(
    stage: Stage, what: str, look: Callable[[], Awaitable[T | None]], seconds: float = _PATIENCE_SECONDS
) -> T:
    """Looks until there is something. Raises `DemoError` when it takes too long, or the daemon has ended."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found is not None:
            return found
        stage.daemon.check_alive()
        if time.monotonic() > deadline:
            raise DemoError(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(_POLL_SECONDS)


async def state_of(db: Database, external_id: str) -> tuple[CashOutState, str] | None:
    """What the daemon made of a cash-out, and why; None while it has not seen it."""
    async with db.transaction() as conn:
        found = await one(conn, "SELECT state, reason_text FROM cash_out WHERE external_id = :id", id=external_id)
        return None if found is None else (CashOutState(found.state), str(found.reason_text))


async def wait_for_state(
    stage: Stage, external_id: str, states: Collection[CashOutState]
) -> tuple[CashOutState, str]:
    """Waits until a cash-out is in one of the states."""

    async def look() -> tuple[CashOutState, str] | None:
        found = await state_of(stage.books, external_id)
        return found if found is not None and found[0] in states else None

    wanted = " or ".join(sorted(states))
    return await until(stage, f"cash-out {external_id} becoming {wanted}", look)


async def payments(db: Database, external_ids: Collection[str]) -> Payments:
    """How far the booking and paying of these cash-outs has come."""
    async with db.transaction() as conn:
        found = await one(
            conn,
            """SELECT count(DISTINCT d.id) AS booked, count(r.id) AS records,
                      count(r.id) FILTER (WHERE r.state IN ('settled', 'nothing')) AS settled,
                      count(DISTINCT pr.payout_id) FILTER (WHERE r.state = 'settled') AS payouts
                 FROM cash_out c JOIN distribution d ON d.cash_out_id = c.id AND d.reversed_at IS NULL
                 LEFT JOIN distribution_record r ON r.distribution_id = d.id
                 LEFT JOIN payout_record pr ON pr.record_id = r.id AND pr.active
                WHERE c.external_id = ANY(:ids)""",
            ids=list(external_ids),
        )
        return Payments(found.booked, found.records, found.settled, found.payouts)


async def wait_until_paid(stage: Stage, external_ids: Collection[str]) -> Payments:
    """Waits until all of these cash-outs are distributed, and every share of them is settled."""

    async def look() -> Payments | None:
        found = await payments(stage.books, external_ids)
        return found if found.booked == len(external_ids) and found.settled == found.records else None

    return await until(stage, f"{len(external_ids)} cash-outs being paid", look)


async def payout_under_way(db: Database) -> bool | None:
    """True while a pay request may be on its way to LNbits."""
    async with db.transaction() as conn:
        return True if await rows(conn, "SELECT FROM payout WHERE state = 'submitted' LIMIT 1") else None


async def times(stage: Stage, external_ids: Collection[str]) -> Times:
    """How long the slowest of these cash-outs took."""
    ids = list(external_ids)
    at_atm: dict[str, datetime] = dict(
        stage.lamassu.execute(
            "SELECT tx_id::text, max(pg_xact_commit_timestamp(xmin)) FROM public.cash_out_actions"
            " WHERE tx_id = ANY(%s::uuid[]) AND action = 'dispense' GROUP BY tx_id",
            (ids,),
        ).fetchall()
    )
    async with stage.books.transaction() as conn:
        in_books = await rows(
            conn,
            """SELECT c.external_id, max(pg_xact_commit_timestamp(d.xmin)) AS booked,
                      max(pg_xact_commit_timestamp(r.xmin)) AS settled
                 FROM cash_out c JOIN distribution d ON d.cash_out_id = c.id AND d.reversed_at IS NULL
                 LEFT JOIN distribution_record r ON r.distribution_id = d.id
                WHERE c.external_id = ANY(:ids) GROUP BY c.external_id""",
            ids=ids,
        )
    return Times(
        booked_ms=max(_ms(at_atm[r.external_id], r.booked) for r in in_books),
        settled_ms=max(_ms(at_atm[r.external_id], r.settled or r.booked) for r in in_books),
    )


def _ms(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() * 1000)
