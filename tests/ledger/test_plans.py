"""Queries of the main job use their indexes: what one cash-out costs does not grow with history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger import entries, journal
from dca_daemon.ledger.accounts import coins_received, house_sats
from dca_daemon.ledger.db import Database, execute, rows
from dca_daemon.ledger.entries import EntryFilter
from dca_daemon.payouts import agenda, store
from dca_daemon.services import audit, cash_outs, deposits, distribution_views, mirror, payouts
from dca_daemon.services.booking import flow_balances
from dca_daemon.services.reconciliation import books as reconciled
from dca_daemon.services.reconciliation.findings import Findings
from dca_daemon.services.reports import clients as reports
from dca_daemon.services.reports.clients_sql import RECORDS
from tests.ledger.filled import fill, made_up_invoice
from tests.ledger.test_journal import entry
from tests.services.builders import client, success, value

MANY = 50_000

# What years of work leave behind: settled payouts, distributed cash-outs, spent deposits. No trigger fires.
HISTORY = [
    "SET LOCAL session_replication_role = replica",
    "INSERT INTO destination (kind, invoice_key_encrypted) SELECT 'lnbits', 'x' FROM generate_series(1, 5000)",
    f"""INSERT INTO client (id, name, mode, destination_id)
        SELECT 1000 + n, 'Old ' || n, 'flow', (SELECT min(id) FROM destination)
          FROM generate_series(1, {MANY}) n""",
    "INSERT INTO pool (id, name, currency) VALUES (2, 'other', 'GTQ')",
    f"""INSERT INTO account (name, unit, kind, purpose, guarded, client_id, pool_id, balance, version)
        SELECT 'client:' || 1000 + n || ':fiat:2', 'GTQ', 'liability', 'client-fiat', true, 1000 + n, 2, -n, 1
          FROM generate_series(1, {MANY}) n""",
    f"""INSERT INTO journal_entry (template, idempotency_key, input_hash, happened_at, actor, cause)
        SELECT 'old', 'old:' || n, 'x', now(), 'x', 'x' FROM generate_series(1, {MANY}) n""",
    f"""INSERT INTO posting (account_id, account_version, entry_id, amount, balance_after)
        SELECT a.id, 100 + n, e.id, 1, n FROM generate_series(1, {MANY}) n
          JOIN journal_entry e ON e.idempotency_key = 'old:' || n,
               (SELECT id FROM account WHERE name = 'house:sats') a""",
    f"""INSERT INTO cash_out SELECT (jsonb_populate_record(c, jsonb_build_object(
               'id', 10000 + n, 'external_id', 'old-' || n))).*
          FROM generate_series(1, {MANY}) n, cash_out c
         WHERE c.id = (SELECT min(cash_out_id) FROM distribution)""",
    f"""INSERT INTO distribution SELECT (jsonb_populate_record(d, jsonb_build_object(
               'id', 10000 + n, 'cash_out_id', 10000 + n, 'entry_id', e.id))).*
          FROM generate_series(1, {MANY}) n JOIN journal_entry e ON e.idempotency_key = 'old:' || n,
               distribution d WHERE d.id = (SELECT min(id) FROM distribution)""",
    f"""INSERT INTO distribution_record (id, distribution_id, client_id, type, sats, fiat_minor, state)
        SELECT 10000 + n, 10000 + n, 1 + n % 3, 'flow', 5, 5, 'settled' FROM generate_series(1, {MANY}) n""",
    f"""INSERT INTO payout (id, client_id, destination_id, amount_sats, state, memo, bolt11, payment_hash,
                            invoice_expires_at, submit_until, fee_msat, settled_at)
        SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), 1 + n % 3, (SELECT min(id) FROM destination), 5, 'settled',
               'x', 'x', 'old-' || n, now(), now(), 0, now() FROM generate_series(1, {MANY}) n""",
    f"""INSERT INTO payout_record (payout_id, record_id)
        SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), 10000 + n FROM generate_series(1, {MANY}) n""",
    f"""INSERT INTO payout_log (payout_id, event)
        SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), 'settled' FROM generate_series(1, {MANY}) n""",
    f"""INSERT INTO deposit SELECT (jsonb_populate_record(d, jsonb_build_object(
               'id', 10000 + n, 'client_id', 1000 + n))).*
          FROM generate_series(1, {MANY}) n, deposit d WHERE d.id = (SELECT min(id) FROM deposit)""",
    f"""INSERT INTO audit_log (actor, action, subject)
        SELECT 'old', 'old.thing', 'thing:' || n FROM generate_series(1, {MANY}) n""",
]
BIG = (
    "client",
    "account",
    "journal_entry",
    "posting",
    "cash_out",
    "distribution",
    "distribution_record",
    "payout",
    "payout_record",
    "payout_log",
    "destination",
    "deposit",
    "audit_log",
)


async def explain(db: Database, work: Callable[[AsyncConnection], Awaitable[object]]) -> list[str]:
    """The plans of all statements that the work makes, run first for real and then explained."""
    statements: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        statements.append((statement, parameters))

    plans = []
    async with db.engine.connect() as conn:
        transaction = await conn.begin()
        event.listen(db.engine.sync_engine, "before_cursor_execute", note)
        try:
            await work(conn)
        finally:
            event.remove(db.engine.sync_engine, "before_cursor_execute", note)
        for statement, parameters in statements:
            found = await conn.exec_driver_sql(f"EXPLAIN {statement}", parameters)
            plans.append(statement + "\n" + "\n".join(str(r[0]) for r in found))
        await transaction.rollback()
    assert plans
    return plans


def assert_no_big_scan(plans: list[str]) -> None:
    for plan in plans:
        scanned = {line.split()[0] for line in plan.split("Seq Scan on ")[1:]}
        assert not scanned & set(BIG), plan


def assert_no_sorting_of_pages(plans: list[str]) -> None:
    """A page costs what is on it, not what is left of the history."""
    for plan in plans:
        if "LIMIT" in plan and "OVER ()" not in plan:
            assert "Sort Key" not in plan, plan


@pytest.fixture
async def full(books: Database) -> Database:
    """Books with a long history, and a little that is open."""
    ids = await fill(books)
    async with books.transaction() as conn:
        for statement in HISTORY:
            await execute(conn, statement)
    await client(books, "100")
    async with books.engine.connect() as conn:
        await conn.execution_options(isolation_level="AUTOCOMMIT")
        await conn.exec_driver_sql("VACUUM ANALYZE")
    assert ids.a
    return books


async def test_the_main_job_reads_by_index(full: Database) -> None:
    source_rows = [success() for _ in range(20)]
    open_payout = str(await value(full, "SELECT id FROM payout WHERE state = 'invoiced'"))
    owed = int(await value(full, "SELECT client_id FROM distribution_record WHERE state = 'owed' LIMIT 1"))

    async def payers_look(conn: AsyncConnection) -> None:
        await agenda.due(conn, 4)
        await agenda.owed_clients(conn, 4)
        await agenda.seconds_to_next(conn)
        await agenda.unpaid_sats(conn)

    async def a_payouts_life(conn: AsyncConnection) -> None:
        found = await store.reserve(conn, owed, max_sats=10**9, actor="test")
        assert found is not None
        payout_id = found[0]
        await store.invoiced(conn, await store.load(conn, payout_id), made_up_invoice(payout_id))
        await store.submitting(conn, await store.load(conn, payout_id))
        payout = await store.load(conn, payout_id)
        await store.settle(conn, payout, fee_msat=1, evidence={}, actor="test")

    async def a_payouts_failure(conn: AsyncConnection) -> None:
        await store.submitting(conn, await store.load(conn, open_payout))
        payout = await store.load(conn, open_payout)
        await store.postpone(conn, payout, seconds=1, reason="test")
        await store.release(conn, payout, PayoutState.FAILED, reason="test", actor="test")

    works: dict[str, Callable[[AsyncConnection], Awaitable[object]]] = {
        "what the payer looks for": payers_look,
        "a payout that settles": a_payouts_life,
        "a payout that fails": a_payouts_failure,
        "what the books have of rows": lambda conn: mirror.known(conn, source_rows),
        "balances of a pool": lambda conn: flow_balances(conn, 1),
        "a comparison's pages": a_comparisons_pages,
        "the first page of each list": the_lists,
        "a client's report": lambda conn: a_clients_report(conn, owed),
        "a posting": lambda conn: journal.post(conn, [entry("k", (coins_received(), 5), (house_sats(), -5))]),
    }
    for work in works.values():
        plans = await explain(full, work)
        assert_no_big_scan(plans)
        if work is a_comparisons_pages:
            assert_no_sorting_of_pages(plans)


class Within(Database):
    """Hands out the one connection that a plan is looked at on."""

    def __init__(self, conn: AsyncConnection) -> None:
        self._conn = conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        yield self._conn


async def a_comparisons_pages(conn: AsyncConnection) -> None:
    """One page of each kind, from within a long history."""
    db, since = Within(conn), datetime(2026, 1, 1, tzinfo=UTC)
    old = ["00000000-0000-0000-0000-000000000001"]
    for pages in (
        reconciled.settled_pages(db, since, page_rows=100),
        reconciled.settled_pages(db, since, destination_id=1, page_rows=100),
        reconciled.receiver_wallets(db, page_rows=100),
        reconciled.booked_pages(db, since, page_rows=100),
    ):
        await anext(pages)
    await reconciled.by_hand(db, old)
    await reconciled.known_payouts(db, old, ["old-1", "old-2"])
    await reconciled.states_of(db, ["old-1", "old-2"])
    await reconciled.note_unfinished(db, Findings())


async def the_lists(conn: AsyncConnection) -> None:
    """As they are first asked for, and by what is asked for most."""
    db = Within(conn)
    await cash_outs.list_all(db)
    await cash_outs.list_all(db, states=("distributed",))
    await payouts.list_all(db)
    await payouts.list_all(db, states=("settled",))
    await payouts.list_all(db, client=1)
    await deposits.list_all(db)
    await deposits.list_all(db, client="1")
    await distribution_views.list_all(db)
    await distribution_views.list_all(db, kind="cash-out")
    await distribution_views.list_all(db, client="1")
    await audit.list_all(db)
    await audit.list_all(db, actor="old")
    await entries.list_all(db)
    await entries.list_all(db, EntryFilter(template="old"))
    await entries.list_all(db, EntryFilter(account="house:sats"))


async def a_clients_report(conn: AsyncConnection, client_id: int) -> None:
    """Its own rows only, among those of fifty thousand others."""
    few = await rows(conn, "SELECT 1000 + 7 AS id")  # one of the old clients, without a record
    for one_of_them in (few[0].id, client_id):
        await reports.sats_of(conn, one_of_them)
    await rows(conn, RECORDS, client=few[0].id, since=None, until=None, limit=50)
    await reports.reports_of(conn, few[0].id, None, datetime(2100, 1, 1, tzinfo=UTC))
