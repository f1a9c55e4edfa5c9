"""`dca-daemon backup` and `restore`, with PostgreSQL's own programs on real books."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from dca_daemon.domain.errors import ConfigError
from dca_daemon.ledger import which_copy
from dca_daemon.ledger.db import Database
from dca_daemon.runtime.settings import load_settings
from dca_daemon.services.backups import keys, manifest, runs
from tests.backups.fakes import fake_programs
from tests.cli.conftest import Cli, OnBooks, Outcome, write_config
from tests.fixtures.postgres import PostgresServer, TestDb, pg_bin
from tests.ledger.filled import fill, fill_more
from tests.ledger.test_migrate import RELEASED, content, load, stamped, upgrade_to


@dataclass(frozen=True)
class Ground:
    """A folder for backups, a pair of keys, and the program configured for them."""

    cli: Cli
    write: Callable[[Mapping[str, object]], Path]
    folder: Path
    key: Path
    public: str

    def __call__(self, *arguments: str, **backup: object) -> Outcome:
        return self.cli(*arguments, config_path=self.write(backup))

    def made(self) -> Path:
        """The archive of a new backup."""
        return Path(self("backup", "--json").done().json["path"])

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} - {".lock"}


@pytest.fixture
def ground(cli: Cli, books_db: TestDb, keys_text: str, tmp_path: Path) -> Ground:
    folder, new = tmp_path / "backups", keys.generate(datetime.now(UTC))
    folder.mkdir(mode=0o700)
    key = tmp_path / "backup.key"
    key.write_text(new.text)

    def write(more: Mapping[str, object]) -> Path:
        backup = {"folder": str(folder), "recipients": [new.public], "pg_bin": str(pg_bin()), **more}
        return write_config(tmp_path / "backup.toml", books_db.dsn, keys_text, {"backup": backup})

    return Ground(cli, write, folder, key, new.public)


@pytest.fixture
def empty_db(postgres_server: PostgresServer) -> Iterator[TestDb]:
    with postgres_server.clone("template0") as database:
        yield TestDb(database, postgres_server.dsn(database))


def tables(db: TestDb) -> int:
    with psycopg.connect(db.dsn) as conn:
        row = conn.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchone()
    assert row is not None
    return int(row[0])


def beside(archive: Path) -> Path:
    """Its manifest."""
    return archive.with_name(archive.name.partition(".")[0] + ".json")


def altered(at: Path, **changes: Any) -> None:
    """The manifest says something else, with a checksum that fits."""
    data = json.loads(beside(at).read_text())
    del data["checksum"]
    for name, value in changes.items():
        part, _, key = name.rpartition("__")
        (data[part] if part else data)[key] = value
    beside(at).write_text(json.dumps({**data, "checksum": manifest._checksum(data)}))


def flipped(archive: Path) -> None:
    raw = bytearray(archive.read_bytes())
    raw[len(raw) // 2] ^= 1
    archive.write_bytes(raw)


def edited(archive: Path) -> None:
    beside(archive).write_text(beside(archive).read_text().replace('"posting": ', '"posting": 9'))


def foreign(archive: Path) -> None:
    beside(archive).write_text('{"format": "another program"}')


HARM: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a bit": (flipped, ("is damaged", "checksum is not that of the manifest")),
    "its end": (lambda a: os.truncate(a, a.stat().st_size - 1), ("is damaged", "bytes of")),
    "its manifest": (edited, (".json is damaged: its checksum does not fit",)),
    "half a manifest": (lambda a: os.truncate(beside(a), 200), ("is damaged", "not a whole JSON document")),
    "no manifest": (lambda a: beside(a).unlink(), ("there is no manifest", "docs/backup.md")),
    "foreign": (foreign, ("is not the manifest of a backup of dca-daemon",)),
    "another archive's": (lambda a: altered(a, archive="dca-1.dump.age"), ("manifest of another archive",)),
    "too new": (lambda a: altered(a, contents__revision="0999"), ("newer dca-daemon", "0999", "install that")),
    "a newer form": (lambda a: altered(a, format_version=2), ("newer dca-daemon", "can't read")),
    "a newer server's": (lambda a: altered(a, server_major=97, pg_dump_major=10), ("PostgreSQL 97 or newer",)),
    "a newer pg_dump's": (lambda a: altered(a, pg_dump_major=98), ("PostgreSQL 98 or newer are needed",)),
    "recipients that are none": (lambda a: altered(a, recipients="x"), ("recipients is missing or wrong",)),
}


def test_a_restore_refuses_what_it_must_and_brings_the_rest_back(
    ground: Ground, on_books: OnBooks, books_db: TestDb, empty_db: TestDb, tmp_path: Path
) -> None:
    async def filled(db: Database) -> None:
        await fill(db)
        await fill_more(db)

    on_books(filled)
    before = content(books_db)
    archive = ground.made()
    assert {oct(path.stat().st_mode & 0o777) for path in ground.folder.iterdir()} == {"0o600"}
    assert archive.read_bytes().startswith(b"age-encryption.org/v1\n")
    (listed,) = ground("backup", "list", "--json").done().json["backups"]
    assert listed["trouble"] is None and listed["backup"]["postings"] == len(before["posting"])
    assert ground("backup", "verify", str(archive), "--key", str(ground.key), "--json").done().json["opened"]
    last = on_books(runs.last)
    assert last.good_age_seconds < 600 and last.error is None

    restore = ("restore", "--into", empty_db.database, "--yes", "--key", str(ground.key))
    for name, (harm, words) in HARM.items():
        shutil.copytree(ground.folder, copy := tmp_path / name)
        harm(copy / archive.name)
        ground(*restore, str(copy / archive.name)).refused(*words)
    other = tmp_path / "other.key"
    other.write_text(keys.generate(datetime.now(UTC)).text)
    ground(*restore[:-1], str(other), str(archive)).refused("this key does not open")
    ground(*restore[:-2], str(archive)).refused("is encrypted for", ground.public, "--key FILE")
    ground(*restore[:-1], str(archive), str(archive)).refused("is not a text file")
    ground(*restore, str(tmp_path / "gone.dump")).refused("there is no file")
    with psycopg.connect(empty_db.dsn, application_name="dca-daemon leader"):
        ground(*restore, str(archive)).refused("another dca-daemon is connected", "systemctl stop")
    assert tables(empty_db) == 0
    ground("restore", str(archive), "--key", str(ground.key), "--yes").refused(
        "is not empty", "nothing was changed"
    )

    done = ground(*restore, str(archive), "--json").done().json
    assert list(done["seconds"]) == ["check", "restore", "compare", "verify"] and done["checks"] > 15
    after = content(empty_db)
    assert after["audit_log"][-1]["action"] == "books.restore"
    assert after["installation"][0]["paid_from"] == "a backup"
    for table in before.keys() - {"audit_log", "event", "installation"}:
        assert after[table] == before[table], table
    assert "books.restore" in {row["action"] for row in after["audit_log"]}
    ground(*restore, str(archive)).refused("is not empty")


async def test_a_restored_copy_never_passes_for_the_one_that_was_paid_from(books: Database) -> None:
    """Not even where the backup was made before the first payment."""
    async with books.transaction() as conn:
        assert not await which_copy.is_another(conn)
        await which_copy.mark_restored(conn)
        assert await which_copy.is_another(conn)
        await which_copy.remember(conn)
        assert not await which_copy.is_another(conn)


def test_a_drill_leaves_nothing_but_its_outcome(
    ground: Ground, on_books: OnBooks, postgres_server: PostgresServer
) -> None:
    name = f"nobody_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.admin_dsn, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'none'".encode())
        nobody = postgres_server.dsn("postgres", name, "none")
        ground("backup", "--drill", drill_url=nobody).refused(
            "may not create a database", "CREATEDB", "backup.drill_url"
        )
        conn.execute(f"DROP ROLE {name}".encode())
    assert on_books(runs.last).drilled_at is None
    done = ground("backup", "--drill", "--json").done().json
    steps = list(done["seconds"])
    assert done["own_key"] and steps[0] == "backup" and steps[-1] == "drop"
    assert on_books(runs.last).drilled_at is not None and ground.names() == set()
    plain = ground("backup", "--json", recipients=[], unencrypted=True).done().json
    assert not plain["backup"]["encrypted"] and plain["path"].endswith(".dump")
    assert "drop" in ground("backup", "drill", plain["path"]).done().out
    with psycopg.connect(postgres_server.admin_dsn) as conn:
        assert conn.execute("SELECT FROM pg_database WHERE datname LIKE 'dca_drill_%'").fetchall() == []


def test_a_dump_that_fails_leaves_nothing_and_is_remembered(
    ground: Ground, on_books: OnBooks, tmp_path: Path
) -> None:
    archive = ground.made()
    kept = ground.names()
    failing = fake_programs(tmp_path / "failing", 99, 'echo "pg_dump: error: out of luck" >&2; exit 1')
    assert ground("backup", pg_bin=str(failing)).refused("pg_dump failed: out of luck")
    assert ground.names() == kept
    last = on_books(runs.last)
    assert last.error == "pg_dump failed: out of luck" and last.good_at is not None
    findings = ground("doctor", "--json").json["findings"]
    levels = {f["name"]: f["level"] for f in findings if f["area"] == "backups"}
    assert levels == {"configured": "ok", "pg-dump": "ok", "age": "ok", "last-try": "fail", "drill": "warn"}
    for words, backup in (
        ("there is no folder", {"folder": str(tmp_path / "gone")}),
        ("backup.recipients is missing", {"recipients": []}),
        ("there are none", {"pg_bin": str(tmp_path)}),
    ):
        ground("backup", **backup).refused(words)
    assert ground.names() == kept and archive.exists()


def test_killed_in_the_middle_nothing_looks_like_a_backup(ground: Ground, tmp_path: Path) -> None:
    hanging = fake_programs(tmp_path / "hanging", 99, "sleep 600")
    command = [
        sys.executable,
        "-m",
        "dca_daemon",
        "--config",
        str(ground.write({"pg_bin": str(hanging)})),
        "backup",
    ]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not any(ground.folder.glob("*.part")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        ground("backup").refused("another backup into", "under way")
        os.killpg(process.pid, signal.SIGKILL)
    (left,) = ground.names()
    assert left.endswith(".dump.age.part")
    assert ground("backup", "list", "--json").done().json["backups"] == []
    archive = ground.made()
    assert ground.names() == {archive.name, archive.name.replace(".dump.age", ".json")}


def test_an_upgrade_makes_a_backup_first_that_can_be_gone_back_to(
    ground: Ground, postgres_server: PostgresServer, keys_text: str, tmp_path: Path, empty_db: TestDb
) -> None:
    with postgres_server.clone("template0") as database:
        old = TestDb(database, postgres_server.dsn(database))
        upgrade_to(old, "0005")
        load(old, RELEASED / "0005.sql")
        backup = {"folder": str(ground.folder), "recipients": [ground.public]}

        def config(pg: Path) -> Path:
            sections = {"backup": {**backup, "pg_bin": str(pg)}}
            return write_config(tmp_path / "old.toml", old.dsn, keys_text, sections)

        refused = ground.cli("db", "upgrade", config_path=config(tmp_path))
        refused.refused("nothing was upgraded", "no backup could be made", "--no-backup")
        assert stamped(old) == "0005" and ground.names() == set()
        path = config(pg_bin())
        done = ground.cli("db", "upgrade", "--json", config_path=path).done().json
        assert ground.cli("db", "upgrade", "--json", config_path=path).done().json["archive"] is None
        kept = content(old)["backup_run"]
        assert [(r["kind"], r["revision"]) for r in kept] == [("upgrade", "0005")]
        back = (
            "restore",
            done["archive"],
            "--into",
            empty_db.database,
            "--key",
            str(ground.key),
            "--yes",
            "--json",
        )
        restored = ground.cli(*back, config_path=path).done().json
    assert restored["backup"]["cause"] == "upgrade" and restored["backup"]["revision"] == "0005"
    assert "upgrade" in restored["seconds"] and restored["revision_now"] == done["revision"]


def test_an_upgrade_without_configured_backups_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    async def needed(_: Database) -> bool:
        return True

    monkeypatch.setattr("dca_daemon.services.backups.before_upgrade.is_needed", needed)
    assert "No backup was made before the upgrade" in cli("db", "upgrade").done().err
    assert cli("db", "upgrade", "--no-backup").done().err == ""


@pytest.mark.parametrize(
    ("backup", "words"),
    [
        ({"recipients": ["SECRET"]}, "this is a secret key"),
        ({"recipients": ["age1abc"]}, "must be public age keys"),
        ({"recipients": ["PUBLIC"], "unencrypted": True}, "must be empty with unencrypted"),
        ({"folder": "backups"}, "must be a whole path"),
    ],
)
def test_a_wrong_setting_is_told_without_its_secret(
    backup: dict[str, Any], words: str, tmp_path: Path, keys_text: str
) -> None:
    new = keys.generate(datetime.now(UTC))
    secret = new.text.splitlines()[-1]
    given = {"SECRET": secret, "PUBLIC": new.public}
    backup = {k: [given.get(one, one) for one in v] if isinstance(v, list) else v for k, v in backup.items()}
    path = write_config(tmp_path / "c.toml", "postgresql://a@127.0.0.1/b", keys_text, {"backup": backup})
    with pytest.raises(ConfigError) as refused:
        load_settings(path)
    assert words in str(refused.value) and secret[20:] not in str(refused.value)
