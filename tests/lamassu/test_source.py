"""Reading: windows, pages, optional and missing columns, odd rows, broken connections."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.atm_scenarios import run
from dca_daemon.demo.lamassu_schema import create_schema
from dca_daemon.domain.cash_out import Verdict, classify, split_row
from dca_daemon.domain.errors import ConfigError, InputError, SourceError
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.lamassu import source as source_module
from dca_daemon.lamassu.connection import SourceConfig, connect
from dca_daemon.lamassu.shape import build_queries, read_shape
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.ledger.patience import answered
from tests.fixtures.postgres import READER_PASSWORD, READER_ROLE, LamassuDb, PostgresServer

WEEK = timedelta(days=7)
own_server = pytest.mark.skipif(
    "DCA_TEST_POSTGRES_DSN" in os.environ, reason="freezes a backend: only on a server of our own"
)


async def ids_of(source: LamassuSource, since: timedelta = WEEK, *, wide: bool = False) -> set[str]:
    return {d.external_id async for page in source.digests(since, wide=wide) for d in page}


async def test_the_window_and_the_wide_sweep(atm: SimulatedAtm, source: LamassuSource) -> None:
    fresh = run(atm, "never-paid")
    old_failure = run(atm, "machine-died", ago=timedelta(days=30))
    old_success = run(atm, "zero-conf-unconfirmed", ago=timedelta(days=30))
    confirmed_now = run(atm, "on-chain", ago=timedelta(days=30))
    # The failure's coins were confirmed just now: that, too, puts a row into the window.
    assert await ids_of(source) == {fresh, old_failure, confirmed_now}
    assert await ids_of(source, wide=True) == {fresh, old_failure, old_success, confirmed_now}


async def test_pages_leave_nothing_out(
    atm: SimulatedAtm, source: LamassuSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "_DIGEST_PAGE", 10)
    atm.backlog(95)
    sizes = [len(page) async for page in source.digests(WEEK)]
    assert sizes == [10] * 9 + [5]
    assert len(await ids_of(source)) == 95
    pages = [page async for page in source.all_successes(page_rows=20)]
    assert [len(page) for page in pages] == [20, 20, 20, 20, 15]
    assert len({row.external_id for page in pages for row in page}) == 95


async def test_the_baseline_has_successful_bitcoin_only(atm: SimulatedAtm, source: LamassuSource) -> None:
    expected = {run(atm, name) for name in ("on-chain", "lightning", "cancelled-after-notes")}
    for name in ("other-coin", "machine-died", "never-paid"):
        run(atm, name)
    found = {row.external_id async for page in source.all_successes() for row in page}
    assert found == expected


async def test_unknown_and_odd_ids_are_left_out(atm: SimulatedAtm, source: LamassuSource) -> None:
    external_id = run(atm, "on-chain")
    absent = "00000000-0000-4000-8000-000000000000"
    rows = await source.fetch([external_id, absent, "manual-7", "'; DROP TABLE x; --", external_id])
    assert [row.external_id for row in rows] == [external_id]
    assert await source.fetch(["nothing"]) == []


async def test_looking_rows_up_reads_no_actions(
    atm: SimulatedAtm, source: LamassuSource, admin: psycopg.Connection
) -> None:
    external_id = run(atm, "on-chain")
    absent = "00000000-0000-4000-8000-000000000000"
    (fetched,) = await source.fetch([external_id])
    with admin.transaction():
        admin.execute("LOCK TABLE cash_out_actions IN ACCESS EXCLUSIVE MODE")
        (found,) = await source.look_up([external_id, absent, "manual-7"])
    assert found == replace(fetched, dispensed_at=None)
    assert await source.look_up(["manual-7"]) == []


async def test_now_is_the_source_s_clock(source: LamassuSource) -> None:
    assert abs(await source.now() - datetime.now(UTC)) < timedelta(minutes=1)


async def test_odd_values_come_through_as_values_and_end_in_review(
    atm: SimulatedAtm, source: LamassuSource, admin: psycopg.Connection
) -> None:
    good, nan, empty, endless = (run(atm, "on-chain") for _ in range(4))
    admin.execute("ALTER TABLE cash_out_txs ALTER crypto_atoms DROP NOT NULL, ALTER fiat_code DROP NOT NULL")
    admin.execute("UPDATE cash_out_txs SET fiat = 'NaN' WHERE id = %s", (nan,))
    admin.execute("UPDATE cash_out_txs SET crypto_atoms = NULL, fiat_code = NULL WHERE id = %s", (empty,))
    admin.execute(
        "UPDATE cash_out_txs SET created = 'infinity', confirmed_at = '-infinity', discount = 300 WHERE id = %s",
        (endless,),
    )
    rows = {row.external_id: row for row in await source.fetch([good, nan, empty, endless])}
    assert set(rows) == {good, nan, empty, endless}
    assert {classify(row).verdict for row in rows.values()} == {Verdict.SUCCESS}
    for external_id in (nan, empty, endless):
        with pytest.raises(InputError):
            split_row(rows[external_id], pool_currency="GTQ", method=SplitMethod.RECORDED, charge=Charge.PRINCIPAL)
    assert await ids_of(source, wide=True) == {good, nan, empty, endless}
    assert len([row async for page in source.all_successes() for row in page]) == 4


async def test_fixed_fee_is_read_where_it_exists(lamassu_db_fixed_fee: LamassuDb, source: LamassuSource) -> None:
    with SimulatedAtm(lamassu_db_fixed_fee.admin_dsn) as atm:
        external_id = run(atm, "on-chain")
    with psycopg.connect(lamassu_db_fixed_fee.admin_dsn) as conn:
        conn.execute("UPDATE cash_out_txs SET fixed_fee = 12.5")
    (row,) = await source.fetch([external_id])
    assert row.fixed_fee == Decimal("12.5")


async def test_without_optional_rights_the_rest_is_read(
    atm: SimulatedAtm, source: LamassuSource, admin: psycopg.Connection
) -> None:
    admin.execute("DROP TABLE cash_out_actions")
    admin.execute(f"REVOKE ALL ON devices FROM {READER_ROLE}".encode())
    admin.execute(f"REVOKE SELECT (name) ON devices FROM {READER_ROLE}".encode())
    admin.execute("INSERT INTO cash_out_txs SELECT * FROM cash_out_txs WHERE false")
    external_id = "7d1cb9ce-3b15-4f2d-8b5b-6f0f5b3f4f11"
    admin.execute(
        "INSERT INTO cash_out_txs (id, device_id, to_address, crypto_atoms, crypto_code, fiat, fiat_code,"
        " dispense_confirmed, tx_version) VALUES (%s, %s, '', 100, 'LN', 1, 'GTQ', true, 1)",
        (external_id, atm.device_id),
    )
    (row,) = await source.fetch([external_id])
    assert (row.machine_name, row.dispensed_at, row.fixed_fee) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER TABLE cash_out_txs RENAME dispense_confirmed TO dispensed", "cash_out_txs.dispense_confirmed"),
        ("ALTER TABLE cash_out_txs DROP COLUMN raw_ticker_price", "cash_out_txs.raw_ticker_price"),
        (f"REVOKE SELECT (fiat) ON cash_out_txs FROM {READER_ROLE}", "cash_out_txs.fiat"),
        (f"REVOKE USAGE ON SCHEMA public FROM PUBLIC, {READER_ROLE}", "cash_out_txs.id"),
        ("ALTER TABLE cash_out_txs ALTER fiat TYPE text", "cash_out_txs.fiat (text)"),
        ("DROP TABLE cash_out_txs", "cash_out_txs.id"),
    ],
)
async def test_a_needed_column_that_cannot_be_read_is_named(
    change: str, named: str, source: LamassuSource, admin: psycopg.Connection
) -> None:
    await source.open()
    admin.execute(change.encode())  # as an upgrade of Lamassu does, under a reader that is connected
    await source.close()
    with pytest.raises(SourceError) as caught:
        await source.open()
    assert named in caught.value.message and caught.value.remedy


async def test_an_upgrade_under_an_open_connection_is_noticed(
    source: LamassuSource, admin: psycopg.Connection
) -> None:
    await ids_of(source)
    admin.execute("ALTER TABLE cash_out_txs RENAME dispense_confirmed TO dispensed")
    with pytest.raises(SourceError, match=r"no column cash_out_txs\.dispense_confirmed"):
        await ids_of(source)
    admin.execute("ALTER TABLE cash_out_txs RENAME dispensed TO dispense_confirmed")
    assert await ids_of(source) == set()


async def test_a_dead_connection_is_replaced_unnoticed(
    atm: SimulatedAtm, source: LamassuSource, admin: psycopg.Connection
) -> None:
    external_id = run(atm, "on-chain")
    await source.fetch([external_id])
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'dca-daemon' AND datname = current_database()"
    )
    assert len(await source.fetch([external_id])) == 1


async def test_the_password_is_in_no_error(config: SourceConfig) -> None:
    wrong = config.dsn.replace(READER_PASSWORD, "wrong-secret")
    away = config.dsn.replace("127.0.0.1", "127.0.0.2")
    for dsn in (wrong, away):
        with pytest.raises(SourceError) as caught:
            await LamassuSource(SourceConfig(dsn=dsn)).open()
        assert "secret" not in str(caught.value) and "lamassu.dsn" in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError) as refused:
        SourceConfig(dsn="postgresql://u:top-secret@[broken/x")
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(config)


@pytest.mark.parametrize("channel", ["reload", "RELOAD", "", "a b", "x" * 64, 'a"; NOTIFY reload; --'])
def test_a_channel_that_cannot_be_used_is_refused(channel: str, config: SourceConfig) -> None:
    with pytest.raises(ConfigError, match=r"lamassu\.channel"):
        SourceConfig(dsn=config.dsn, channel=channel)


async def test_the_session_is_read_only_and_bounded(config: SourceConfig) -> None:
    async with await connect(config) as conn:
        found = {
            name: (await (await conn.execute("SELECT current_setting(%s)", (name,))).fetchone() or ("",))[0]
            for name in ("transaction_read_only", "transaction_isolation", "statement_timeout", "search_path")
        }
    assert found == {
        "transaction_read_only": "on",
        "transaction_isolation": "read committed",
        "statement_timeout": "10s",
        "search_path": "pg_catalog",
    }


async def test_a_slow_answer_is_an_error_and_not_a_wait(lamassu_db: LamassuDb, admin: psycopg.Connection) -> None:
    config = SourceConfig(dsn=lamassu_db.reader_dsn, statement_timeout_seconds=0.2)
    source = LamassuSource(config)
    await source.open()
    with admin.transaction():
        admin.execute("LOCK TABLE cash_out_txs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceError, match="took longer"):
            await ids_of(source)
    assert await ids_of(source) == set()
    await source.close()


@own_server
async def test_a_frozen_server_is_cut_off(lamassu_db: LamassuDb) -> None:
    """SIGSTOP on the backend: no answer, no error, not even to a cancel. Waiting must end all the same."""
    config = SourceConfig(dsn=lamassu_db.reader_dsn)
    conn = await connect(config)
    pid = conn.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):
            with pytest.raises(psycopg.OperationalError):
                await answered(conn, 0.2, conn.execute("SELECT 1"))
    finally:
        os.kill(pid, signal.SIGCONT)
        await conn.close()


@own_server
async def test_cancelling_does_not_wait_for_a_frozen_server(lamassu_db: LamassuDb) -> None:
    conn = await connect(SourceConfig(dsn=lamassu_db.reader_dsn))
    pid = conn.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await answered(conn, 60, conn.execute("SELECT 1"))
    finally:
        os.kill(pid, signal.SIGCONT)
        await conn.close()


async def test_the_point_read_stays_cheap_on_a_filled_table(
    atm: SimulatedAtm, config: SourceConfig, admin: psycopg.Connection
) -> None:
    """It happens for every cash-out, and on the ATM's own database: by primary keys only."""
    atm.backlog(20_000)
    admin.execute("VACUUM ANALYZE cash_out_txs, cash_out_actions")
    external_id = run(atm, "lightning")
    async with await connect(config) as conn:
        query = build_queries(await read_shape(conn)).point
        plan = await (await conn.execute("EXPLAIN " + query, (external_id,))).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "Seq Scan on cash_out" not in text and "Sort" not in text, text
    assert "Index Scan using cash_out_txs_pkey" in text
    assert "Index Scan Backward using cash_out_actions_pkey" in text


async def test_bytes_that_are_no_text_hide_no_row(postgres_server: PostgresServer) -> None:
    """A database in SQL_ASCII takes any bytes as text. One such error message must not stop the scan."""
    with postgres_server.clone("template0", encoding="SQL_ASCII") as database:
        dsn = postgres_server.dsn(database)
        create_schema(dsn)
        with SimulatedAtm(dsn) as atm:
            odd, good = run(atm, "dispenser-error"), run(atm, "on-chain")
        with psycopg.connect(dsn, client_encoding="SQL_ASCII") as conn:
            conn.execute(b"UPDATE public.cash_out_txs SET error = E'jam \\xff\\xfe' WHERE error IS NOT NULL")
        source = LamassuSource(SourceConfig(dsn=dsn))
        assert await ids_of(source) == {odd, good}
        rows = {row.external_id: row for row in await source.fetch([odd, good])}
        assert rows[odd].error == "jam \ufffd\ufffd" and classify(rows[good]).verdict is Verdict.SUCCESS
        await source.close()
