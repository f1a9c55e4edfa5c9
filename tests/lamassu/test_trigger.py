"""The trigger: fires on the edge only, installs and goes without a trace, and can't hurt the ATM."""

from __future__ import annotations

import threading

import psycopg
import pytest

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.atm_scenarios import SCENARIOS, begin, run
from dca_daemon.domain.cash_out import Verdict, classify
from dca_daemon.domain.errors import ConfigError, SourceError
from dca_daemon.lamassu.connection import SourceConfig, connect
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.lamassu.trigger import (
    FUNCTION,
    UPDATE_TRIGGER,
    TriggerStatus,
    function_body,
    inspect,
    install,
    install_sql,
    remove,
    remove_sql,
)
from tests.fixtures.postgres import LamassuDb

CHANNEL = "dca_cash_out"


async def look(config: SourceConfig, channel: str = CHANNEL) -> TriggerStatus:
    async with await connect(config) as conn:
        return await inspect(conn, channel)


def heard(conn: psycopg.Connection) -> list[str]:
    """What this connection has been notified of until now: notifications come before the answer to a query."""
    conn.execute("SELECT 1")
    return [notify.payload for notify in conn.notifies(timeout=0)]


@pytest.fixture
def ear(admin: psycopg.Connection, lamassu_db: LamassuDb) -> psycopg.Connection:
    admin.execute(install_sql(CHANNEL).encode())
    admin.execute(f"LISTEN {CHANNEL}".encode())
    return admin


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_it_fires_once_and_at_the_commit_of_success(name: str, atm: SimulatedAtm, ear: psycopg.Connection) -> None:
    cash_out = begin(atm, name)
    told: list[tuple[str, list[str]]] = []
    while (sentence := cash_out.step()) is not None:
        told.append((sentence, heard(ear)))
    at = [sentence for sentence, ids in told if ids]
    confirmed = SCENARIOS[name].verdict is not Verdict.FAILED
    assert [ids for _, ids in told if ids] == ([[cash_out.id]] if confirmed else [])
    assert all("all notes came out" in sentence for sentence in at)


def test_it_fires_for_a_row_that_is_inserted_as_a_success(atm: SimulatedAtm, ear: psycopg.Connection) -> None:
    atm.backlog(3)
    ids = {str(row[0]) for row in ear.execute("SELECT id FROM cash_out_txs").fetchall()}
    assert set(heard(ear)) == ids


def test_it_fires_again_only_after_success_was_taken_back(atm: SimulatedAtm, ear: psycopg.Connection) -> None:
    external_id = run(atm, "on-chain")
    assert heard(ear) == [external_id]
    ear.execute("UPDATE cash_out_txs SET swept = true, dispense_confirmed = true")
    assert heard(ear) == []
    ear.execute("UPDATE cash_out_txs SET dispense_confirmed = NULL")
    ear.execute("UPDATE cash_out_txs SET dispense_confirmed = true")
    assert heard(ear) == [external_id]


def test_a_rolled_back_write_is_not_notified(ear: psycopg.Connection, atm: SimulatedAtm) -> None:
    run(atm, "machine-died")
    with ear.transaction(force_rollback=True):
        ear.execute("UPDATE cash_out_txs SET dispense_confirmed = true")
    assert heard(ear) == []


async def test_install_and_remove_are_idempotent(lamassu_db: LamassuDb, config: SourceConfig) -> None:
    assert (await look(config)).trouble == "the trigger is not installed"
    assert await install(lamassu_db.admin_dsn, CHANNEL)
    assert await look(config) == TriggerStatus(True, True, CHANNEL, True, None)
    assert not await install(lamassu_db.admin_dsn, CHANNEL)
    assert await remove(lamassu_db.admin_dsn)
    assert not await remove(lamassu_db.admin_dsn)
    assert not (await look(config)).installed
    with psycopg.connect(lamassu_db.admin_dsn) as conn:
        left = conn.execute("SELECT count(*) FROM pg_proc WHERE proname = %s", (FUNCTION,)).fetchone()
    assert left == (0,)


def test_the_printed_sql_may_be_run_twice(admin: psycopg.Connection) -> None:
    for text in (install_sql(CHANNEL), install_sql(CHANNEL), remove_sql(), remove_sql()):
        admin.execute(text.encode())


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        (f"ALTER TABLE cash_out_txs DISABLE TRIGGER {UPDATE_TRIGGER}", "is disabled"),
        (f"ALTER TABLE cash_out_txs ENABLE REPLICA TRIGGER {UPDATE_TRIGGER}", "is disabled"),
        (f"DROP TRIGGER {UPDATE_TRIGGER} ON cash_out_txs", "not as this release"),
        (f"ALTER FUNCTION {FUNCTION}() RESET search_path", "not as this release"),
        (
            f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql"
            " SET search_path = pg_catalog AS 'BEGIN RETURN NULL; END'",
            "not as this release",
        ),
        (install_sql("another_channel"), "notifies on the channel 'another_channel'"),
        (
            f"DROP TRIGGER {UPDATE_TRIGGER} ON cash_out_txs; CREATE TRIGGER {UPDATE_TRIGGER} AFTER UPDATE ON"
            f" cash_out_txs FOR EACH ROW WHEN (NEW.dispense) EXECUTE PROCEDURE {FUNCTION}()",
            "not as this release",
        ),
    ],
)
async def test_what_is_not_as_it_should_be_is_seen_and_repaired(
    change: str, trouble: str, lamassu_db: LamassuDb, admin: psycopg.Connection, config: SourceConfig
) -> None:
    await install(lamassu_db.admin_dsn, CHANNEL)
    admin.execute(change.encode())
    status = await look(config)
    assert not status.works and status.trouble is not None and trouble in status.trouble
    assert await install(lamassu_db.admin_dsn, CHANNEL)
    assert (await look(config)).works


async def test_a_trigger_that_fails_does_not_fail_the_atm(
    atm: SimulatedAtm, admin: psycopg.Connection, source: LamassuSource
) -> None:
    """A channel of 64 bytes makes pg_notify raise, inside the ATM's transaction."""
    admin.execute(install_sql(CHANNEL).encode())
    broken = function_body("c" * 64)
    admin.execute(
        f"CREATE OR REPLACE FUNCTION public.{FUNCTION}() RETURNS trigger LANGUAGE plpgsql"
        f" SET search_path = pg_catalog AS $x${broken}$x$".encode()
    )
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        admin.execute("SELECT pg_notify(%s, 'x')", ("c" * 64,))
    external_id = run(atm, "on-chain")
    (row,) = await source.fetch([external_id])
    assert classify(row).verdict is Verdict.SUCCESS


async def test_nothing_waits_behind_the_installation(
    lamassu_db: LamassuDb, admin: psycopg.Connection, atm: SimulatedAtm, config: SourceConfig
) -> None:
    """While the ATM's transaction is open the trigger can't be installed: it soon gives up."""
    external_id = run(atm, "machine-died")
    with admin.transaction():
        admin.execute("UPDATE cash_out_txs SET swept = true WHERE id = %s", (external_id,))
        with pytest.raises(SourceError, match="nothing was changed"):
            await install(lamassu_db.admin_dsn, CHANNEL)
    assert not (await look(config)).installed


async def test_the_reader_cannot_install_it(config: SourceConfig, lamassu_db: LamassuDb) -> None:
    with pytest.raises(SourceError, match="may not install"):
        await install(config.dsn, CHANNEL)
    await install(lamassu_db.admin_dsn, CHANNEL)
    with pytest.raises(SourceError, match="may not remove"):
        await remove(config.dsn)


@pytest.mark.parametrize("channel", ["reload", "", "x" * 64, "'); DROP TABLE cash_out_txs; --", "a$dca$b"])
def test_a_channel_that_cannot_be_used_is_refused(channel: str) -> None:
    with pytest.raises(ConfigError):
        install_sql(channel)


def test_two_machines_at_once(lamassu_db: LamassuDb, ear: psycopg.Connection) -> None:
    """Two SERIALIZABLE final writes at the same time both commit, trigger or not."""
    ids: list[str] = []

    def work(name: str) -> None:
        with SimulatedAtm(lamassu_db.admin_dsn, name=name) as machine:
            ids.extend(run(machine, "lightning") for _ in range(5))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("north", "south")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard(ear)) == sorted(ids) and len(ids) == 10
