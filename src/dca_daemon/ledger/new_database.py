"""Makes the role and the database that the books live in, where an administrator's connection can be had."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from dca_daemon.domain.errors import ConflictError, DatabaseError, InputError
from dca_daemon.ledger.db import first_line

ROLE = DATABASE = "dca"
_ACCOUNT = "postgres"  # whom PostgreSQL trusts on its own computer, by the name of the process's account
_SOCKETS = Path("/var/run/postgresql")
_LOOPBACK = "127.0.0.1"
_PASSWORD_BYTES = 24
_CONNECT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Names:
    """What the role and its database are called. Raises `InputError` for names that would need care everywhere."""

    role: str = ROLE
    database: str = DATABASE

    def __post_init__(self) -> None:
        for name in (self.role, self.database):
            if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
                raise InputError(f"{name!r} is no name for a role or database: a-z, 0-9 and _, at most 63")


def creation_sql(names: Names) -> str:
    """The same for a person to run. The password is not part of it."""
    return (
        f"CREATE ROLE {names.role} LOGIN;\n"
        f"\\password {names.role}\n"
        f"CREATE DATABASE {names.database} OWNER {names.role} TEMPLATE template0 ENCODING 'UTF8';\n"
        f"REVOKE CONNECT ON DATABASE {names.database} FROM PUBLIC;\n"
    )


def has_local_server() -> bool:
    """Whether this process could be administrator of a PostgreSQL on this computer."""
    return os.geteuid() == 0 and _account_id() is not None and any(_SOCKETS.glob(".s.PGSQL.*[0-9]"))


def create(names: Names, admin_dsn: str | None = None) -> str:
    """Makes both; the URL to reach them by, with a new random password. Without a DSN: on this computer.

    Raises `ConflictError` where one of them exists, `DatabaseError` for all else; then nothing was made.
    """
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    try:
        with _administrator(admin_dsn) as conn:
            _refuse_existing(conn, names)
            _create(conn, names, password)
            host = _LOOPBACK if admin_dsn is None else conn.info.host
            return _url(names, password, host, conn.info.port)
    except psycopg.Error as error:
        raise DatabaseError(
            f"role and database were not made: {first_line(error)}",
            remedy="let a superuser make them, and give their address",
        ) from None


@contextlib.contextmanager
def _administrator(admin_dsn: str | None) -> Iterator[psycopg.Connection[Any]]:
    if admin_dsn is not None:
        conn = psycopg.connect(admin_dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS)
    else:
        with _as_account():
            conn = psycopg.connect(
                host=str(_SOCKETS),
                user=_ACCOUNT,
                dbname=_ACCOUNT,
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
            )
    with conn:
        yield conn


@contextlib.contextmanager
def _as_account() -> Iterator[None]:
    """For the moment of connecting this process is `postgres`."""
    account, own = _account_id(), os.geteuid()
    if account is None or own != 0:
        raise DatabaseError("only root can be PostgreSQL's administrator here", remedy="run it with sudo")
    os.seteuid(account)
    try:
        yield
    finally:
        os.seteuid(own)


def _account_id() -> int | None:
    try:
        return pwd.getpwnam(_ACCOUNT).pw_uid
    except KeyError:
        return None


def _refuse_existing(conn: psycopg.Connection[Any], names: Names) -> None:
    for kind, name, query in (
        ("role", names.role, "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s"),
        ("database", names.database, "SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s"),
    ):
        if conn.execute(query, (name,)).fetchone():
            raise ConflictError(
                f"there is a {kind} {name} already",
                remedy="give its address with its password, or other names with --role and --database",
            )


def _create(conn: psycopg.Connection[Any], names: Names, password: str) -> None:
    role, database = sql.Identifier(names.role), sql.Identifier(names.database)
    # The server, and so its log, is told what proves the password, not the password.
    proof = conn.pgconn.encrypt_password(password.encode(), names.role.encode(), b"scram-sha-256").decode()
    conn.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(proof)))
    try:
        # Debian makes a server without a locale in an encoding that takes anything.
        conn.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'").format(database, role)
        )
        conn.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(database))
    except psycopg.Error:
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(database))
        conn.execute(sql.SQL("DROP ROLE {}").format(role))
        raise


def _url(names: Names, password: str, host: str, port: int) -> str:
    login = f"{names.role}:{password}"
    if host.startswith("/"):
        return f"postgresql://{login}@/{names.database}?host={quote(host, safe='')}&port={port}"
    shown = f"[{host}]" if ":" in host else host
    return f"postgresql://{login}@{shown}:{port}/{names.database}"
