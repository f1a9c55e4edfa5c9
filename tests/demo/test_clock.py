"""The demo's clock: set back, it dates what the services write; afterwards nothing of it is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.conninfo import conninfo_to_dict

from dca_daemon.demo.clock import shop_clock
from dca_daemon.domain.rights import Role
from dca_daemon.ledger.db import Database
from dca_daemon.services import audit, users
from tests.fixtures.postgres import TestDb

_DEFAULTS = """
    SELECT adrelid::regclass::text, adnum, pg_get_expr(adbin, adrelid) FROM pg_attrdef ORDER BY 1, 2"""
_TRACES = """
    SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'shop_clock')
         + (SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
             WHERE d.datname = current_database())"""


def _catalog(dsn: str) -> tuple[list[tuple[object, ...]], object]:
    with psycopg.connect(dsn) as conn:
        traces = conn.execute(_TRACES).fetchone()
        return conn.execute(_DEFAULTS).fetchall(), traces


async def _added_at(db: Database, name: str) -> datetime:
    """When somebody is added, by the columns' defaults of two tables."""
    view = await users.add(db, name=name, role=Role.VIEWER, password=None, actor="os:test")
    (newest,) = await audit.list_all(db, limit=1)
    assert abs(newest.at - view.created_at) < timedelta(seconds=5)
    return view.created_at


def _about(seen: datetime, wanted: datetime) -> bool:
    return timedelta() <= seen - wanted < timedelta(minutes=2)


async def test_a_clock_that_is_set_back_leaves_no_trace(books_db: TestDb) -> None:
    before = _catalog(books_db.dsn)
    role = str(conninfo_to_dict(books_db.dsn)["user"])
    began = datetime.now(UTC)
    opens = began - timedelta(days=7)
    with shop_clock(books_db.dsn, role, opens) as clock:
        db = Database(books_db.sqlalchemy_url)
        assert _about(await _added_at(db, "first"), opens)
        clock.set_to(opens + timedelta(days=3))
        clock.set_to(opens)  # never backwards
        assert _about(await _added_at(db, "second"), opens + timedelta(days=3))
        clock.set_to(began + timedelta(days=1))  # nor beyond the present
        assert _about(await _added_at(db, "third"), began)
        await db.close()
    assert _catalog(books_db.dsn) == before
    db = Database(books_db.sqlalchemy_url)
    assert _about(await _added_at(db, "fourth"), began)
    await db.close()
