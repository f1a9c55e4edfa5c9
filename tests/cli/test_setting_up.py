"""What is done once: the schema, Lamassu's rights and trigger, the baseline, keys; and `doctor`, `run`, `demo`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.domain.errors import DatabaseError
from dca_daemon.ledger.db import Database, rows
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services.doctor import Finding, Level, Subject, examine
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.cli.conftest import INVOICE_KEY, Cli, FakeWallet, OnBooks, write_config
from tests.fixtures.postgres import LamassuDb, TestDb
from tests.fixtures.sshd import Sshd
from tests.services import builders

UUID = "0f0e0d0c-0b0a-4908-8706-050403020100"


@pytest.fixture
def with_lamassu(cli: Cli, books_db: TestDb, lamassu_db: LamassuDb, keys_text: str, tmp_path: Path) -> Cli:
    """The program, configured for a Lamassu-shaped database."""
    path = write_config(
        tmp_path / "lamassu.toml", books_db.dsn, keys_text, {"lamassu": {"dsn": lamassu_db.reader_dsn}}
    )

    def call(*arguments: str) -> Any:
        return cli(*arguments, config_path=path)

    return call


@pytest.fixture
def admin_dsn_file(lamassu_db: LamassuDb, tmp_path: Path) -> str:
    path = tmp_path / "admin.dsn"
    path.write_text(lamassu_db.admin_dsn + "\n")
    return str(path)


def test_the_trigger_comes_and_goes(
    with_lamassu: Cli, admin_dsn_file: str, lamassu_db: LamassuDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trigger() -> Any:
        findings = with_lamassu("lamassu", "check", "--json").done().json["findings"]
        (found,) = [f for f in findings if f["name"] == "trigger"]
        return found["level"]

    assert trigger() == "warn"
    install = ("lamassu", "install-trigger", "--admin-dsn-file", admin_dsn_file, "--json")
    assert with_lamassu(*install).done().json == {"installed": True, "changed": True, "channel": "dca_cash_out"}
    assert with_lamassu(*install).done().json["changed"] is False
    assert trigger() == "ok"
    monkeypatch.setenv("DCA_LAMASSU_ADMIN_DSN", lamassu_db.reader_dsn)
    with_lamassu("lamassu", "remove-trigger").refused("may not remove", "--print")
    monkeypatch.setenv("DCA_LAMASSU_ADMIN_DSN", lamassu_db.admin_dsn)
    assert "removed" in with_lamassu("lamassu", "remove-trigger").done().out
    assert with_lamassu("lamassu", "remove-trigger", "--json").done().json["changed"] is False
    assert trigger() == "warn"


def test_commands_reach_lamassu_through_the_tunnel(
    cli: Cli,
    sshd: Sshd,
    books_db: TestDb,
    lamassu_db: LamassuDb,
    keys_text: str,
    admin_dsn_file: str,
    tmp_path: Path,
) -> None:
    sections = {"lamassu": {"dsn": lamassu_db.reader_dsn}, "tunnel": sshd.settings()}
    path = write_config(tmp_path / "tunnel.toml", books_db.dsn, keys_text, sections)
    commands = (
        ("grants", "--admin-dsn-file", admin_dsn_file),
        ("install-trigger", "--admin-dsn-file", admin_dsn_file),
        ("check",),
        ("baseline", "--set", "2026-01-31T00:00:00-06:00", "--reason", "opening", "--yes"),
        ("remove-trigger", "--admin-dsn-file", admin_dsn_file),
    )
    for count, command in enumerate(commands, 1):
        cli("lamassu", *command, config_path=path).done()
        assert sshd.log.count("Accepted publickey") == count, command
    sshd.stop()
    for command in commands:
        cli("lamassu", *command, config_path=path).refused("the SSH server", "can't be reached")
    findings = cli("doctor", "--json", config_path=path).json["findings"]
    assert any("the SSH server" in f["text"] for f in findings if f["area"] == "lamassu")


def test_the_printed_sql_does_the_same(with_lamassu: Cli, lamassu_db: LamassuDb) -> None:
    def finding(what: str) -> str:
        sql = with_lamassu("lamassu", "check", "--print").done().out
        found: dict[str, str] = {}
        with psycopg.connect(lamassu_db.admin_dsn, autocommit=True) as conn:
            cursor = conn.execute(sql.encode())
            while True:
                found.update(cursor.fetchall())
                if not cursor.nextset():
                    return found[what]

    assert finding("cash_out_txs.id") == "ok"
    assert finding("dca_daemon_cash_out_update") == "NOT INSTALLED"
    with psycopg.connect(lamassu_db.admin_dsn, autocommit=True) as conn:
        conn.execute(with_lamassu("lamassu", "install-trigger", "--print").done().out.encode())
        assert finding("dca_daemon_cash_out_update") == "ok"
        conn.execute("REVOKE SELECT (fiat) ON cash_out_txs FROM dca_reader")
        assert finding("cash_out_txs.fiat") == "NO RIGHT TO READ"
        grants = ("lamassu", "grants", "--print", "--database", lamassu_db.database)
        conn.execute(with_lamassu(*grants).done().out.encode())
        assert finding("cash_out_txs.fiat") == "ok"
        conn.execute(with_lamassu("lamassu", "remove-trigger", "--print").done().out.encode())
        assert finding("dca_daemon_cash_out_update") == "NOT INSTALLED"


def test_printing_needs_no_configuration(cli: Cli) -> None:
    for command in ("grants", "install-trigger", "remove-trigger", "check"):
        assert "cash_out_txs" in cli("lamassu", command, "--print", config_path=None).done().out
        assert set(cli("lamassu", command, "--print", "--json", config_path=None).done().json) == {"sql"}


def test_printed_sql_names_the_configured_channel(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "part.toml"
    path.write_text('[lamassu]\nchannel = "another_one"\n')
    assert "'another_one'" in cli("lamassu", "install-trigger", "--print", config_path=path).done().out


def test_grants_are_made_by_an_administrator_only(
    with_lamassu: Cli, admin_dsn_file: str, lamassu_db: LamassuDb, tmp_path: Path
) -> None:
    with psycopg.connect(lamassu_db.admin_dsn, autocommit=True) as conn:
        conn.execute("REVOKE SELECT (fiat) ON cash_out_txs FROM dca_reader")
    with_lamassu("lamassu", "check").refused("fiat")
    done = with_lamassu("lamassu", "grants", "--admin-dsn-file", admin_dsn_file, "--json").done()
    assert done.json == {"role": "dca_reader", "database": lamassu_db.database}
    with_lamassu("lamassu", "check").done()
    weak = tmp_path / "weak.dsn"
    weak.write_text(lamassu_db.reader_dsn)
    with_lamassu("lamassu", "grants", "--role", "new_one", "--admin-dsn-file", str(weak)).refused("--print")


def test_the_baseline_is_shown_and_moved(with_lamassu: Cli, on_books: OnBooks) -> None:
    assert with_lamassu("lamassu", "baseline", "--json").done().json == {"baseline": None}
    assert "no baseline yet" in with_lamassu("lamassu", "baseline").done().out
    move = ("lamassu", "baseline", "--set", "2026-01-31T00:00:00-06:00", "--reason", "opening", "--yes")
    moved = with_lamassu(*move, "--json").done().json["baseline"]
    assert moved["at"].startswith("2026-01-31T06:00:00+00:00")
    assert moved["set_by"].startswith("os:") and moved["left_out"] == 0
    assert with_lamassu("lamassu", "baseline", "--json").done().json["baseline"] == moved
    for odd in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday"):
        refused = with_lamassu("lamassu", "baseline", "--set", odd, "--reason", "x", "--yes")
        assert refused.status == 1 and "is not a time" in refused.err
    future = ("lamassu", "baseline", "--set", "2999-01-01T00:00:00Z", "--reason", "x", "--yes")
    with_lamassu(*future).refused("future")
    assert with_lamassu("lamassu", "baseline", "--json").done().json["baseline"] == moved


def test_the_schema_is_told_and_upgraded_twice(cli: Cli) -> None:
    assert cli("db", "check", "--json").done().json["fits"] is True
    again = cli("db", "upgrade", "--json").done().json
    assert again["changed"] is False
    assert again["pool"] == {"id": 1, "name": "default", "currency": "GTQ"}
    assert "already" in cli("db", "upgrade").done().out


def test_a_pool_in_another_currency_is_refused(cli: Cli, books_db: TestDb, keys_text: str, tmp_path: Path) -> None:
    path = write_config(tmp_path / "eur.toml", books_db.dsn, keys_text, {"pool": {"currency": "EUR"}})
    cli("db", "upgrade", config_path=path).refused("EUR", "GTQ")
    findings = cli("doctor", "--json", config_path=path).json["findings"]
    assert [f["level"] for f in findings if f["area"] == "pool"] == ["fail"]


def test_keys_are_rotated(
    cli: Cli,
    wallet: FakeWallet,
    key_file: Path,
    on_books: OnBooks,
    books_db: TestDb,
    keys_text: str,
    tmp_path: Path,
) -> None:
    cli("client", "add", "Ana", "--lnbits-key-file", str(key_file)).done()
    new = KeyRing.generate()
    both = write_config(tmp_path / "both.toml", books_db.dsn, f"{new}\n{keys_text}")
    assert cli("db", "rotate-keys", "--json", config_path=both).done().json == {"encrypted": 1}

    async def sealed(db: Database) -> bytes:
        async with db.transaction() as conn:
            (found,) = await rows(conn, "SELECT invoice_key_encrypted AS sealed FROM destination")
            return bytes(found.sealed)

    assert KeyRing(new).decrypt(on_books(sealed)) == INVOICE_KEY
    cli("db", "rotate-keys").refused("none of the encryption keys fits")
    findings = cli("doctor", "--json").json["findings"]
    assert [f["level"] for f in findings if f["area"] == "keys"] == ["fail"]


def test_doctor_finds_everything_well(
    cli: Cli, lnbits: LnbitsAdmin, books_db: TestDb, lamassu_db: LamassuDb, keys_text: str, tmp_path: Path,
    on_books: OnBooks,
) -> None:  # fmt: skip
    source = lnbits.create_wallet("source")
    sections: dict[str, dict[str, object]] = {
        "lnbits": {"url": lnbits.url, "admin_key": source.adminkey, "requests_per_minute": 100_000},
        "lamassu": {"dsn": lamassu_db.reader_dsn},
    }
    path = write_config(tmp_path / "all.toml", books_db.dsn, keys_text, sections)
    report = cli("doctor", "--json", config_path=path).done().json
    assert report["ok"] is True
    levels = {(f["area"], f["name"]): f["level"] for f in report["findings"]}
    for key in (
        ("configuration", "lnbits"), ("database", "schema"), ("pool", "currency"), ("keys", "decrypt"),
        ("lamassu", "columns"), ("lnbits", "admin-key"), ("lnbits", "version"), ("lnbits", "balance"),
    ):  # fmt: skip
        assert levels[key] == "ok", key
    assert levels["baseline", "set"] == "warn"
    assert "failed" in cli("doctor", config_path=path).done().out

    async def owe(db: Database) -> None:
        await builders.client(db, "20000")
        await Intake(db, IntakeConfig()).process([builders.success()])

    on_books(owe)
    shown = [line[:4] for line in cli("doctor", config_path=path).out.splitlines()]
    assert shown.count("FAIL") == 2 and "WARN" in shown
    marks = [mark for mark in shown if mark in ("FAIL", "WARN", "ok  ")]
    assert marks == sorted(marks, key=("FAIL", "WARN", "ok  ").index)  # nobody has to look for what fails
    short = cli("doctor", "--json", config_path=path)
    short.refused("checks fail")
    (balance,) = [f for f in short.json["findings"] if f["name"] == "balance"]
    assert "484,218 sats are missing" in balance["text"]

    sections["lnbits"]["admin_key"] = source.inkey
    wrong = cli("doctor", "--json", config_path=write_config(path, books_db.dsn, keys_text, sections))
    _, refused = [f for f in wrong.json["findings"] if f["area"] == "lnbits"]
    assert (refused["name"], refused["level"]) == ("admin-key", "fail") and "admin key" in refused["remedy"]


def test_doctor_looks_at_what_there_is(cli: Cli) -> None:
    outcome = cli("doctor", "--json", config_path=None)
    outcome.refused("checks fail")
    missing = [f for f in outcome.json["findings"] if f["level"] == "fail"]
    assert {f["name"] for f in missing} == {"database", "pool", "lamassu", "lnbits", "security"}
    text = cli("doctor")
    text.refused("checks fail")
    assert "FAIL  lamassu reachable" in text.out and "→" in text.out
    assert "s3cret-pw" not in text.out


async def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: Subject) -> list[Finding]:
        raise DatabaseError("it is away", remedy="start it")

    async def slow(_: Subject) -> list[Finding]:
        raise TimeoutError

    async def broken(_: Subject) -> list[Finding]:
        raise KeyError("what")

    checks: tuple[tuple[str, Callable[[Subject], Awaitable[list[Finding]]]], ...]
    checks = (("first", away), ("second", slow), ("third", broken))
    monkeypatch.setattr("dca_daemon.services.doctor.CHECKS", checks)
    found = await examine(Subject())
    assert [f.area for f in found] == ["first", "second", "third"]
    assert {f.level for f in found} == {Level.FAIL}
    assert "KeyError: 'what'" in found[2].text
    assert (found[0].text, found[0].remedy) == ("it is away", "start it")


def test_run_starts_the_daemon_with_its_settings(cli: Cli, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    async def run_daemon(settings: Any) -> None:
        started.append(settings)

    monkeypatch.setattr("dca_daemon.runtime.daemon.run_daemon", run_daemon)
    outcome = cli("run").done()
    assert (outcome.out, started[0].config_path) == ("", config)


def test_a_daemon_that_can_not_start_says_why(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run_daemon(settings: object) -> NoReturn:
        raise DatabaseError("the database is empty", remedy="run: dca-daemon db upgrade")

    monkeypatch.setattr("dca_daemon.runtime.daemon.run_daemon", run_daemon)
    cli("run").refused("the database is empty", "db upgrade")


def test_a_demo_that_is_not_installed_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    cli("demo", "--once").refused("the demo is not installed", "dca-daemon[demo]")


def test_the_demo_is_called_as_asked(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[Any] = []

    def run_demo(once: bool, as_json: bool, *, data_dir: Path | None) -> int:
        calls.append((once, as_json, data_dir))
        return 1

    monkeypatch.setattr("dca_daemon.demo.story.run_demo", run_demo)
    outcome = cli("demo", "--once", "--data-dir", str(tmp_path))
    assert (outcome.status, outcome.err, calls) == (1, "", [(True, False, tmp_path)])


def test_version_as_json(cli: Cli) -> None:
    assert set(json.loads(cli("version", "--json").done().out)) == {"version", "python"}
