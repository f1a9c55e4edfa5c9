"""A whole installation on real parts: Lamassu's database, the books, LNbits, and daemons as real processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.lnbits_admin import LnbitsAdmin, WalletKeys
from dca_daemon.lamassu import trigger
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.wallet import Destination, DestinationKind
from dca_daemon.services import clients, deposits
from tests.fixtures.postgres import LamassuDb, TestDb
from tests.services.builders import value

SOURCE_SATS = 9_000_000
PATIENCE_SECONDS = 40.0


async def eventually(check: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Asks until the answer is true; fails when it has not become so in time."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                answer = check()
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if answer:
                    return answer
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail("it did not come about in time")


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Installation:
    """What the tests look at from outside."""

    db: Database
    books_db: TestDb
    lamassu_db: LamassuDb
    lnbits: LnbitsAdmin
    source: WalletKeys
    receivers: list[WalletKeys]
    config_path: Path
    atm: SimulatedAtm
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    log_path: Path = Path()

    async def install_trigger(self) -> None:
        await trigger.install(self.lamassu_db.admin_dsn, "dca_cash_out")

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """Starts a daemon; its log is appended to `log_path`."""
        with self.log_path.open("ab") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "dca_daemon", "--config", str(self.config_path), "run"],
                stderr=log,
                stdout=log,
                env={**os.environ, "DCA_HTTP__PORT": str(free_port()), **environment},
            )
        self.daemons.append(daemon)
        return daemon

    def log(self) -> list[dict[str, Any]]:
        """The log lines of all daemons so far."""
        lines = self.log_path.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"] == event]

    async def has_logged(self, event: str, count: int = 1) -> None:
        await eventually(lambda: len(self.logged(event)) >= count)

    def url(self) -> str:
        """Where the newest daemon's health server is."""
        line = self.logged("http.listening")[-1]
        return f"http://127.0.0.1:{line['port']}"

    async def distributed(self, count: int) -> None:
        await eventually(lambda: self._is(count, "SELECT count(*) FROM distribution"))

    async def all_settled(self) -> None:
        await eventually(
            lambda: self._is(0, "SELECT count(*) FROM distribution_record WHERE state IN ('owed', 'in-payout')")
        )

    async def _is(self, wanted: int, query: str) -> bool:
        return bool(await value(self.db, query) == wanted)

    async def assert_agrees(self) -> None:
        """LNbits' balances, the records and the books tell the same, to the sat."""
        for client_id, receiver in enumerate(self.receivers, start=1):
            settled = await value(
                self.db,
                """SELECT coalesce(sum(sats), 0) FROM distribution_record
                    WHERE client_id = :id AND state = 'settled'""",
                id=client_id,
            )
            assert self.lnbits.balance_msat(receiver.inkey) == settled * 1000
        paid = await value(self.db, "SELECT coalesce(-sum(balance), 0) FROM account WHERE name = 'coins:source'")
        assert self.lnbits.balance_msat(self.source.inkey) == SOURCE_SATS * 1000 - paid
        assert [check for check in await verify(self.db) if not check.holds] == []


def config_text(books_db: TestDb, lamassu_db: LamassuDb, lnbits: LnbitsAdmin, source: WalletKeys, key: str) -> str:
    return f"""
[database]
url = "{books_db.dsn}"
[pool]
currency = "GTQ"
[lamassu]
dsn = "{lamassu_db.reader_dsn}"
poll_interval_seconds = 0.3
scan_interval_seconds = 2
[lnbits]
url = "{lnbits.url}"
admin_key = "{source.adminkey}"
requests_per_minute = 100000
[security]
encryption_keys = "{key}"
[fixed]
retry_seconds = 1
[http]
port = 8017
[log]
format = "json"
"""


@contextlib.asynccontextmanager
async def set_up(
    folder: Path, books_db: TestDb, lamassu_db: LamassuDb, lnbits: LnbitsAdmin
) -> AsyncIterator[Installation]:
    """Two clients with 20,000 and 10,000 GTQ; no daemon yet, no trigger yet."""
    books = Database(books_db.sqlalchemy_url, application_name="test")
    key = KeyRing.generate()
    source = lnbits.create_wallet("source")
    lnbits.top_up(source.id, SOURCE_SATS)
    receivers = [lnbits.create_wallet(name) for name in ("Ana", "Beto")]
    wallet = LnbitsWallet(LnbitsConfig(url=lnbits.url, admin_key=source.adminkey, requests_per_minute=0))
    for receiver, name, amount in zip(receivers, ("Ana", "Beto"), ("20000", "10000"), strict=True):
        destination = Destination(DestinationKind.LNBITS, invoice_key=receiver.inkey)
        await clients.add(
            books, wallet, KeyRing(key), name=name, mode=clients.Mode.FLOW, destination=destination, actor="test"
        )
        deposit = await deposits.record(books, client=name, amount=amount, currency=None, note=None, actor="test")
        await deposits.confirm(books, deposit.deposit_id, actor="test")
    await wallet.close()
    config_path = folder / "config.toml"
    config_path.touch(mode=0o600)
    config_path.write_text(config_text(books_db, lamassu_db, lnbits, source, key))
    atm = SimulatedAtm(lamassu_db.admin_dsn)
    made = Installation(books, books_db, lamassu_db, lnbits, source, receivers, config_path, atm)
    made.log_path = folder / "daemon.log"
    made.log_path.touch()
    try:
        yield made
    finally:
        for daemon in made.daemons:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGCONT)
                daemon.kill()
            daemon.wait()
        made.atm.close()
        await books.close()


@pytest.fixture
async def installation(
    tmp_path: Path, books_db: TestDb, lamassu_db: LamassuDb, lnbits: LnbitsAdmin
) -> AsyncIterator[Installation]:
    """An installation on the servers that all tests share."""
    async with set_up(tmp_path, books_db, lamassu_db, lnbits) as made:
        yield made


def get(url: str) -> httpx.Response:
    """One request to a daemon's health server."""
    return httpx.get(url, timeout=10)


def terminate_backends(admin_dsn: str, application: str) -> int:
    """Ends the connections of one application to one database; how many."""
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        ended = conn.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name LIKE %s AND pid <> pg_backend_pid()""",
            (application,),
        ).fetchall()
    return len(ended)
