"""A migration only adds: a daemon of the version before works on, while it is made and after.

One that does more names each thing in `EXCEPTIONS`, with why an older daemon lives with it, or has `BREAKS`, with
the reason why none can: then it is refused while a daemon is active.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.fixtures.postgres import TestDb
from tests.ledger.catalog import Catalog, clashes, read
from tests.ledger.next_release import ADDS
from tests.ledger.test_migrate import ROOT, empty_db, upgrade_to

__all__ = ["empty_db"]  # a fixture
LAST_THAT_DID_NOT_ONLY_ADD = "0006"


def _catalog(db: TestDb) -> Catalog:
    with psycopg.connect(db.dsn) as conn:
        return read(conn)


def test_migrations_only_add_or_say_why_not(empty_db: TestDb) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic"))
    upgrade_to(empty_db, LAST_THAT_DID_NOT_ONLY_ADD)
    before = _catalog(empty_db)
    scripts = [
        script
        for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions()))
        if script.revision > LAST_THAT_DID_NOT_ONLY_ADD
    ]
    assert scripts
    for script in scripts:
        upgrade_to(empty_db, script.revision)
        after = _catalog(empty_db)
        breaks = getattr(script.module, "BREAKS", None)
        named = getattr(script.module, "EXCEPTIONS", {})
        found = clashes(before, after)
        assert breaks or found == set(named), f"{Path(script.path).name}: {sorted(found ^ set(named))}"
        assert all(named.values())
        before = after


CLASHING: dict[str, set[str]] = {
    ADDS: set(),
    "ALTER TABLE payout ADD of_next text CHECK (of_next <> ''), ADD CONSTRAINT u UNIQUE (of_next)": set(),
    "CREATE FUNCTION of_next() RETURNS int LANGUAGE sql AS 'SELECT 1'": set(),
    "ALTER TABLE login_link DROP COLUMN used_at": {"column login_link.used_at is gone"},
    "DROP TABLE client_permission": {"column client_permission.may_switch_mode is gone"},
    "ALTER TABLE intent RENAME COLUMN action TO deed": {
        "column intent.action is gone",
        "column intent.deed must be given",
    },
    "ALTER TABLE pool ALTER created_at TYPE timestamp": {"column pool.created_at has another type"},
    "ALTER TABLE intent ALTER result_path SET NOT NULL": {"column intent.result_path must be given"},
    "ALTER TABLE intent ADD why text NOT NULL": {"column intent.why must be given"},
    "ALTER TABLE pool ADD CONSTRAINT small CHECK (id < 9)": {"constraint small on pool is new"},
    "CREATE UNIQUE INDEX one ON client (mode)": {"index one on client is new"},
    "DROP INDEX event_at": {"index event_at on event is gone"},
    "CREATE TRIGGER late BEFORE INSERT ON pool FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()": {
        "trigger late on pool is new"
    },
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'": {
        "function refuse_change is another one"
    },
}


def test_what_an_older_program_would_run_into_is_found(books_db: TestDb) -> None:
    with psycopg.connect(books_db.dsn) as conn:
        before = read(conn)
        for sql, expected in CLASHING.items():
            with conn.transaction(force_rollback=True):
                conn.execute(sql.encode())
                found = clashes(before, read(conn))
            assert expected <= found and bool(expected) == bool(found), (sql, found)
