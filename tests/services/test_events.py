"""The feed of events: what fills it, that no reader skips one, and that it may be pruned."""

from __future__ import annotations

import psycopg
import pytest

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.ledger.db import Database
from dca_daemon.services.audit import audit
from dca_daemon.services.events import Feed
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.fixtures.postgres import TestDb
from tests.services.builders import success


async def add(db: Database, *kinds: str) -> None:
    """Events that all stand in one transaction."""
    async with db.transaction() as conn:
        for kind in kinds:
            await audit(conn, actor="os:ana", action=kind, subject="client:1", after={"name": "Ana"}, reason="so")


async def test_pages_kinds_and_cursor(books: Database) -> None:
    feed = Feed(books)
    before = (await feed.page(0)).next_after
    await add(books, "client.add", "payout.retry", "payouts.odd", "client.rename", "payout.hold")
    first = await feed.page(before, limit=2)
    assert [e.kind for e in first.events] == ["client.add", "payout.retry"]
    assert first.next_after == first.events[-1].event_id and not first.is_last
    assert first.events[0].subject == "client:1"
    assert first.events[0].data == {"actor": "os:ana", "after": {"name": "Ana"}, "reason": "so"}
    rest = await feed.page(first.next_after)
    assert [e.kind for e in rest.events] == ["payouts.odd", "client.rename", "payout.hold"] and rest.is_last
    payouts = await feed.page(before, kinds=["payout", "client.add"])
    assert [e.kind for e in payouts.events] == ["client.add", "payout.retry", "payout.hold"]
    nothing = await feed.page(before, kinds=["deposit"])
    assert nothing.events == () and nothing.next_after == rest.next_after  # the cursor moves all the same
    assert len((await feed.page(before, kinds=["*", "deposit"])).events) == 5

    for odd in ("Payout", "payout.", "", "a b", "x" * 61, "payout%"):
        with pytest.raises(InputError):
            await feed.page(0, kinds=[odd])
    with pytest.raises(InputError):
        await feed.page(0, kinds=[f"k{n}" for n in range(51)])
    with pytest.raises(ConflictError, match="from a backup"):
        await feed.page(rest.newest_id + 1000)


async def test_nothing_is_skipped_that_becomes_visible_late(books: Database, books_db: TestDb) -> None:
    insert = b"INSERT INTO audit_log (actor, action, subject) VALUES ('os:ana', %s, 'client:1')"
    feed = Feed(books)
    start = (await feed.page(0)).next_after
    async with (
        await psycopg.AsyncConnection.connect(books_db.dsn) as early,
        await psycopg.AsyncConnection.connect(books_db.dsn) as late,
    ):
        await early.execute(insert, ("first.taken",))
        await late.execute(insert, ("second.taken",))
        await late.commit()
        waiting = await feed.page(start)  # the second is there to be seen, and must not be yet
        assert waiting.events == () and waiting.next_after == start and not feed.settled
        new = Feed(books)  # one that begins now has no mark yet, and does not begin with all that ever was
        assert await new.newest() > start and not new.settled
        # One that begins meanwhile is not waited for.
        await late.execute(insert, ("third.taken",))
        await early.commit()
        both = await feed.page(start)
        assert [e.kind for e in both.events] == ["first.taken", "second.taken"]
        await late.rollback()
        await add(books, "fourth.taken")
        assert [e.kind for e in (await feed.page(both.next_after)).events] == ["fourth.taken"]
    assert feed.settled
    fresh = await Feed(books).page(start)
    assert [e.kind for e in fresh.events] == ["first.taken", "second.taken", "fourth.taken"]


async def test_every_log_tells_and_notifies_at_commit(books: Database, books_db: TestDb) -> None:
    feed = Feed(books)
    before = (await feed.page(0)).next_after
    async with await psycopg.AsyncConnection.connect(books_db.dsn, autocommit=True) as listening:
        await listening.execute("LISTEN dca_event")
        await add(books, "client.add", "client.rename")
        assert [n.payload async for n in listening.notifies(timeout=10, stop_after=1)] == [""]
        await Intake(books, IntakeConfig()).process([success()])
        assert [n.payload async for n in listening.notifies(timeout=10, stop_after=1)] == [""]
        for table, column in (("payout", "client_id"), ("payout", "destination_id")):
            await listening.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_fkey".encode())
        await listening.execute("ALTER TABLE payout DISABLE TRIGGER USER")
        await listening.execute(
            b"""INSERT INTO payout (id, client_id, destination_id, amount_sats, memo)
                VALUES ('00000000-0000-0000-0000-000000000001', 4, 1, 7, '')"""
        )
        await listening.execute(
            b"""INSERT INTO payout_log (payout_id, event, detail)
                VALUES ('00000000-0000-0000-0000-000000000001', 'settled', '{"from": "submitted"}')"""
        )
        await listening.execute("ALTER TABLE fixed_run DROP CONSTRAINT fixed_run_schedule_id_fkey")
        await listening.execute(
            b"""INSERT INTO fixed_run (pool_id, schedule_id, local_date, local_time, due_at, state, actor)
                VALUES (1, 1, '2026-11-25', '09:00', '2026-11-25 15:00Z', 'done', 'daemon')"""
        )
        await listening.execute(b"INSERT INTO commission_release (records, sats, actor) VALUES (2, 500, 'daemon')")
    happened = (await feed.page(before)).events
    assert [(e.kind, e.subject) for e in happened] == [
        ("client.add", "client:1"),
        ("client.rename", "client:1"),
        ("cash-out.seen", "cash-out:1"),
        ("cash-out.booked", "cash-out:1"),
        ("payout.settled", "payout:00000000-0000-0000-0000-000000000001"),
        ("fixed-run.done", "fixed-run:1"),
        ("commission.released", "commission-release:1"),
    ]
    payout, fixed_run, released = (e.data for e in happened[-3:])
    assert payout == {"from": "submitted", "client_id": 4, "amount_sats": 7, "state": "reserved"}
    assert (fixed_run["pool_id"], fixed_run["date"], fixed_run["time"]) == (1, "2026-11-25", "09:00")
    assert released == {"records": 2, "amount_sats": 500}
