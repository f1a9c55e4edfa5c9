"""Plays Lamassu's history through the real intake, on scratch books: what each cash-out would have come to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.ledger.db import Database, rows
from dca_daemon.services.intake import Intake, IntakeConfig, in_time
from dca_daemon.services.shadow.history import History, successes_in_time
from dca_daemon.services.shadow.opening import Change, Clients, Opening
from dca_daemon.services.shadow.planting import change, plant

_BATCH = 200  # as the daemon's own
_LEARN_AT, _LEARN_AGAIN = 200, 4  # after so many cash-outs, and each time that they are so many times as many


class Balances(StrEnum):
    """What the clients begin with."""

    NOW = "now"  # what they have now: as if it had been there at the beginning
    THEN = "then"  # what they had then; what came and went since, each at its time


async def simulate(
    db: Database,
    source: History,
    clients: Clients,
    config: IntakeConfig,
    *,
    since: datetime,
    until: datetime | None = None,
    balances: Balances = Balances.NOW,
    progress: Callable[[int], None] = lambda count: None,
) -> int:
    """Fills empty scratch books; how many cash-outs were taken in. `progress` is told that after each page.

    Raises `InputError`, `SourceError` and `DatabaseError`.
    """
    dated = balances is Balances.THEN or not clients.follows_books  # a file says itself when what came in
    opening = await (clients.history(since) if dated else clients.look(None, {}))
    later = deque(c for c in opening.changes if c.at is not None)

    async def begin(conn: AsyncConnection) -> None:
        await plant(conn, opening)
        await change(conn, opening, [c for c in opening.changes if c.at is None])

    await db.run(begin)
    intake = Intake(db, config)
    count, learn_at = 0, _LEARN_AT
    async for page in successes_in_time(source, since, until):
        for batch, due in _batches(page, later):
            if due:
                await _change(db, opening, due)
            await intake.process(batch)
            count += len(batch)
            if count >= learn_at:
                await _learn(db)
                learn_at = count * _LEARN_AGAIN
        progress(count)
    return count


async def _learn(db: Database) -> None:
    """Has PostgreSQL look at the tables: it plans as for empty ones until its autovacuum comes round."""
    async with db.transaction() as conn:
        found = await rows(conn, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        await conn.exec_driver_sql(f"ANALYZE {', '.join(r.tablename for r in found)}")


def _batches(page: Sequence[SourceRow], later: deque[Change]) -> Iterator[tuple[list[SourceRow], list[Change]]]:
    """The rows in batches, each with what came to balances before its first row, and after the batch before."""
    batch: list[SourceRow] = []
    due: list[Change] = []
    for row in page:
        moment = in_time(row)[0]
        now_due = [later.popleft() for _ in range(_due(later, moment))]
        if batch and (now_due or len(batch) >= _BATCH):
            yield batch, due
            batch, due = [], []
        due += now_due
        batch.append(row)
    if batch:
        yield batch, due


def _due(later: deque[Change], moment: datetime) -> int:
    count = 0
    for one in later:
        if one.at is None or one.at > moment:
            break
        count += 1
    return count


async def _change(db: Database, opening: Opening, due: Sequence[Change]) -> None:
    await db.run(lambda conn: change(conn, opening, due))
