"""Our own database freezes, ends connections, takes no writes, or gets in our way: exactly once all the same."""

from __future__ import annotations

import asyncio
import random

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts import store
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.e2e.conftest import Installation, eventually, terminate_backends
from tests.faults.acting import (
    assert_all_is_well,
    blames_its_database,
    cash_out,
    in_time,
    ready,
    something_happens,
    started,
    superuser,
)
from tests.faults.backends import Backend, backends, frozen, rounds, terminate
from tests.faults.relay import Relay
from tests.fixtures.postgres import TestDb
from tests.services.builders import client, success, value

STOP_SECONDS = 10.0  # what docs/operations.md promises of SIGTERM


async def waiting_for(dsn: str, *wait_events: str, application: str = "dca-daemon") -> Backend:
    """The first connection that waits for such a lock."""

    def look() -> Backend | None:
        return next((b for b in backends(dsn, application) if b.wait_event in wait_events), None)

    found = await eventually(look)
    assert isinstance(found, Backend)
    return found


async def test_frozen_while_it_books_a_stop_does_not_wait_for_it(installation: Installation) -> None:
    await started(installation)
    dsn = installation.books_db.dsn
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as rival:
        await rival.execute("SELECT pg_advisory_lock(%s, 1)", (lock_keys.POOL_CLASS,))
        cash_out(installation)
        booking = await waiting_for(dsn, "advisory")
        with frozen(booking.pid):
            await rival.execute("SELECT pg_advisory_unlock_all()")  # so the frozen one has the pool's lock
            (daemon,) = installation.daemons
            daemon.terminate()
            assert await asyncio.to_thread(daemon.wait, STOP_SECONDS) == 0
            installation.start(DCA_DATABASE__STATEMENT_TIMEOUT_SECONDS="1")
            await installation.has_logged("intake.waits")
            await blames_its_database(installation, "statement timeout")
    async with in_time():
        await installation.distributed(2)
        await eventually(lambda: ready(installation))
    await assert_all_is_well(installation, 2)


async def test_frozen_while_it_settles_it_is_hung_up_on(installation: Installation) -> None:
    await started(installation, DCA_DATABASE__STATEMENT_TIMEOUT_SECONDS="1")
    dsn = installation.books_db.dsn
    async with await psycopg.AsyncConnection.connect(dsn) as rival:
        await rival.execute("SELECT FROM account WHERE name = 'coins:source' FOR UPDATE")
        cash_out(installation)
        settling = await waiting_for(dsn, "transactionid", "tuple")
        with frozen(settling.pid):
            await rival.rollback()
            await eventually(lambda: any("no answer" in w["error"] for w in installation.logged("payer.waits")))
    async with in_time():
        await installation.all_settled()
    await assert_all_is_well(installation, 2)


async def test_connections_that_are_ended_at_random(installation: Installation) -> None:
    """Each time that a daemon does something, one of its connections to one of the two databases is ended."""
    await started(installation)
    chance = random.Random(20261124)
    count = rounds(20, 500)
    for _ in range(count):
        async with something_happens(installation):
            cash_out(installation)
            dsn = chance.choice((installation.books_db.dsn, installation.lamassu_db.admin_dsn))
            if found := backends(dsn):
                terminate(dsn, chance.choice(found).pid)
    await assert_all_is_well(installation, 1 + count)


async def test_commits_whose_reply_is_lost(installation: Installation) -> None:
    """The server has committed, and the connection ends before it could say so."""
    async with Relay(installation.books_db.dsn) as relay:
        await started(installation, DCA_DATABASE__URL=relay.dsn)
        count = 1
        for _ in range(rounds(1, 20)):
            relay.lose_every(3, 5)
            while relay.lost < relay.to_lose:
                cash_out(installation)
                count += 1
                await installation.distributed(count)
                await installation.all_settled()
        await assert_all_is_well(installation, count)


FULL = """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$"""


async def test_a_database_that_takes_no_writes_for_a_while(installation: Installation) -> None:
    """Switched to read-only, as a full disk's administrator or a failover does; then a disk that is full."""
    await started(installation)
    dsn, name = installation.books_db.dsn, installation.books_db.database
    superuser(dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    terminate_backends(dsn, "dca-daemon")
    cash_out(installation, 3)
    await installation.has_logged("intake.waits")
    await blames_its_database(installation, "read-only")
    superuser(dsn, "SET default_transaction_read_only = off", f"ALTER DATABASE {name} RESET ALL")
    async with in_time():
        await installation.distributed(4)
        await installation.all_settled()
        await eventually(lambda: ready(installation))

    superuser(dsn, FULL)
    count = 4
    for table, part in (("journal_entry", "intake"), ("payout_log", "payer")):
        event = f"{part}.waits"
        superuser(dsn, f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION full_disk()")
        told = len(installation.logged(event))
        cash_out(installation, 3)
        count += 3
        await installation.has_logged(event, told + 1)
        await blames_its_database(installation, "No space left")
        superuser(dsn, f"DROP TRIGGER full_disk ON {table}")
        async with in_time():
            await installation.distributed(count)
            await installation.all_settled()
            await eventually(lambda: ready(installation))
            await installation.has_logged(f"{part}.resumed")
    await assert_all_is_well(installation, count)


async def _book(books: Database, _client_id: int) -> object:
    return await Intake(books, IntakeConfig()).process([success()])


async def _reserve(books: Database, client_id: int) -> object:
    async def work(conn: AsyncConnection) -> object:
        return await store.reserve(conn, client_id, max_sats=10_000_000, actor="test")

    return await books.run(work)


@pytest.mark.parametrize("booking", [True, False], ids=["book", "reserve"])
async def test_a_deadlock_with_another_program_is_resolved(
    books: Database, books_db: TestDb, booking: bool
) -> None:
    """It locks accounts in the opposite order. PostgreSQL ends us, who waited first; we do it again."""
    first = await client(books, "20000")
    await _book(books, first)
    await _reserve(books, first)
    second = await client(books, "20000")
    await _book(books, second)  # now all accounts exist
    ours = ["house:sats", "cash:pool:1"] if booking else [f"client:{second}:payable", "payouts:in-flight"]
    lock = "SELECT FROM account WHERE id = (SELECT {}(id) FROM account WHERE name = ANY(%s)) FOR UPDATE"
    async with await psycopg.AsyncConnection.connect(books_db.dsn) as rival:
        await rival.execute(lock.format("max").encode(), (ours,))
        with capture_logs() as logs:
            work = asyncio.ensure_future((_book if booking else _reserve)(books, second))
            await waiting_for(books_db.dsn, "transactionid", "tuple", application="test")
            await rival.execute(lock.format("min").encode(), (ours,))
            await rival.rollback()
            assert await work
    assert [line["sqlstate"] for line in logs if line["event"] == "database.retry"] == ["40P01"]
    assert [check for check in await verify(books) if not check.holds] == []


async def test_serialization_failures_are_done_again_and_nothing_is_lost(books: Database) -> None:
    """At SERIALIZABLE, where who waited for the pool's lock has an old view, and is refused (40001)."""
    for _ in range(3):
        await client(books, "20000")
    books.engine = books.engine.execution_options(isolation_level="SERIALIZABLE")
    rows = [success() for _ in range(24)]

    async def book(seed: int) -> None:
        mixed = random.Random(seed).sample(rows, len(rows))
        for start in range(0, len(mixed), 4):
            while True:
                try:
                    await Intake(books, IntakeConfig()).process(mixed[start : start + 4])
                    break
                except DatabaseError:  # often enough refused in a row: as the daemon does, once more
                    continue

    with capture_logs() as logs:
        await asyncio.gather(*(book(seed) for seed in range(3)))
    assert "40001" in [line["sqlstate"] for line in logs if line["event"] == "database.retry"]
    assert await value(books, "SELECT count(*) FROM distribution") == len(rows)
    assert await value(books, "SELECT count(*) FROM cash_out WHERE state <> 'distributed'") == 0
    assert [check for check in await verify(books) if not check.holds] == []
