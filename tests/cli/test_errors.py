"""Whatever goes wrong, an operator sees one line, and the right exit status."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import NoReturn

import pytest

from dca_daemon.cli.main import main
from tests.cli.conftest import Cli, write_config
from tests.fixtures.postgres import PostgresServer, TestDb

PROGRAM = (sys.executable, "-c", "from dca_daemon.cli.main import main; main()")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-group"], ["No such command"]),
        (["client", "no-such-command"], ["No such command", "client --help"]),
        (["client", "list", "--no-such-option"], ["--no-such-option", "client list --help"]),
        (["client", "add"], ["NAME"]),
        (["client", "add", "Ana", "--mode", "sideways"], ["--mode", "'flow', 'fixed'"]),
        (["client", "set", "1"], ["one thing at a time"]),
        (["client", "set", "1", "--name", "B", "--mode", "flow"], ["one thing at a time"]),
        (["client", "add", "Ana", "--lnurl", "LNURL1X", "--lightning-address", "a@b.c"], ["one destination"]),
        (["deposit", "confirm", "one"], ["ID"]),
        (["deposit", "confirm", "9" * 30], ["ID"]),
        (["deposit", "confirm", "0"], ["ID"]),
        (["deposit", "void", "1"], ["--reason"]),
        (["deposit", "list", "--state", "lost"], ["--state", "pending"]),
        (["deposit", "list", "--limit", "0"], ["--limit"]),
        (["cash-out", "list", "--state", "lost"], ["--state", "distributed"]),
        (["payout", "list", "--state", "lost"], ["--state", "settled"]),
        (["payout", "hold", "abcd"], ["--reason"]),
        (["lamassu", "baseline", "--reason", "why"], ["--set"]),
        (["client", "show", "\udcff"], ["UTF-8"]),
    ],
)
def test_a_wrong_call_is_told_in_one_line(cli: Cli, arguments: list[str], words: list[str]) -> None:
    cli(*arguments).refused(*words, status=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["client", "show", "Nobody"], ["no client 'Nobody'", "client list"]),
        (["client", "activate", "77"], ["no client '77'"]),
        (["client", "set", "77", "--mode", "fixed"], ["no client '77'"]),
        (["client", "add", "Ana"], ["where is the client to be paid?", "--lnbits-key-file"]),
        (["client", "add", "Ana", "--lnbits-key-file", "/nowhere"], ["/nowhere"]),
        (["deposit", "record", "Nobody", "5"], ["no client 'Nobody'"]),
        (["deposit", "confirm", "77"], ["no deposit 77", "deposit list"]),
        (["deposit", "void", "77", "--reason", "typo"], ["no deposit 77"]),
        (["cash-out", "show", "77"], ["no cash-out '77'", "cash-out list"]),
        (["cash-out", "preview", "77"], ["no cash-out '77'"]),
        (["payout", "show", "abcdef"], ["no payout 'abcdef'", "payout list"]),
        (["payout", "retry", "%%%%"], ["no payout"]),
        (["payout", "hold", "abcdef", "--reason", " "], ["reason"]),
        (["ledger", "statement", "nothing:at-all"], ["no account", "ledger balances"]),
        (["lamassu", "check"], ["Lamassu's database", "lamassu.dsn"]),
        (["lamassu", "install-trigger"], ["administrator", "--admin-dsn-file", "--print"]),
        (["lamassu", "grants"], ["administrator", "--print"]),
        (["lamassu", "grants", "--print", "--role", "a;b"], ["'a;b'"]),
        (["lamassu", "baseline", "--set", "yesterday", "--reason", "x"], ["'yesterday'", "2026-01-31"]),
        (["lamassu", "baseline", "--set", "2026-01-31T00:00:00", "--reason", "x"], ["no zone"]),
        (["lamassu", "baseline", "--set", "2026-01-31T00:00:00Z"], ["needs a reason"]),
        (["lamassu", "baseline", "--set", "2026-01-31T00:00:00Z", "--reason", "x"], ["--yes"]),
    ],
)
def test_a_refusal_names_the_thing_and_the_remedy(cli: Cli, arguments: list[str], words: list[str]) -> None:
    for outcome in (cli(*arguments), cli(*arguments, "--json")):
        line = outcome.refused(*words)
        if arguments != ["lamassu", "check"]:  # which shows its findings all the same
            assert outcome.out == ""
        assert "s3cret-pw" not in line + outcome.out


def test_a_malformed_number_is_told_in_plain_words(cli: Cli) -> None:
    for given, words in (("abc", "must be a whole number"), ("0", "must be greater than or equal to 1")):
        outcome = cli("deposit", "confirm", given)
        assert outcome.status == 2
        assert outcome.err.startswith(f"error: Invalid value for 'ID': {words} (see: ")


def test_an_empty_database_says_to_upgrade(cli: Cli, postgres_server: PostgresServer, tmp_path: Path) -> None:
    with postgres_server.clone("template0") as name:
        config = write_config(tmp_path / "empty.toml", postgres_server.dsn(name), "A" * 43 + "=")
        cli("client", "list", config_path=config).refused("empty", "dca-daemon db upgrade")
        cli("db", "check", config_path=config).refused("empty", "dca-daemon db upgrade")
        report = cli("doctor", "--json", config_path=config)
        assert "run: dca-daemon db upgrade" in {finding["remedy"] for finding in report.json["findings"]}
        assert report.status == 1
        assert cli("db", "upgrade", "--json", config_path=config).done().json["changed"] is True
        cli("client", "list", config_path=config).done()


def test_a_database_that_is_away_or_refuses(cli: Cli, books_db: TestDb, tmp_path: Path) -> None:
    for dsn, word in (
        ("postgresql://dca:s3cret-pw@127.0.0.1:9/dca", "refused"),
        (books_db.dsn.replace(books_db.database, "no_such_database"), "no_such_database"),
        (books_db.dsn.replace("@", "-wrong@"), "authentication"),
    ):
        config = write_config(tmp_path / "away.toml", dsn, "A" * 43 + "=")
        line = cli("client", "list", config_path=config).refused("not reachable", word)
        assert "s3cret-pw" not in line


def test_a_wrong_setting_is_named(cli: Cli, books_db: TestDb, tmp_path: Path) -> None:
    wrong = write_config(tmp_path / "a.toml", books_db.dsn, "short", {"pool": {"currency": "XXQ"}})
    cli("client", "list", config_path=wrong).refused("pool.currency", "and 1 more", "dca-daemon doctor")
    cli("client", "list", config_path=tmp_path / "missing.toml").refused("missing.toml", "DCA_CONFIG")
    findings = cli("doctor", "--json", config_path=wrong)
    assert findings.status == 1
    assert len(findings.json["findings"]) == 2


def test_what_is_not_configured_is_named_with_an_example(cli: Cli) -> None:
    cli("client", "list", config_path=None).refused("database.url", "DCA_DATABASE__URL")


def test_an_unexpected_fault_is_one_line_without_a_secret(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("at postgresql://dca:s3cret-pw@db/dca\nand more")

    monkeypatch.setattr("dca_daemon.services.clients.list_all", fail)
    line = cli("client", "list").refused("unexpected fault", "RuntimeError", "--debug")
    assert "s3cret-pw" not in line and "and more" not in line
    shown = cli("--debug", "client", "list")
    assert shown.status == 1 and "Traceback" in shown.err


def test_an_interruption_is_quiet(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("dca_daemon.services.clients.list_all", interrupt)
    outcome = cli("client", "list")
    assert (outcome.status, outcome.out, outcome.err) == (130, "", "")


WAITING = """
import signal, sys, time
from dca_daemon.cli.main import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background

class Stdin:
    def read(self, size):
        print("waiting", flush=True)
        time.sleep(60)

sys.stdin = Stdin()
main()
"""


def test_ctrl_c_ends_a_command_that_waits(config: Path) -> None:
    arguments = ["--config", str(config), "client", "add", "Ana", "--lnbits-key-stdin"]
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == b"waiting\n"
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, out, err) == (130, b"", b"")


def test_a_closed_pipe_is_no_fault(config: Path) -> None:
    script = (
        f"{sys.executable} -c 'from dca_daemon.cli.main import main; main()' --config {config} --help | head -1"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=False)
    assert b"Traceback" not in done.stderr and b"BrokenPipe" not in done.stderr


def test_a_group_alone_shows_its_help(cli: Cli) -> None:
    outcome = cli("deposit")
    assert outcome.status == 2
    assert "confirm" in outcome.out + outcome.err


def test_version_answers_without_loading_what_is_heavy() -> None:
    done = subprocess.run([*PROGRAM, "version"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.startswith("dca-daemon ")
    heavy = (
        "import sys; import dca_daemon.cli.main;"
        "print([m for m in ('sqlalchemy', 'pydantic', 'httpx') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_the_program_is_installed_under_its_name() -> None:
    (script,) = entry_points(group="console_scripts", name="dca-daemon")
    assert script.load() is main


def test_the_configuration_may_be_named_behind_the_command_too(cli: Cli, config: Path) -> None:
    cli("db", "check", "--config", str(config), config_path=None).done()
    cli("db", f"--config={config}", "check", config_path=None).done()
