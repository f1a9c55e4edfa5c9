"""`dca-daemon reconcile` on real books, a real LNbits and a Lamassu-shaped database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dca_daemon.demo import atm_scenarios
from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import baseline
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.reconcile import ReconcileConfig
from tests.cli.conftest import NOWHERE, Cli, OnBooks, write_config
from tests.fixtures.postgres import LamassuDb, TestDb
from tests.payouts.test_payer import make_world
from tests.reconcile.conftest import CHECKS
from tests.services.builders import sql, value


@pytest.fixture
def config(
    books_db: TestDb, tmp_path: Path, keys_text: str, lamassu_db: LamassuDb, lnbits: LnbitsAdmin, on_books: OnBooks
) -> Path:
    """An installation that has paid for one cash-out."""

    async def story(db: Database) -> str:
        world = await make_world(db, KeyRing(keys_text), lnbits)
        source = LamassuSource(SourceConfig(dsn=lamassu_db.reader_dsn))
        await baseline.ensure(db, source, actor="test")
        with SimulatedAtm(lamassu_db.admin_dsn) as atm:
            external_id = atm_scenarios.run(atm, "on-chain")
        await Intake(db, IntakeConfig()).process(await source.fetch([external_id]))
        await world.payer().drain()
        await source.close()
        await world.wallet.close()
        return world.source.adminkey

    admin_key = on_books(story)
    sections = {
        "lamassu": {"dsn": lamassu_db.reader_dsn},
        "lnbits": {"url": lnbits.url, "admin_key": admin_key, "requests_per_minute": 100_000},
    }
    return write_config(tmp_path / "dca.toml", books_db.dsn, keys_text, sections)


@pytest.fixture
def atm(lamassu_db: LamassuDb) -> Iterator[SimulatedAtm]:
    with SimulatedAtm(lamassu_db.admin_dsn) as machine:
        yield machine


def runs_kept(on_books: OnBooks) -> list[Any]:
    async def work(db: Database) -> list[Any]:
        async with db.engine.connect() as conn:
            found = await conn.exec_driver_sql(
                "SELECT actor, routine, complete, agrees, counts, differences FROM reconcile_run ORDER BY id"
            )
            return [tuple(row) for row in found]

    found: list[Any] = on_books(work)
    return found


def test_what_agrees_is_told_and_kept(cli: Cli, on_books: OnBooks) -> None:
    text = cli("reconcile").done().out
    assert "Compared everything:" in text and text.endswith("\nEverything agrees.\n")
    assert "of these paid by the source wallet" in text
    found = cli("reconcile", "--days", "3", "--json").done().json
    assert found["agrees"] and found["complete"] and not found["differences"]
    assert found["compared"]["source_paid"] == found["compared"]["received"] == 2
    since = datetime.fromisoformat(found["since"])
    assert abs(datetime.now(UTC) - timedelta(days=3) - since) < timedelta(minutes=5)
    (whole, part) = runs_kept(on_books)
    assert whole[0].startswith("os:")
    assert whole[1:] == (True, True, True, {}, []) and part[1:] == (False, True, True, {}, [])


def test_what_differs_is_told_in_words_and_in_json(
    cli: Cli, atm: SimulatedAtm, on_books: OnBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReconcileConfig.__init__, "__defaults__", (0.0, 100))  # no grace
    missing = atm_scenarios.run(atm, "on-chain")

    async def other_fee(db: Database) -> str:
        await sql(db, "ALTER TABLE payout DISABLE TRIGGER payout_protect")
        await sql(db, "UPDATE payout SET fee_msat = 7 WHERE client_id = 1")
        return str(await value(db, "SELECT CAST(id AS text) FROM payout WHERE client_id = 1"))

    payout_id = on_books(other_fee)
    outcome = cli("reconcile", "--json")
    outcome.refused("2 things differ")
    by_kind = {one["kind"]: one for one in outcome.json["differences"]}
    assert by_kind.keys() == {"cash-out-missing", "payment-amount"}
    assert by_kind["cash-out-missing"]["external_id"] == missing
    assert by_kind["payment-amount"]["payout_id"] == payout_id and by_kind["payment-amount"]["remedy"]
    assert {one["kind"]: one["count"] for one in outcome.json["counts"]} == dict.fromkeys(by_kind, 1)
    assert outcome.json["complete"] and not outcome.json["agrees"]

    text = cli("reconcile")
    text.refused("2 things differ")
    assert "What differs (2):" in text.out and missing in text.out and payout_id in text.out
    assert f"→ {by_kind['payment-amount']['remedy']}" in text.out
    assert "Everything agrees" not in text.out
    assert runs_kept(on_books)[-1][3:5] == (False, {"cash-out-missing": 1, "payment-amount": 1})


def test_who_is_away_is_told_in_one_line(
    cli: Cli, config: Path, books_db: TestDb, keys_text: str, lamassu_db: LamassuDb, on_books: OnBooks
) -> None:
    away = write_config(config, books_db.dsn, keys_text, {"lamassu": {"dsn": lamassu_db.reader_dsn}})
    outcome = cli("reconcile", config_path=away)
    outcome.refused("payments not compared", NOWHERE, "receivers not compared")
    assert "Not compared, or only in part:\n  payments: LNbits at" in outcome.out
    assert "What could be compared agrees." in outcome.out
    write_config(config, books_db.dsn, keys_text)
    outcome = cli("reconcile", "--json")
    outcome.refused("cash-outs not compared")
    assert [one["part"] for one in outcome.json["not_compared"]] == ["cash-outs", "payments", "receivers"]
    assert outcome.json["compared"]["checks"] == CHECKS
    assert [run[2:4] for run in runs_kept(on_books)] == [(False, False)] * 2


def test_a_wrong_time_is_a_usage_error_or_refused(cli: Cli) -> None:
    cli("reconcile", "--since", "2026-01-31T00:00:00-06:00", "--days", "3").refused("not both", status=2)
    cli("reconcile", "--since", "yesterday").refused("is not a time")
    cli("reconcile", "--since", "2026-01-31T00:00:00").refused("has no zone")
    cli("reconcile", "--days", "0").refused(status=2)


def test_nothing_before_the_configured_time_is_compared(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCA_RECONCILE__SINCE", "2100-01-31T00:00:00-06:00")
    for arguments in ((), ("--days", "3"), ("--since", "2026-01-31T00:00:00-06:00")):
        found = cli("reconcile", "--json", *arguments).done().json
        assert found["since"] == "2100-01-31T00:00:00-06:00"
        assert found["compared"]["settled_payouts"] == found["compared"]["source_listed"] == 0


def test_runs_are_kept_for_good(cli: Cli, books_db: TestDb) -> None:
    cli("reconcile").done()
    with psycopg.connect(books_db.dsn, autocommit=True) as conn:
        for statement in ("UPDATE reconcile_run SET agrees = false", "DELETE FROM reconcile_run"):
            with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
                conn.execute(statement.encode())
        with pytest.raises(psycopg.errors.CheckViolation):
            conn.execute(
                """INSERT INTO reconcile_run (began_at, actor, routine, complete, agrees, compared, not_compared,
                                              counts, differences, notes)
                   VALUES (now(), 'x', true, true, true, '{}', '{}', '{"payment-missing": 1}', '[]', '[]')"""
            )


def test_a_schema_of_before_is_told(cli: Cli, on_books: OnBooks) -> None:
    on_books(lambda db: sql(db, "UPDATE alembic_version SET version_num = '0001'"))
    cli("reconcile").refused("revision 0001", "dca-daemon db upgrade")
