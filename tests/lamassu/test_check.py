"""What `lamassu check` says of a good set-up and of bad ones. It never raises."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

import psycopg
import pytest

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.atm_scenarios import run
from dca_daemon.lamassu import check_way
from dca_daemon.lamassu.check import Finding, check_source
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.trigger import install
from tests.fixtures.postgres import READER_ROLE, LamassuDb, with_parts


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
        "reachable", "server", "standby", "columns", "actions", "devices", "fixed-fee", "transport",
        "excess-rights", "clock", "trigger", "queue", "latest", "listen",
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
    admin.execute("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.wallets (key text)")
    admin.execute(f"GRANT USAGE ON SCHEMA elsewhere TO {READER_ROLE}".encode())
    admin.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public, elsewhere TO {READER_ROLE}".encode())
    text = (await findings(config))["excess-rights"].text
    assert "read cash_in_txs" in text and "read elsewhere.wallets" in text and "more" in text
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


async def test_a_role_may_make_others(lamassu_db: LamassuDb, admin: psycopg.Connection) -> None:
    role = f"wide_{lamassu_db.database}"
    admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x' CREATEROLE CREATEDB".encode())
    try:
        dsn = with_parts(lamassu_db.admin_dsn, database=lamassu_db.database, role=role, password="x")
        text = (await findings(SourceConfig(dsn=dsn)))["excess-rights"].text
        assert "make and change roles" in text and "make databases" in text
    finally:
        admin.execute(f"DROP ROLE {role}".encode())


async def test_the_clock_of_lamassu_is_another(config: SourceConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Late:
            return cls.fromtimestamp(datetime.now(UTC).timestamp() - 60, tz)

    monkeypatch.setattr("dca_daemon.lamassu.check.datetime", Late)
    clock = (await findings(config))["clock"]
    assert clock.ok is None and "60 s apart" in clock.text


@pytest.mark.parametrize(
    ("dsn", "well", "words"),
    [
        ("host=127.0.0.1 user=x", True, "does not leave"),
        ("host=/run/postgresql user=x", True, "does not leave"),
        ("host=lamassu.example.com hostaddr=::1 user=x", True, "does not leave"),
        ("user=x", True, "does not leave"),
        ("host=lamassu.example.com user=x", None, "sslmode=prefer"),
        ("host=127.0.0.1,10.0.0.5 user=x", None, "10.0.0.5"),
        ("host=10.0.0.5 user=x sslmode=require", None, "nobody checks who answers"),
        ("host=10.0.0.5 user=x sslmode=verify-ca", None, "not that it is this host's"),
        ("host=10.0.0.5 user=x sslmode=verify-full", True, "are checked"),
    ],
)
def test_the_way_is_one_that_nobody_can_stand_in(dsn: str, well: bool | None, words: str) -> None:
    for config in (SourceConfig(dsn=dsn), SourceConfig(dsn="host=127.0.0.1 user=x", listen_dsn=dsn)):
        found = check_way.look(config)
        assert found.ok is well and (words in found.text or config.listen_dsn)
