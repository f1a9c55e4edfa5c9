"""A big shop's books: two years, with 100,000 cash-outs among 1,000 clients, kept from one run to the next."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from dca_daemon.demo.postgres import EmbeddedPostgres, sqlalchemy_url
from dca_daemon.ledger import migrate

HERE = Path(__file__).parent
MIGRATIONS = HERE.parents[1] / "alembic" / "versions"
STATEMENTS = HERE / "big_books.sql"
# Those of many rows: their indexes are made once, when the rows are there.
BIG = (
    "posting", "journal_entry", "distribution", "distribution_record", "payout", "payout_record", "cash_out",
    "cash_out_log", "payout_log", "audit_log", "event", "webhook_delivery", "deposit",
)  # fmt: skip
# It can be made again at any time. The rest as PostgreSQL has it by default.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "8GB",
    "shared_buffers": "128MB",
}


@dataclass(frozen=True)
class Size:
    """How much there is to be."""

    cash_outs: int
    clients: int


def database(server: EmbeddedPostgres, size: Size) -> str:
    """The DSN of such books: today's, of this schema; made if they are not there, in place of older ones."""
    name = f"big_{size.cash_outs}_{_digest()}"
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        known = {str(row[0]) for row in conn.execute("SELECT datname FROM pg_database").fetchall()}
        if name in known:
            return server.dsn(name)
        for other in known:
            if other.startswith((f"big_{size.cash_outs}_", "making_")):
                conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(other)))
        making = f"making_{name}"
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(making)))
        migrate.upgrade(sqlalchemy_url(server.dsn(making)))
        fill(server.dsn(making), size)
        conn.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(making), sql.Identifier(name))
        )
    return server.dsn(name)


def _digest() -> str:
    content = b"".join(path.read_bytes() for path in (STATEMENTS, *sorted(MIGRATIONS.glob("*.py"))))
    return hashlib.sha256(content + str(datetime.now(UTC).date()).encode()).hexdigest()[:12]


def fill(dsn: str, size: Size) -> None:
    """Fills migrated, empty books."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for setting in (
            "session_replication_role = replica",
            "work_mem = '256MB'",
            "maintenance_work_mem = '512MB'",
            "temp_buffers = '256MB'",
            "jit = off",
            f"bench.cash_outs = {size.cash_outs}",
            f"bench.clients = {size.clients}",
        ):
            conn.execute(f"SET {setting}".encode())
        indexes = _drop_indexes(conn)
        for statement in STATEMENTS.read_text().split(";\n"):
            if statement.strip():
                conn.execute(statement.encode())
        for definition in indexes:
            conn.execute(definition.encode())
        conn.execute("VACUUM (ANALYZE, FREEZE)")


def _drop_indexes(conn: psycopg.Connection) -> list[str]:
    """Gives the statements that make them again."""
    found = conn.execute(
        """SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
            WHERE i.indrelid::regclass::text = ANY(%s) AND NOT i.indisprimary
              AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)""",
        (list(BIG),),
    ).fetchall()
    for name, _ in found:
        conn.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    return [str(definition) for _, definition in found]
