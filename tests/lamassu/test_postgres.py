"""The PostgreSQL of the demo: starts anywhere, comes back with its data, says what is wrong."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psycopg
import pytest

from dca_daemon.demo.postgres import TEST_SETTINGS, EmbeddedPostgres, sqlalchemy_url
from dca_daemon.domain.errors import DatabaseError

PASSWORD = "it's a @/:secret"


def test_it_starts_stops_and_keeps_its_data(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "a folder", TEST_SETTINGS)
    try:
        with server:
            server.create_role("owner", "first")
            server.create_role("owner", PASSWORD)
            assert server.create_database("books", owner="owner")
            assert not server.create_database("books")
            with psycopg.connect(server.dsn("books", "owner", PASSWORD)) as conn:
                conn.execute("CREATE TABLE kept AS SELECT 1 AS n")
            EmbeddedPostgres(tmp_path / "a folder").start()  # it is running: that one is used
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(server.dsn("books", "owner", "wrong"))
        again = EmbeddedPostgres(tmp_path / "a folder")
        with again, psycopg.connect(again.dsn("books", "owner", PASSWORD)) as conn:
            assert conn.execute("SELECT n FROM kept").fetchone() == (1,)
    finally:
        server.destroy()
    assert not server.log_file.exists()


def test_both_forms_of_a_dsn() -> None:
    assert sqlalchemy_url("postgresql://u:p@127.0.0.1:5/db") == "postgresql+psycopg://u:p@127.0.0.1:5/db"


def test_a_folder_of_somebody_else_is_refused() -> None:
    if os.geteuid() != 0:
        with pytest.raises(DatabaseError, match="belongs to somebody else"):
            EmbeddedPostgres(Path("/"))
        return
    with tempfile.TemporaryDirectory() as theirs:  # directly below /tmp: nothing above it keeps others out
        os.chown(theirs, 12345, 12345)
        with pytest.raises(DatabaseError, match="belongs to somebody else"):
            EmbeddedPostgres(Path(theirs))
