"""`dca-daemon init`: led by the hand, by a script, again and again, and with every kind of wrong answer."""

from __future__ import annotations

import io
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.domain.errors import InputError
from dca_daemon.ledger.new_database import Names, create
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.runtime.setting_up.folder import Folder
from dca_daemon.runtime.setting_up.questions import (
    Question,
    checked,
    lacks_password,
    with_password,
    without_password,
)
from dca_daemon.runtime.setting_up.remaining import remaining
from dca_daemon.runtime.setting_up.setup import Setup, Wishes
from dca_daemon.services.doctor import Finding
from tests.cli.conftest import INVOICE_KEY, NOWHERE, Cli
from tests.fixtures.postgres import READER_PASSWORD, LamassuDb, PostgresServer, TestDb
from tests.fixtures.terminal import at_terminal

SECRET_FILES = {"database.url", "lamassu.dsn", "lnbits.admin_key", "security.encryption_keys"}
ALL_FILES = SECRET_FILES | {"config.toml"}


@dataclass(frozen=True)
class Place:
    """An empty folder, and a name for a role and database that do not exist yet."""

    folder: Path
    name: str
    admin: Path  # a file with a superuser's DSN

    def contents(self) -> dict[str, str]:
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in self.folder.iterdir())
        return {path.name: path.read_text() for path in self.folder.iterdir()}

    def marks(self) -> dict[str, tuple[int, int]]:
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in self.folder.iterdir()}


@pytest.fixture
def place(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Place]:
    name = f"dca_init_{secrets.token_hex(4)}"
    admin = tmp_path / "admin.dsn"
    admin.write_text(postgres_server.admin_dsn)
    yield Place(tmp_path / "etc", name, admin)
    postgres_server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    postgres_server.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def test_a_person_is_led_from_nothing_to_a_configuration(
    place: Place, lamassu_db: LamassuDb, lnbits: LnbitsAdmin, cli: Cli, tmp_path: Path
) -> None:
    source = lnbits.create_wallet("DCA payouts")
    reader = urlsplit(lamassu_db.reader_dsn)
    address = f"postgresql://dca_reader@{reader.hostname}:{reader.port}{reader.path}"
    arguments = ("init", "--dir", str(place.folder), "--admin-dsn-file", str(place.admin),
                 "--role", place.name, "--database", place.name)  # fmt: skip
    with at_terminal(*arguments, environment=os.environ, folder=tmp_path) as person:
        person.answer("Make a role", "y")
        person.answer("Currency", "quetzal")
        assert "ISO 4217" in person.answer("another answer", "gtq")
        person.answer("Lamassu's database (", address)
        person.answer_hidden("Its password", "wrong")
        assert "password authentication failed" in person.answer("another answer", address)
        person.answer_hidden("Its password", READER_PASSWORD)
        person.answer("Address of LNbits", "lnbits.example.com")
        assert "http:// or https://" in person.answer("another answer", f"{lnbits.url}/docs")
        assert "not as LNbits does" in person.answer("another answer", lnbits.url)
        person.answer_hidden("Admin key", source.inkey)
        assert "can't pay" in person.answer_hidden("another answer", source.adminkey)
        person.answer("Make the tables", "y")
        assert person.end() == 0
    for secret in (READER_PASSWORD, source.adminkey, source.inkey, *place.contents().values()):
        assert secret.strip() not in person.said
    assert set(place.contents()) == ALL_FILES
    assert 'currency = "GTQ"' in place.contents()["config.toml"]
    for words in ("user add", "doctor", "run", "Keep a copy of the new encryption key", "CREATE TRIGGER"):
        assert words in person.said
    assert "GRANT SELECT" not in person.said  # the role that was given can read already
    assert cli("doctor", config_path=place.folder / "config.toml").status == 0

    marks = place.marks()
    again = cli("init", "--dir", str(place.folder), "--yes", config_path=None).done()
    assert place.marks() == marks
    assert again.out.count("kept") == len(ALL_FILES) and "written" not in again.out


def test_a_script_gives_every_answer(
    place: Place,
    lamassu_db: LamassuDb,
    books_db: TestDb,
    lnbits: LnbitsAdmin,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    source = lnbits.create_wallet("source")
    dsn_file = tmp_path / "lamassu"
    dsn_file.write_text(lamassu_db.reader_dsn)

    def init(*more: str, stdin: str = "", yes: str = "--yes") -> object:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        return cli("init", "--dir", str(place.folder), yes, *more, config_path=None)

    def refused(*words: str, more: tuple[str, ...] = (), stdin: str = "") -> None:
        before = place.contents() if place.folder.exists() else {}
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        cli("init", "--dir", str(place.folder), "--yes", *more, config_path=None).refused(*words)
        assert (place.contents() if place.folder.exists() else {}) == before

    cli("init", "--dir", str(place.folder), config_path=None).refused("nobody to ask", "--yes")
    refused("not every answer", "--currency", "DCA_LNBITS__URL")
    answers = ("--currency", "GTQ", "--lamassu-dsn-file", str(dsn_file), "--lnbits-admin-key-file", "-")
    monkeypatch.setenv("DCA_LNBITS__URL", f"{lnbits.url}/")
    refused("pool.currency", "ISO 4217", more=("--currency", "QQQ"))
    refused("--database-url-file or DCA_DATABASE__URL", more=answers, stdin=source.adminkey)
    refused("is empty", more=answers)

    create_one = ("--create-database", "--admin-dsn-file", str(place.admin), "--role", place.name)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{source.adminkey}\n"))
    wished = (*answers, *create_one, "--database", place.name, "--upgrade")
    done = cli("init", "--dir", str(place.folder), "--yes", *wished, "--json", config_path=None).done().json
    assert {f["name"] for f in done["files"]} == ALL_FILES and {f["change"] for f in done["files"]} == {"written"}
    assert done["left_open"] == [] and all(f["level"] != "fail" for f in done["findings"])
    assert [step["sql"] is not None for step in done["remaining"]].count(True) == 1
    before = place.contents()
    assert source.adminkey not in str(done) and before["database.url"].strip() not in str(done)

    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{source.adminkey}\n"))
    marks = place.marks()
    cli("init", "--dir", str(place.folder), "--yes", *wished, "--json", config_path=None).done()
    assert place.marks() == marks

    monkeypatch.setenv("DCA_LNBITS__ADMIN_KEY", INVOICE_KEY)
    refused("lnbits.admin_key is there already", "--replace")
    refused("lnbits.admin_key", "404", more=("--replace",))
    other = lnbits.create_wallet("other")
    monkeypatch.setenv("DCA_LNBITS__ADMIN_KEY", other.adminkey)
    cli("init", "--dir", str(place.folder), "--yes", "--replace", config_path=None).done()
    assert place.contents() == {**before, "lnbits.admin_key": f"{other.adminkey}\n"}
    refused("pool.currency", "is there already", more=("--currency", "EUR"))
    refused("pool 'default' is in GTQ", more=("--currency", "EUR", "--replace"))
    keys = tmp_path / "keys"
    keys.write_text(KeyRing.generate())
    refused("never replaced", more=("--encryption-keys-file", str(keys), "--replace"))


def test_what_is_there_is_respected(
    place: Place, books_db: TestDb, lamassu_db: LamassuDb, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration of an operator's own: other settings, a secret in it, another place for one."""
    place.folder.mkdir()
    config = place.folder / "config.toml"
    dsn = place.folder / "reader"
    dsn.write_text(lamassu_db.reader_dsn)
    for path in (config, dsn):
        path.touch()
        path.chmod(0o600)
    config.write_text(f'[database]\nurl = "{books_db.dsn}"\n[lamassu]\ndsn_file = "{dsn}"\nwindow_days = 9\n')
    untested = ("init", "--dir", str(place.folder), "--yes", "--untested")
    monkeypatch.setenv("DCA_LNBITS__ADMIN_KEY", INVOICE_KEY)
    more = ("--currency", "GTQ", "--lnbits-url", NOWHERE)
    before = config.read_text()
    cli(*untested, *more, config_path=None).refused("config.toml stays as it is", "lnbits.url", "--replace")
    assert config.read_text() == before
    cli(*untested, *more, "--replace", config_path=None).done()
    (kept,) = place.folder.glob("config.toml.*")
    assert kept.read_text() == before
    text = config.read_text()
    for line in ("window_days = 9", f'dsn_file = "{dsn}"', f'url = "{NOWHERE}"', 'currency = "GTQ"'):
        assert f"\n{line}\n" in text
    assert not (place.folder / "database.url").exists()
    dsn.chmod(0o644)
    cli(*untested, config_path=None).refused("can be read by others")
    dsn.chmod(0o600)
    dsn.write_text("no address")
    cli(*untested, config_path=None).refused("lamassu.dsn: must be a PostgreSQL connection")
    monkeypatch.setenv("DCA_LAMASSU__DSN", lamassu_db.reader_dsn)
    cli(*untested, "--replace", config_path=None).done()
    assert dsn.read_text() == f"{lamassu_db.reader_dsn}\n"
    dsn.unlink()
    dsn.symlink_to(place.folder / "nowhere")
    cli(*untested, config_path=None).refused("can't read", "No such file")
    config.write_text("[lamasu]\n")
    cli(*untested, config_path=None).refused("lamasu", "did you mean lamassu")


@dataclass
class Scripted:
    """Somebody whose answers are known beforehand."""

    lines: list[str]
    consents: list[bool] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    shown: list[Finding] = field(default_factory=list)
    answers: bool = True

    def ask(self, question: Question) -> str:
        return self.lines.pop(0)

    def ask_again(self, question: Question, *, can_keep: bool) -> str:
        return self.lines.pop(0)

    def confirm(self, text: str, *, default: bool) -> bool:
        self.told.append(text)
        return self.consents.pop(0)

    def tell(self, text: str) -> None:
        self.told.append(text)

    def show(self, findings: Sequence[Finding]) -> None:
        self.shown += findings


def test_what_fails_is_kept_or_put_off_as_the_person_says(place: Place, books_db: TestDb) -> None:
    database = "postgresql://dca@127.0.0.1:9/dca"
    person = Scripted([database, "", "keep", "gtq", "later", "ftp://x", NOWHERE, "keep", "short", "later"])
    outcome = Setup(Folder(place.folder), person, {}, Wishes(create=False)).run()
    assert person.lines == []
    assert outcome.later == ["lamassu.dsn", "lnbits.admin_key", "security.encryption_keys"]
    assert set(place.contents()) == {"database.url", "config.toml"}
    steps = remaining(Folder(place.folder), outcome, sudo=True)
    said = "\n".join(f"{step.text} {step.commands} {step.sql}" for step in steps)
    left_open = "left open (lnbits.admin_key, security.encryption_keys)"
    for words in ("GRANT SELECT", "CREATE TRIGGER", left_open, "db upgrade", NOWHERE):
        assert words in said or words in place.contents()["config.toml"]
    assert all(command.startswith(("sudo ", "there, in psql")) for step in steps for command in step.commands)

    before = place.contents()
    given = {"database.url": books_db.dsn}
    person = Scripted(["keep", "later", "keep", "later"], [False])
    outcome = Setup(Folder(place.folder), person, given, Wishes(create=False)).run()
    assert person.lines == [] and "Replace database.url, which is there?" in person.told
    assert place.contents() == before
    outcome = Setup(Folder(place.folder), Scripted(["later", "keep", "later"], [True]), given, Wishes()).run()
    assert outcome.made_keys and outcome.schema_fits
    assert place.contents() == before | {
        "database.url": f"{books_db.dsn}\n",
        "security.encryption_keys": place.contents()["security.encryption_keys"],
    }


def test_books_without_their_keys_are_given_no_new_ones(
    place: Place, books_db: TestDb, lamassu_db: LamassuDb, lnbits: LnbitsAdmin, cli: Cli, key_file: Path,
    wallet: object, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    cli("client", "add", "Ana", "--lnbits-key-file", str(key_file)).done()
    monkeypatch.undo()
    monkeypatch.setenv("DCA_DATABASE__URL", books_db.dsn)
    monkeypatch.setenv("DCA_LAMASSU__DSN", lamassu_db.reader_dsn)
    monkeypatch.setenv("DCA_LNBITS__ADMIN_KEY", lnbits.create_wallet("source").adminkey)
    arguments = ("init", "--dir", str(place.folder), "--yes", "--currency", "GTQ", "--lnbits-url", lnbits.url)
    cli(*arguments, config_path=None).refused("not the keys", "--encryption-keys-file")
    assert set(place.contents()) == SECRET_FILES - {"security.encryption_keys"}


def test_a_database_of_another_program_is_refused(
    place: Place, lamassu_db: LamassuDb, postgres_server: PostgresServer, cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("DCA_LNBITS__ADMIN_KEY", INVOICE_KEY)
    monkeypatch.setenv("DCA_LAMASSU__DSN", lamassu_db.reader_dsn)
    arguments = ("init", "--dir", str(place.folder), "--yes", "--currency", "GTQ", "--lnbits-url", NOWHERE)
    monkeypatch.setenv("DCA_DATABASE__URL", lamassu_db.admin_dsn)
    cli(*arguments, config_path=None).refused("database.url: ", "another program's tables")
    create(Names(place.name, place.name), postgres_server.admin_dsn)
    with psycopg.connect(postgres_server.dsn(place.name), autocommit=True) as conn:
        conn.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        conn.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO dca_reader").format(sql.Identifier(place.name)))
    monkeypatch.setenv("DCA_DATABASE__URL", postgres_server.dsn(place.name, "dca_reader", READER_PASSWORD))
    cli(*arguments, config_path=None).refused("may not make tables", "OWNER TO dca_reader")
    again = (*arguments, "--create-database", "--admin-dsn-file", str(place.admin))
    monkeypatch.delenv("DCA_DATABASE__URL")
    cli(*again, "--role", place.name, config_path=None).refused(f"role {place.name} already")
    cli(*again, "--role", "no name", config_path=None).refused("no name for a role")
    assert not list(place.folder.iterdir())


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("pool.currency", "", "ISO 4217"),
        ("lnbits.url", "https://user:pw@host", "without user"),
        ("lnbits.admin_key", "two words here", "the key alone"),
        ("lamassu.dsn", "postgresql://u:p@ss@host/db", "%40"),
        ("lamassu.dsn", "postgresql://host/db\nx", "one line"),
        ("database.url", "host=x dbname=y", "postgresql://"),
        ("security.encryption_keys", "short", "Fernet"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_refused_with_the_reason(key: str, text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refused:
        checked(key, text)
    assert refused.value.field == key


def test_a_password_is_put_in_however_it_is_spelt() -> None:
    assert lacks_password("postgresql://dca@h/db") and not lacks_password("host=h password=x")
    assert not lacks_password("no address at all")
    assert with_password("postgresql://dca@h:1/db", "a@b/c:%") == "postgresql://dca:a%40b%2Fc%3A%25@h:1/db"
    assert with_password("host=h dbname=db", "a b'c") == r"dbname=db host=h password='a b\'c'"
    assert with_password("postgresql://dca@h/db", "") == "postgresql://dca@h/db"
    for address in ("postgresql://dca:s3cret@h:1/db", "host=h dbname=db password=s3cret"):
        assert "s3cret" not in without_password(address) and "db" in without_password(address)
