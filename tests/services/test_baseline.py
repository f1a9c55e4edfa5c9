"""From when on cash-outs count: what was successful at the first look is recorded, and never distributed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from dca_daemon.domain.cash_out import CashOutState, SourceRow
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.split import SplitMethod
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.services import baseline, cash_outs
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import client, success, value

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class FakeSource:
    """Lamassu's database, as far as the baseline needs it."""

    def __init__(self, *rows: SourceRow) -> None:
        self.rows = list(rows)

    async def now(self) -> datetime:
        return NOW

    async def all_successes(self) -> AsyncIterator[list[SourceRow]]:
        for row in self.rows:
            yield [replace(row, dispensed_at=None)]

    async def fetch(self, ids: Sequence[str]) -> list[SourceRow]:
        return [row for row in self.rows if row.external_id in ids]


@dataclass(frozen=True)
class RowDigest:
    external_id: str
    digest: str
    created: datetime
    success: bool


def digest(row: SourceRow) -> RowDigest:
    return RowDigest(row.external_id, row.digest, row.created, row.dispense_confirmed is True)


def ago(days: float, *, dispensed: bool = True, external_id: str | None = None) -> SourceRow:
    """A cash-out of so many days ago; one that is not dispensed has failed so far."""
    then = NOW - timedelta(days=days)
    row = success(created=then, dispensed_at=then if dispensed else None, dispense_confirmed=dispensed)
    if external_id is None:
        return row
    return success(**{**{f: getattr(row, f) for f in row.__slots__}, "external_id": external_id})


async def state(db: Database, row: SourceRow) -> CashOutState:
    return (await cash_outs.show(db, row.external_id)).summary.state


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def first_look(db: Database, *rows: SourceRow) -> baseline.Baseline:
    return await baseline.ensure(db, FakeSource(*rows), actor="test")


async def set_to(db: Database, at: datetime, *rows: SourceRow, reason: str = "because") -> baseline.Baseline:
    return await baseline.set_to(db, FakeSource(*rows), at, actor="test", reason=reason)


async def test_the_first_look_records_all_successes_and_distributes_none(books: Database) -> None:
    await client(books, "20000")
    old, clock_ahead = ago(400), ago(-1)
    found = await first_look(books, old, clock_ahead)
    assert (found.at, found.left_out, found.set_by) == (NOW, 2, "test")
    assert await state(books, old) is await state(books, clock_ahead) is CashOutState.BEFORE_BASELINE
    # Scans find them again and again: they stay what they are.
    result = await Intake(books, IntakeConfig()).process([old, clock_ahead])
    assert not result.distributed
    assert await value(books, "SELECT count(*) FROM distribution") == 0
    assert (await cash_outs.show(books, old.external_id)).summary.happened_at == old.dispensed_at
    await assert_books_hold(books)


async def test_there_is_one_first_look(books: Database) -> None:
    first = await first_look(books, ago(1))
    assert await first_look(books, ago(2), ago(3)) == first
    assert await baseline.show(books) == first


async def test_of_two_first_looks_at_once_one_counts(books: Database) -> None:
    looks = await asyncio.gather(*(first_look(books, ago(1)) for _ in range(4)))
    assert len({look.set_at for look in looks}) == 1
    assert await value(books, "SELECT count(*) FROM audit_log WHERE action = 'baseline.set'") == 1


async def test_what_succeeds_after_the_first_look_counts_though_it_was_created_before(books: Database) -> None:
    await client(books, "20000")
    late = ago(3, dispensed=False)
    await first_look(books)
    done = ago(3, external_id=late.external_id)
    assert await baseline.outdated(books, [digest(late)]) == []  # old, and it never succeeded
    assert await baseline.outdated(books, [digest(done)]) == [late.external_id]
    result = await Intake(books, IntakeConfig()).process([done])
    assert len(result.distributed) == 1
    assert await baseline.outdated(books, [digest(done)]) == []


async def test_moved_earlier_releases_what_was_left_out_since_then(books: Database) -> None:
    await client(books, "20000")
    older, newer = ago(5), ago(1)
    await first_look(books, older, newer)
    moved = await set_to(books, NOW - timedelta(days=2), older, newer)
    assert moved.left_out == 1
    assert await state(books, older) is CashOutState.BEFORE_BASELINE
    assert await state(books, newer) is CashOutState.DUE
    assert await baseline.outdated(books, [digest(older), digest(newer)]) == [newer.external_id]
    result = await Intake(books, IntakeConfig()).process([newer])
    assert [d.row.external_id for d in result.distributed] == [newer.external_id]
    assert await baseline.outdated(books, []) == []
    assert (await cash_outs.show(books, newer.external_id)).summary.happened_at == newer.dispensed_at
    await assert_books_hold(books)


async def test_moved_later_leaves_out_what_is_not_distributed(books: Database) -> None:
    await client(books, "20000")
    shared, waiting, after = ago(4), ago(3), ago(0.5)
    await first_look(books)
    await Intake(books, IntakeConfig()).process([shared])
    moved = await set_to(books, NOW - timedelta(days=1), shared, waiting, after)
    assert moved.left_out == 1
    assert await state(books, shared) is CashOutState.DISTRIBUTED
    assert await state(books, waiting) is CashOutState.BEFORE_BASELINE
    result = await Intake(books, IntakeConfig()).process([shared, waiting, after])
    assert [d.row.external_id for d in result.distributed] == [after.external_id]
    await assert_books_hold(books)


async def test_moved_back_and_forth_distributes_once(books: Database) -> None:
    await client(books, "20000")
    row = ago(3)
    await first_look(books, row)
    for days in (5, 1, 5):
        await set_to(books, NOW - timedelta(days=days), row)
    assert await state(books, row) is CashOutState.DUE
    for _ in range(2):
        await Intake(books, IntakeConfig()).process([row])
    await set_to(books, NOW - timedelta(days=1), row)
    assert await state(books, row) is CashOutState.DISTRIBUTED
    assert await value(books, "SELECT count(*) FROM distribution") == 1
    await assert_books_hold(books)


@pytest.mark.parametrize(
    ("at", "reason", "words"),
    [
        (NOW + timedelta(seconds=1), "x", "can't lie in the future"),
        (datetime(2026, 1, 1), "x", "has no zone"),  # noqa: DTZ001 - as somebody might type it
        (NOW, " ", "needs a reason"),
    ],
)
async def test_what_is_no_baseline_is_refused(books: Database, at: datetime, reason: str, words: str) -> None:
    before = await first_look(books)
    with pytest.raises(InputError, match=words):
        await set_to(books, at, reason=reason)
    assert await baseline.show(books) == before


async def test_a_move_is_in_the_audit_log(books: Database) -> None:
    await first_look(books)
    await set_to(books, NOW - timedelta(days=2), reason="the operator asked for it")
    assert (
        await value(books, "SELECT reason FROM audit_log ORDER BY id DESC LIMIT 1") == "the operator asked for it"
    )
    assert await value(books, "SELECT before ->> 'at' FROM audit_log ORDER BY id DESC LIMIT 1") == NOW.isoformat()


async def test_rows_that_the_books_lack_or_have_otherwise_are_outdated(books: Database) -> None:
    await first_look(books)
    new_failure, known = success(created=NOW, dispense_confirmed=False), success(created=NOW, status="authorized")
    await Intake(books, IntakeConfig()).process([known])
    changed = success(created=NOW, external_id=known.external_id, status="confirmed")
    assert await baseline.outdated(books, [digest(new_failure), digest(known)]) == [new_failure.external_id]
    assert await baseline.outdated(books, [digest(changed)]) == [known.external_id]
    await Intake(books, IntakeConfig()).process([changed])
    assert await baseline.outdated(books, [digest(changed)]) == []


async def test_what_a_setting_kept_back_is_looked_at_again_when_the_daemon_starts(books: Database) -> None:
    await first_look(books)
    await client(books, "20000")
    bare = success(commission_percentage=None)
    await Intake(books, IntakeConfig()).process([bare])
    cancelled = success(error="Operator cancel")
    await Intake(books, IntakeConfig()).process([cancelled])
    assert await baseline.outdated(books, [digest(bare), digest(cancelled)]) == []
    assert await baseline.look_again(books) == 1
    assert await baseline.outdated(books, [digest(bare), digest(cancelled)]) == [bare.external_id]
    await Intake(books, IntakeConfig()).process(
        [bare]
    )  # nothing has changed: it stays, and is not looked at again
    assert await state(books, bare) is CashOutState.REVIEW
    assert await baseline.outdated(books, [digest(bare)]) == []
    await baseline.look_again(books)
    await Intake(books, IntakeConfig(split_method=SplitMethod.TICKER)).process([bare])
    assert await state(books, bare) is CashOutState.DISTRIBUTED
    assert await baseline.look_again(books) == 0
    await assert_books_hold(books)
