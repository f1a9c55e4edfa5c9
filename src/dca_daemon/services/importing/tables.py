"""Reads the tables of the LNbits extension satmachineadmin: SQLite, PostgreSQL, or CSV of them. Only ever reads.

Every value as the text that the database itself writes for it, so that no float comes in between.
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from dca_daemon.domain.errors import InputError, SourceError
from dca_daemon.domain.text import plain

Row = Mapping[str, str | None]
CLIENTS, DEPOSITS, PAYMENTS = "dca_clients", "dca_deposits", "dca_payments"
# What we can't do without. Other columns are used where they are there.
NEEDED: Mapping[str, tuple[str, ...]] = {
    CLIENTS: ("id", "dca_mode", "status"),
    DEPOSITS: ("client_id", "amount", "status"),
    PAYMENTS: ("client_id", "amount_sats", "amount_fiat", "status"),
}
DEFAULT_SCHEMA = "satmachineadmin"
_MAX_CELL_CHARS = 1_000_000


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet of LNbits: its invoice key is never shown."""

    name: str | None
    invoice_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows of the three tables, and the columns that each has."""

    rows: Mapping[str, Sequence[Row]]
    columns: Mapping[str, frozenset[str]]
    origin: str


def from_sqlite(path: Path) -> Tables:
    """The extension's own file, `ext_satmachineadmin.sqlite3`. Raises `InputError`."""
    try:
        with closing(_sqlite(path)) as conn:
            conn.execute("BEGIN")  # one state of all three
            return _tables({name: _sqlite_rows(conn, name) for name in NEEDED}, str(path))
    except sqlite3.Error as error:
        raise InputError(f"can't read {path}: {error}", remedy="copy the file while LNbits is stopped") from None


def from_postgres(dsn: str, schema: str) -> Tables:
    """The extension's schema in LNbits' PostgreSQL. Raises `InputError` or `SourceError`."""
    try:
        with _postgres(dsn) as conn:
            found = {name: _postgres_rows(conn, schema, name) for name in NEEDED}
            return _tables(found, f"schema {schema}")
    except psycopg.Error as error:
        raise _no_postgres(error) from None


def from_csv(folder: Path) -> Tables:
    """`dca_clients.csv`, `dca_deposits.csv` and `dca_payments.csv`, with the columns' names in the first line."""
    return _tables({name: _csv_rows(folder / f"{name}.csv") for name in NEEDED}, str(folder))


def wallets_from_sqlite(path: Path) -> dict[str, Wallet]:
    """The wallets in LNbits' own file, `database.sqlite3`, by their ids."""
    try:
        with closing(_sqlite(path)) as conn:
            found = conn.execute("SELECT id, inkey, name FROM wallets WHERE inkey IS NOT NULL").fetchall()
    except sqlite3.Error as error:
        raise InputError(f"can't read LNbits' wallets from {path}: {error}") from None
    return {str(r[0]): Wallet(r[2], str(r[1])) for r in found}


def wallets_from_postgres(dsn: str) -> dict[str, Wallet]:
    """The wallets in LNbits' PostgreSQL; none where the role may not read them."""
    try:
        with _postgres(dsn) as conn:
            found = conn.execute("SELECT id, inkey, name FROM public.wallets WHERE inkey IS NOT NULL").fetchall()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
        return {}
    except psycopg.Error as error:
        raise _no_postgres(error) from None
    return {str(r[0]): Wallet(r[2], str(r[1])) for r in found}


def destinations_from_csv(path: Path) -> dict[str, str]:
    """Two columns without a heading: a wallet's id, a client's id or its name; and an invoice key, or a Lightning
    address. Raises `InputError`, which quotes no key."""
    found: dict[str, str] = {}
    for number, line in enumerate(_csv_lines(path), 1):
        cells = [cell.strip() for cell in line]
        if not any(cells):
            continue
        if len(cells) != 2 or not all(cells):
            raise InputError(f"{path}, line {number}: it must have two columns, who and where")
        if cells[0] in found:
            raise InputError(f"{path}, line {number}: {plain(cells[0])} is there twice")
        found[cells[0]] = cells[1]
    return found


def _tables(found: Mapping[str, tuple[frozenset[str], list[Row]]], origin: str) -> Tables:
    missing = [
        f"{name}.{column}" for name, needed in NEEDED.items() for column in needed if column not in found[name][0]
    ]
    if missing:
        raise InputError(f"{origin} is not what is known of satmachineadmin: it lacks {', '.join(missing)}")
    return Tables(
        {name: rows for name, (_, rows) in found.items()},
        {name: columns for name, (columns, _) in found.items()},
        origin,
    )


def _no_table(name: str, where: object) -> InputError:
    return InputError(f"there is no table {name} in {where}", remedy="is it the database of satmachineadmin?")


def _sqlite(path: Path) -> sqlite3.Connection:
    if not path.is_file():  # SQLite's own message would not name it
        raise InputError(f"there is no file {path}")
    return sqlite3.connect(
        f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, isolation_level=None, timeout=10
    )


def _sqlite_rows(conn: sqlite3.Connection, table: str) -> tuple[frozenset[str], list[Row]]:
    columns = [str(r[1]) for r in conn.execute(f"PRAGMA table_info({table})")]
    if not columns:
        raise _no_table(table, "the file")
    texts = ", ".join(f'CAST("{column}" AS TEXT)' for column in columns if '"' not in column)
    names = [column for column in columns if '"' not in column]
    found = conn.execute(f"SELECT {texts} FROM {table} ORDER BY rowid")  # noqa: S608 - its own columns
    return frozenset(names), [dict(zip(names, r, strict=True)) for r in found]


def _postgres(dsn: str) -> psycopg.Connection[tuple[str, ...]]:
    return psycopg.connect(
        dsn,
        autocommit=False,
        connect_timeout=10,
        application_name="dca-daemon import",
        options=r"-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\ read"
        " -c statement_timeout=60s -c lock_timeout=5s",
    )


def _no_postgres(error: psycopg.Error) -> SourceError:
    lines = str(error).strip().splitlines()
    return SourceError(
        f"can't read LNbits' PostgreSQL: {lines[0] if lines else type(error).__name__}",
        remedy="check the address, and that the role may read the extension's schema",
    )


def _postgres_rows(
    conn: psycopg.Connection[tuple[str, ...]], schema: str, table: str
) -> tuple[frozenset[str], list[Row]]:
    columns = [
        r[0]
        for r in conn.execute(
            """SELECT column_name FROM information_schema.columns
                WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position""",
            (schema, table),
        )
    ]
    if not columns:
        raise _no_table(table, f"schema {schema}")
    texts = sql.SQL(", ").join(sql.SQL("CAST({} AS text)").format(sql.Identifier(c)) for c in columns)
    query = sql.SQL("SELECT {} FROM {}").format(texts, sql.Identifier(schema, table))
    return frozenset(columns), [dict(zip(columns, r, strict=True)) for r in conn.execute(query)]


def _csv_lines(path: Path) -> list[list[str]]:
    csv.field_size_limit(_MAX_CELL_CHARS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file, strict=True))
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV file in UTF-8: {plain(error)}") from None


def _csv_rows(path: Path) -> tuple[frozenset[str], list[Row]]:
    lines = _csv_lines(path)
    if not lines:
        raise InputError(f"{path} is empty", remedy="its first line must name the columns")
    names = [name.strip() for name in lines[0]]
    rows: list[Row] = []
    for number, line in enumerate(lines[1:], 2):
        if not any(line):
            continue
        if len(line) != len(names):
            raise InputError(f"{path}, line {number}: it has {len(line)} columns, the first line {len(names)}")
        rows.append({name: cell or None for name, cell in zip(names, line, strict=True)})
    return frozenset(names), rows
