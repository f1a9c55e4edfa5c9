"""What `lamassu check` says of a good set-up and of bad ones. It never raises."""

from __future__ import annotations

import psycopg

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.atm_scenarios import run
from dca_daemon.lamassu.check import Finding, check_source
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.trigger import install
from tests.fixtures.postgres import READER_ROLE, LamassuDb


async def findings(config: SourceConfig) -> dict[str, Finding]:
    found = {finding.name: finding for finding in await check_source(config)}
    assert all(finding.remedy for finding in found.values() if finding.ok is not True)
    return found


async def test_all_is_well(lamassu_db: LamassuDb, config: SourceConfig, atm: SimulatedAtm) -> None:
    await install(lamassu_db.admin_dsn, config.channel)
    run(atm, "on-chain")
    found = await findings(config)
    assert [finding for finding in found.values() if finding.ok is not True] == []
    assert list(found) == [
        "reachable", "server", "standby", "columns", "actions", "devices", "fixed-fee", "excess-rights", "clock",
        "trigger", "queue", "latest", "listen",
    ]  # fmt: skip


async def test_a_fresh_database_has_no_trigger_and_no_cash_out(config: SourceConfig) -> None:
    found = await findings(config)
    assert found["trigger"].ok is None and "not installed" in found["trigger"].text
    assert found["latest"].ok is None


async def test_an_unreachable_database_is_one_finding(config: SourceConfig) -> None:
    away = SourceConfig(dsn=config.dsn.replace("127.0.0.1", "127.0.0.2"))
    found = await findings(away)
    assert list(found) == ["reachable"] and found["reachable"].ok is False


async def test_a_missing_column_is_named_and_the_rest_is_looked_at(
    config: SourceConfig, admin: psycopg.Connection
) -> None:
    admin.execute("ALTER TABLE cash_out_txs DROP COLUMN discount")
    found = await findings(config)
    assert found["columns"].ok is False and "cash_out_txs.discount" in found["columns"].text
    assert found["listen"].ok is True


async def test_a_missing_right_is_named(config: SourceConfig, admin: psycopg.Connection) -> None:
    admin.execute(f"REVOKE SELECT (created) ON cash_out_txs FROM {READER_ROLE}".encode())
    found = await findings(config)
    assert found["columns"].ok is False and "cash_out_txs.created" in found["columns"].text
    assert found["latest"].ok is False


async def test_too_many_rights_are_a_warning(
    lamassu_db: LamassuDb, config: SourceConfig, admin: psycopg.Connection
) -> None:
    admin.execute(f"GRANT SELECT ON user_config TO {READER_ROLE}".encode())
    admin.execute(f"GRANT SELECT (to_address) ON cash_out_txs TO {READER_ROLE}".encode())
    admin.execute(f"GRANT UPDATE (status) ON cash_out_txs TO {READER_ROLE}".encode())
    text = (await findings(config))["excess-rights"].text
    assert "read user_config" in text and "read cash_out_txs.to_address" in text and "write cash_out_txs" in text
    superuser = (await findings(SourceConfig(dsn=lamassu_db.admin_dsn)))["excess-rights"]
    assert superuser.ok is None and "superuser" in superuser.text


async def test_another_channel_is_seen(lamassu_db: LamassuDb, config: SourceConfig) -> None:
    await install(lamassu_db.admin_dsn, "another")
    assert "'another'" in (await findings(config))["trigger"].text


async def test_optional_tables_may_be_absent(config: SourceConfig, admin: psycopg.Connection) -> None:
    admin.execute("DROP TABLE devices")
    admin.execute("DROP TABLE cash_out_actions")
    found = await findings(config)
    assert found["devices"].ok is None and found["actions"].ok is None and found["columns"].ok is True
