"""The command line against real books: configuration, a way to call it, and cash-outs to look at."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dca_daemon.cli.main import execute
from dca_daemon.cli.reference import JSON_KEYS
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Destination, DestinationInfo
from tests.fixtures.postgres import TestDb

INVOICE_KEY = "0123456789abcdef0123456789abcdef"
ADMIN_KEY = "fedcba9876543210fedcba9876543210"
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Outcome:
    """What one call of the program came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def done(self) -> Outcome:
        assert self.status == 0, self.err
        return self

    def refused(self, *words: str, status: int = 1) -> str:
        """Checks that it was refused with one line that has these words, and printed nothing else."""
        assert self.status == status, (self.status, self.out, self.err)
        lines = self.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in lines[0], lines[0]
        return lines[0]


@dataclass
class FakeWallet:
    """Destinations that answer, or not; nothing is ever paid."""

    names: dict[str, str] = field(default_factory=dict)
    checked: list[Destination] = field(default_factory=list)

    async def check_destination(self, destination: Destination) -> DestinationInfo:
        self.checked.append(destination)
        return DestinationInfo(name=self.names.get(destination.address or "", "Wallet"), max_sats=1000)

    async def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def quiet_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of this computer, no terminal."""
    for name in list(os.environ):
        if (name.upper().startswith("DCA_") and "TEST" not in name) or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def keys_text() -> str:
    return KeyRing.generate()


@pytest.fixture
def config(books_db: TestDb, tmp_path: Path, keys_text: str) -> Path:
    """A complete configuration. Lamassu and LNbits are where nobody answers."""
    return write_config(tmp_path / "dca.toml", books_db.dsn, keys_text)


def write_config(
    path: Path, books_dsn: str, keys_text: str, sections: Mapping[str, Mapping[str, object]] | None = None
) -> Path:
    values: dict[str, dict[str, object]] = {
        "database": {"url": books_dsn},
        "pool": {"currency": "GTQ"},
        "lamassu": {"dsn": "postgresql://reader:s3cret-pw@127.0.0.1:9/lamassu", "connect_timeout_seconds": 1},
        "lnbits": {"url": NOWHERE, "admin_key": ADMIN_KEY},
        "security": {"encryption_keys": keys_text},
    }
    for name, more in (sections or {}).items():
        values.setdefault(name, {}).update(more)
    path.write_text("".join(toml_section(name, table) for name, table in values.items()))
    return path


def toml_section(name: str, table: Mapping[str, object]) -> str:
    """`[name]` and its keys."""
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(config: Path, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Calls the program as the shell would, with the configuration."""

    def call(*arguments: str, config_path: Path | None = config) -> Outcome:
        before = [] if config_path is None else ["--config", str(config_path)]
        capfd.readouterr()
        status = execute([*before, *arguments])
        captured = capfd.readouterr()
        outcome = Outcome(status, captured.out, captured.err)
        if status == 0 and "--json" in arguments:
            _check_documented(arguments, outcome.json)
        return outcome

    return call


def _check_documented(arguments: tuple[str, ...], data: Any) -> None:
    """Every key that a script may see stands in docs/cli.md, at its command or at the one it refers to."""
    name = next(n for n in (" ".join(arguments[:2]), arguments[0]) if n in JSON_KEYS)
    text = JSON_KEYS[name]
    for _ in range(2):
        text += "".join(JSON_KEYS.get(word, "") for word in re.findall(r"`([a-z -]+)`", text))
    for word in (
        "client show",
        "deposit confirm",
        "payout show",
        "cash-out list",
        "cash-out show",
        "commission show",
    ):
        if word.split()[0] == name.split()[0]:
            text += JSON_KEYS[word]
    missing = {key for key in _keys(data) if f"`{key}`" not in text}
    assert not missing, f"{name} --json: {missing} are not in docs/cli.md"


def _keys(data: Any) -> Iterator[str]:
    for key, value in data.items() if isinstance(data, dict) else ():
        yield key
        if key not in ("detail", "source_row", "before", "after"):  # what the source and the steps name so
            yield from _keys(value)
    for value in data if isinstance(data, list) else ():
        yield from _keys(value)


@pytest.fixture
def wallet(monkeypatch: pytest.MonkeyPatch) -> FakeWallet:
    """In place of LNbits."""
    fake = FakeWallet()
    monkeypatch.setattr("dca_daemon.runtime.wiring.wallet", lambda settings: fake)
    return fake


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "invoice.key"
    path.write_text(f"{INVOICE_KEY}\n")
    return path


OnBooks = Callable[[Callable[[Database], Awaitable[Any]]], Any]


@pytest.fixture
def on_books(books_db: TestDb) -> OnBooks:
    """Runs something on the same books, beside the program."""

    def run(work: Callable[[Database], Awaitable[Any]]) -> Any:
        async def session() -> Any:
            db = Database(books_db.sqlalchemy_url)
            try:
                return await work(db)
            finally:
                await db.close()

        return asyncio.run(session())

    return run
