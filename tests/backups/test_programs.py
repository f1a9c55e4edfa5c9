"""Which pg_dump is used, and what it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from dca_daemon.domain.errors import BackupError
from dca_daemon.services.backups import programs
from dca_daemon.services.backups.programs import Login
from tests.backups.fakes import fake_programs


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A computer with PostgreSQL 14 and 17 from Debian, and 16 in PATH."""
    for major in (14, 17):
        fake_programs(tmp_path / "usr/lib/postgresql" / str(major) / "bin", major)
    fake_programs(tmp_path / "path", 16)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    return tmp_path


@pytest.mark.parametrize(("server", "used"), [(13, 14), (14, 14), (15, 16), (16, 16), (17, 17)])
def test_the_oldest_that_is_not_older_than_the_server(root: Path, server: int, used: int) -> None:
    found = programs.find(server, None, root=root)
    assert found.major == used and found.dump.is_file() and found.restore.is_file()


def test_none_that_is_new_enough_is_one_clear_error(root: Path) -> None:
    with pytest.raises(BackupError) as refused:
        programs.find(18, None, root=root)
    assert str(refused.value) == (
        "pg_dump and pg_restore of PostgreSQL 18 or newer are needed; on this computer there are only those of "
        "PostgreSQL 14, 16, 17 (install postgresql-client-18, or name their folder in backup.pg_bin)"
    )


def test_the_configured_folder_is_the_only_one(root: Path, tmp_path: Path) -> None:
    assert programs.find(14, root / "usr/lib/postgresql/17/bin", root=root).major == 17
    with pytest.raises(BackupError, match="there are none"):
        programs.find(14, tmp_path / "nowhere", root=root)


def test_a_password_is_in_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCA_LNBITS__ADMIN_KEY", "of no concern")
    login = Login.of(
        "postgresql://dca:s3cret%20word@db.example:5433/books?sslmode=verify-full&sslrootcert=/ca.pem"
    )
    assert "s3cret" not in login.dbname and "sslmode=verify-full" in login.dbname and "port=5433" in login.dbname
    assert login.environment["PGPASSWORD"] == "s3cret word"
    assert not [name for name in login.environment if name.startswith("DCA_")]
    with pytest.raises(BackupError, match="sslpassword"):
        Login.of("postgresql://dca@db.example/books?sslpassword=hidden")
