"""From when on cash-outs count, and which rows of the source the books still lack.

The baseline is what was already successful at the first look, recorded row by row: not a time stamp alone.
A cash-out that was created before it and becomes successful after it counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import CashOutState, SourceRow
from dca_daemon.domain.errors import InputError
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database, execute, lock_pool, one, rows
from dca_daemon.services import mirror
from dca_daemon.services.audit import audit
from dca_daemon.services.mirror import Mirrored
from dca_daemon.services.pools import pools_of_machines

log = structlog.get_logger()

SOURCE = "lamassu"
LATE_AT_MOST = timedelta(days=31)  # between a cash-out's creation and its dispense


class Source(Protocol):
    """What this needs of Lamassu's database."""

    async def now(self) -> datetime:
        """The source's own clock."""

    def all_successes(self) -> AsyncIterator[list[SourceRow]]:
        """Pages of every row that is successful now, without the time of the dispense."""

    async def fetch(self, ids: Sequence[str]) -> list[SourceRow]:
        """These rows, with the time of the dispense where it may be read."""


class Digest(Protocol):
    """What the scanner knows of a source row before it reads all of it."""

    @property
    def external_id(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def created(self) -> datetime: ...
    @property
    def success(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Baseline:
    """From when on cash-outs count, by the source's clock, and what was left out because of it."""

    source: str
    at: datetime
    set_at: datetime
    set_by: str
    left_out: int


async def show(db: Database) -> Baseline | None:
    """The baseline, or None before the first look."""
    async with db.transaction() as conn:
        return await _show(conn)


async def _show(conn: AsyncConnection) -> Baseline | None:
    found = await one(
        conn,
        """SELECT b.source, b.at, b.set_at, b.set_by,
                  (SELECT count(*) FROM cash_out c
                    WHERE c.source = b.source AND c.state = 'before-baseline') AS left_out
             FROM baseline b WHERE b.source = :source""",
        source=SOURCE,
    )
    return None if found is None else Baseline(**found._mapping)


async def ensure(db: Database, source: Source, *, actor: str, new_machines_wait: bool = False) -> Baseline:
    """Sets the baseline to "now" at the first look; later it only reads it."""
    return await show(db) or await _set(
        db, source, None, actor=actor, reason="first look", new_machines_wait=new_machines_wait
    )


async def set_to(
    db: Database, source: Source, at: datetime, *, actor: str, reason: str, new_machines_wait: bool = False
) -> Baseline:
    """Moves the baseline.

    Earlier: successes since then that were left out are released, and distributed at the next scan. Later:
    successes before then that have not been distributed are left out. Raises `InputError` for a time in the
    future or without a zone.
    """
    if at.tzinfo is None:
        raise InputError(f"the time {at} has no zone", remedy="write it like 2026-01-31T00:00:00-06:00")
    if at > await source.now():
        raise InputError(f"the baseline can't lie in the future: {at.isoformat()}")
    if not reason.strip():
        raise InputError("moving the baseline needs a reason")
    return await _set(db, source, at, actor=actor, reason=reason, new_machines_wait=new_machines_wait)


async def _set(
    db: Database, source: Source, at: datetime | None, *, actor: str, reason: str, new_machines_wait: bool
) -> Baseline:
    """One transaction: the successes of before, what is released, the baseline itself, and the audit."""
    boundary = await source.now() if at is None else at

    async def work(conn: AsyncConnection) -> Baseline:
        await execute(conn, "SELECT pg_advisory_xact_lock(:key)", key=lock_keys.BASELINE)
        # All of Lamassu's history is read meanwhile: the ordinary limit for an idle transaction is too short.
        await execute(conn, "SET LOCAL idle_in_transaction_session_timeout = '15min'")
        before = await _show(conn)
        if before is not None and at is None:
            return before  # another process had the first look
        released = 0
        async for page in source.all_successes():
            if at is None:  # at the first look all that is successful lies before, whatever its times say
                await _leave_out(conn, page, new_machines_wait)
                continue
            earlier, later = await _divide(source, page, at)
            await _leave_out(conn, earlier, new_machines_wait)
            released += await _release(conn, later)
        await execute(
            conn,
            """INSERT INTO baseline (source, at, set_by) VALUES (:source, :at, :by)
               ON CONFLICT (source) DO UPDATE
                  SET at = excluded.at, set_at = now(), set_by = excluded.set_by""",
            source=SOURCE,
            at=boundary,
            by=actor,
        )
        await audit(
            conn,
            actor=actor,
            action="baseline.set",
            subject=f"source:{SOURCE}",
            before=None if before is None else {"at": before.at.isoformat()},
            after={"at": boundary.isoformat(), "released": released},
            reason=reason,
        )
        found = await _show(conn)
        assert found is not None
        return found

    baseline = await db.run(work, step="baseline.set")
    log.info("baseline.set", at=baseline.at.isoformat(), left_out=baseline.left_out)
    return baseline


async def _divide(
    source: Source, page: Sequence[SourceRow], at: datetime
) -> tuple[list[SourceRow], list[SourceRow]]:
    """The rows that happened before `at`, and the others.

    Only the time of the dispense tells, and looking it up may cost Lamassu a scan: it is asked for only where
    it can matter, for rows that were created up to a month before.
    """
    close = [row.external_id for row in page if at - LATE_AT_MOST <= row.created < at]
    timed = {row.external_id: row for row in await source.fetch(close)} if close else {}
    rows_now = [timed.get(row.external_id, row) for row in page]
    before = [row for row in rows_now if (row.dispensed_at or row.created) < at]
    return before, [row for row in rows_now if row not in before]


async def _release(conn: AsyncConnection, successes: Sequence[SourceRow]) -> int:
    return await execute(
        conn,
        """UPDATE cash_out SET state = 'due', reason = 'baseline-moved', updated_at = now(),
                  reason_text = 'released by a move of the baseline'
            WHERE source = :source AND state = 'before-baseline' AND external_id = ANY(:ids)""",
        source=SOURCE,
        ids=[row.external_id for row in successes],
    )


async def _leave_out(conn: AsyncConnection, successes: Sequence[SourceRow], new_machines_wait: bool) -> None:
    if not successes:
        return
    places = await pools_of_machines(conn, successes, new_wait=new_machines_wait)
    by_id = {place.pool.pool_id: place.pool for place in places.values()}
    for pool_id in sorted(by_id):
        await lock_pool(conn, pool_id)  # the intake may be at the same rows
    known = await mirror.known(conn, successes)
    text = "was successful before the baseline"
    for pool in by_id.values():
        left_out = [
            Mirrored(row, CashOutState.BEFORE_BASELINE, "before-baseline", text, known.get(row.external_id))
            for row in successes
            if places[row.device_id].pool.pool_id == pool.pool_id
            and (
                row.external_id not in known
                or known[row.external_id].state in (CashOutState.FAILED, CashOutState.REVIEW, CashOutState.DUE)
            )
        ]
        if left_out:
            written = await mirror.write(conn, pool, left_out)
            await mirror.write_log(
                conn, [mirror.event(written[m.row.external_id].cash_out_id, m) for m in left_out]
            )


async def outdated(db: Database, digests: Sequence[Digest]) -> list[str]:
    """Which of these rows the books lack or have at another digest, and whatever is due.

    A row of before the baseline that was never successful is not lacking: it is mirrored once it is.
    """
    async with db.transaction() as conn:
        found = await rows(
            conn,
            """SELECT s.external_id
                 FROM unnest(CAST(:ids AS text[]), CAST(:digests AS text[]), CAST(:created AS timestamptz[]),
                             CAST(:success AS boolean[])) AS s (external_id, digest, created, success)
                 LEFT JOIN cash_out c ON c.source = :source AND c.external_id = s.external_id
                WHERE c.digest IS DISTINCT FROM s.digest
                  AND (c.id IS NOT NULL OR s.success
                       OR s.created >= (SELECT at FROM baseline WHERE source = :source))
               UNION
               SELECT external_id FROM cash_out WHERE state = 'due' AND source = :source""",
            source=SOURCE,
            ids=[d.external_id for d in digests],
            digests=[d.digest for d in digests],
            created=[d.created for d in digests],
            success=[d.success for d in digests],
        )
        return [r.external_id for r in found]


async def look_again(db: Database) -> int:
    """Has the next sweep read again what could not be booked: settings may have changed. How many there are."""
    async with db.transaction() as conn:
        return await execute(
            conn,
            """UPDATE cash_out SET digest = ''
                WHERE state = 'review' AND source = :source AND reason IN ('unusable', 'refused')""",
            source=SOURCE,
        )
