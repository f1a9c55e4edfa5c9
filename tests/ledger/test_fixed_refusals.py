"""What the database itself refuses of Fixed Mode, said in SQL by the owner of its tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from dca_daemon.demo.postgres import sqlalchemy_url
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from tests.fixtures.postgres import PostgresServer
from tests.ledger.filled import Filled, fill
from tests.ledger.test_database_refuses import CHECK, RESTRICT, UNIQUE, FilledBooks, refused
from tests.services.builders import sql, value
from tests.services.fixed_bench import Bench


@pytest.fixture(scope="module")
def filled(postgres_server: PostgresServer, books_template: str) -> Iterator[FilledBooks]:
    """One run is done, one found nobody; the module's tests share it."""

    async def prepare(url: str) -> Filled:
        db = Database(url)
        try:
            ids = await fill(db)
            bench = Bench(db, "2026-11-02T12:00")
            await bench.schedule("08:00", "18:00")
            buyer = await bench.buyer("250")
            await bench.look("2026-11-02T14:00")
            await sql(db, "UPDATE client SET status = 'inactive' WHERE id = :id", id=buyer)
            await bench.look("2026-11-03T00:00")
            assert await value(db, "SELECT string_agg(state, ' ' ORDER BY id) FROM fixed_run") == "done nothing"
            return ids
        finally:
            await db.close()

    with postgres_server.clone(books_template) as database:
        dsn = postgres_server.dsn(database)
        yield FilledBooks(dsn, asyncio.run(prepare(sqlalchemy_url(dsn))))


def run(**changes: str) -> str:
    values = {
        "pool_id": "1",
        "schedule_id": "(SELECT max(id) FROM fixed_schedule)",
        "local_date": "'2026-11-09'",
        "local_time": "'08:00'",
        "due_at": "now()",
        "state": "'skipped'",
        "reason": "'test'",
        "actor": "'test'",
    } | changes
    return f"INSERT INTO fixed_run ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def distribution(**changes: str) -> str:
    """The fixed distribution once more, with other values."""
    pairs = ", ".join(f"'{name}', {text}" for name, text in {"id": "9001", **changes}.items())
    return f"""INSERT INTO distribution SELECT (jsonb_populate_record(d, jsonb_build_object({pairs}))).*
                 FROM distribution d WHERE kind = 'fixed'"""


SCHEDULE = """INSERT INTO fixed_schedule (pool_id, zone, times, missed, default_max_minor, actor)
              VALUES (1, 'UTC', {0}, {1}, {2}, 'test')"""
AMOUNT = (
    "INSERT INTO fixed_amount (client_id, pool_id, daily_minor, max_minor, actor) VALUES (1, 1, {0}, {1}, 'test')"
)
NOTHING_RUN = "(SELECT id FROM fixed_run WHERE state = 'nothing')"


@pytest.mark.parametrize(
    ("statement", "sqlstate", "constraint"),
    [
        (run(local_date="'2026-11-02'"), UNIQUE, "fixed_run_pool_id_local_date_local_time_key"),
        (run(reason="NULL"), CHECK, "fixed_run_check"),
        (run(state="'done twice'"), CHECK, "fixed_run_state_check"),
        (run(local_time="'24:00'"), CHECK, "fixed_run_local_time_check"),
        (run(local_time="'8:00'"), CHECK, "fixed_run_local_time_check"),
        (SCHEDULE.format("'{{}}'", "'skip'", 0), CHECK, "fixed_schedule_times_check"),
        (SCHEDULE.format("'{{08:00}}'", "'never'", 0), CHECK, "fixed_schedule_missed_check"),
        (SCHEDULE.format("'{{08:00}}'", "'skip'", -1), CHECK, "fixed_schedule_default_max_minor_check"),
        (AMOUNT.format(-1, "NULL"), CHECK, "fixed_amount_daily_minor_check"),
        (AMOUNT.format(1, -1), CHECK, "fixed_amount_max_minor_check"),
        (distribution(), UNIQUE, "distribution_entry_id_key"),
        (distribution(rate_fiat="NULL"), CHECK, "distribution_fixed"),
        (distribution(rate_source="NULL"), CHECK, "distribution_fixed"),
        (distribution(rate_at="NULL"), CHECK, "distribution_fixed"),
        (distribution(rate_fiat="0"), CHECK, "distribution_rate_fiat_check"),
        (distribution(fixed_run_id="NULL"), CHECK, "distribution_fixed"),
        (distribution(kind="'adjustment'", reason="'test'"), CHECK, "distribution_fixed"),
    ],
)
def test_fixed_mode_refuses(filled: FilledBooks, statement: str, sqlstate: str, constraint: str) -> None:
    refused(filled, [statement], sqlstate, constraint)


def test_a_run_has_one_distribution_whose_records_add_up(filled: FilledBooks) -> None:
    entry = """INSERT INTO journal_entry (template, idempotency_key, input_hash, happened_at, actor, cause)
               VALUES ('test', 'another', 'hash', now(), 'test', 'test')"""
    its = "(SELECT max(id) FROM journal_entry)"
    refused(filled, [entry, distribution(entry_id=its)], UNIQUE, "distribution_fixed_run_once")
    alone = [entry, distribution(entry_id=its, fixed_run_id=NOTHING_RUN)]
    refused(filled, alone, CHECK, "journal_entry_postings")


@pytest.mark.parametrize("table", ["fixed_schedule", "fixed_amount", "fixed_run"])
@pytest.mark.parametrize("statement", ["UPDATE {0} SET actor = actor", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"])
def test_what_is_written_once_stays(filled: FilledBooks, table: str, statement: str) -> None:
    refused(filled, [statement.format(table)], RESTRICT, None)


async def test_verify_sees_a_run_that_bought_nothing_it_says_it_did(filled: FilledBooks) -> None:
    db = Database(sqlalchemy_url(filled.dsn))
    try:
        assert [check for check in await verify(db) if not check.holds] == []
        await sql(db, run(state="'done'"))
        (check,) = [check for check in await verify(db) if not check.holds]
        assert check.name == "fixed-runs-once" and "is done and has 0 distributions" in check.findings[0]
    finally:
        await db.close()
