"""What `dca-daemon init` must be told, and what can be said of an answer before it is tried."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dca_daemon.domain.errors import InputError
from dca_daemon.runtime.settings import problem_with
from dca_daemon.runtime.settings_sources import ENV_PREFIX

DATABASE, CURRENCY, LAMASSU = "database.url", "pool.currency", "lamassu.dsn"
LNBITS, ADMIN_KEY, KEYS = "lnbits.url", "lnbits.admin_key", "security.encryption_keys"


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to be known. `option` is the flag that gives it; of a secret, a file that holds it."""

    key: str
    prompt: str
    explains: str
    option: str
    suggestion: str | None = None
    is_secret: bool = False
    is_address: bool = False  # an address is shown as it is typed; its password is asked for by itself


QUESTIONS = (
    Question(
        DATABASE,
        "Our own database",
        "The books live in a PostgreSQL database of their own.",
        "--database-url-file",
        suggestion="postgresql://dca@127.0.0.1:5432/dca",
        is_secret=True,
        is_address=True,
    ),
    Question(
        CURRENCY,
        "Currency of the notes in the machines",
        "Three letters of ISO 4217, such as GTQ. It can't be changed later.",
        "--currency",
    ),
    Question(
        LAMASSU,
        "Lamassu's database",
        "It is only read, with a role of its own; to make that role, on Lamassu's server:\n"
        "  dca-daemon lamassu grants --print    shows the SQL\n"
        "'later' leaves it for another time.",
        "--lamassu-dsn-file",
        suggestion="postgresql://dca_reader@127.0.0.1:5433/lamassu",
        is_secret=True,
        is_address=True,
    ),
    Question(
        LNBITS,
        "Address of LNbits",
        "Clients are paid from a wallet there. For example https://lnbits.example.com",
        "--lnbits-url",
    ),
    Question(
        ADMIN_KEY,
        "Admin key of the wallet that pays (not shown)",
        "A wallet of its own for payouts; its admin key stands under its API docs.",
        "--lnbits-admin-key-file",
        is_secret=True,
    ),
)
BY_KEY: Mapping[str, Question] = {question.key: question for question in QUESTIONS}
SECRETS = (*(question.key for question in QUESTIONS if question.is_secret), KEYS)


def variable(key: str) -> str:
    """The environment's name for it."""
    return f"{ENV_PREFIX}{key.upper().replace('.', '__')}"


def from_environment(key: str) -> str | None:
    """An answer that was given there."""
    return os.environ.get(variable(key), "").strip() or None


def checked(key: str, text: str) -> str:
    """The answer as it is kept. Raises `InputError`, with the reason, for what can't be one."""
    text = text.strip()
    if key == CURRENCY:
        text = text.upper()
    if key != KEYS and not text.isprintable():
        raise InputError("must be one line, without control characters", field=key)
    if problem := problem_with(key, text):
        raise InputError(problem, field=key)
    return text.rstrip("/") if key == LNBITS else text


def lacks_password(address: str) -> bool:
    """Whether a password can, and should, be added to it."""
    try:
        return "password" not in conninfo_to_dict(address)
    except ProgrammingError:
        return False


def with_password(address: str, password: str) -> str:
    """The address with the password in it, however it is spelt."""
    if not password:
        return address
    if "://" not in address:
        return make_conninfo(address, password=password)
    parts = urlsplit(address)
    user, at, where = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}{at or '@'}{where}").geturl()


def without_password(address: str) -> str:
    """The address for people."""
    try:
        found = conninfo_to_dict(address)
    except ProgrammingError:
        return "an address that can't be read"
    if "://" in address:
        return re.sub(r"^([^/]*//[^:@/]*):[^@]*@", r"\1@", address) if found.get("password") else address
    return make_conninfo(**{name: str(value) for name, value in found.items() if name != "password"})
