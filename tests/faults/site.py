"""A whole installation for fault tests: databases, LNbits behind a proxy or not, an ATM, daemons as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.lnbits_admin import LnbitsAdmin, WalletKeys
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.wallet import Destination, DestinationKind
from dca_daemon.services import clients, deposits
from tests.e2e.conftest import config_text, eventually
from tests.faults.accounting import Accounts, Payment, account, payments_shown
from tests.faults.daemon_at_fault_point import FOLDER, GO_ON, PLAN
from tests.faults.processes import DaemonProcess
from tests.fixtures.postgres import LamassuDb, TestDb
from tests.services.builders import value

DEPOSIT = "1000000"


class Log:
    """The log of all daemons: each line is read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()
        self._offset = 0
        self._lines: list[dict[str, Any]] = []

    def lines(self) -> list[dict[str, Any]]:
        """All complete lines so far."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        complete = new[: new.rfind(b"\n") + 1]
        self._offset += len(complete)
        self._lines += [json.loads(line) for line in complete.splitlines() if line.startswith(b"{")]
        return self._lines

    def of(self, event: str, since: int = 0) -> list[dict[str, Any]]:
        """The lines of one event, without the first `since` lines."""
        return [line for line in self.lines()[since:] if line["event"] == event]


@dataclass
class Site:
    """What the tests look at from outside."""

    db: Database
    books_db: TestDb
    lamassu_db: LamassuDb
    lnbits: LnbitsAdmin
    source: WalletKeys
    receivers: list[WalletKeys]
    funded_sats: int
    folder: Path
    atm: SimulatedAtm
    log: Log
    payments: Callable[[], list[Payment]]
    environment: dict[str, str] = field(default_factory=dict)
    daemons: list[DaemonProcess] = field(default_factory=list)

    @property
    def config_path(self) -> Path:
        return self.folder / "config.toml"

    def start(self) -> DaemonProcess:
        """Starts a daemon under the plan."""
        environment = {"DCA_HTTP__PORT": "0", FOLDER: str(self.folder), **self.environment}
        self.daemons.append(DaemonProcess(self.config_path, self.log.path, environment))
        return self.daemons[-1]

    @property
    def daemon(self) -> DaemonProcess:
        """The newest one."""
        return self.daemons[-1]

    @property
    def running(self) -> bool:
        return bool(self.daemons) and self.daemon.exit_status is None

    def stop(self) -> None:
        """Kills all daemons."""
        for daemon in self.daemons:
            daemon.kill()

    def plan(self, action: str, points: Iterable[str], nth: int = 1) -> None:
        """From now on this happens at each of these points, once."""
        for point in points:
            (self.folder / point).unlink(missing_ok=True)
        (self.folder / GO_ON).unlink(missing_ok=True)
        new = self.folder / "plan.new"
        new.write_text(json.dumps({point: {"action": action, "nth": nth} for point in points}))
        new.rename(self.folder / PLAN)

    def plan_nothing(self) -> None:
        self.plan("kill", ())

    def go_on(self) -> None:
        """Those who are paused go on."""
        (self.folder / GO_ON).touch()

    def at(self, point: str) -> int | None:
        """The process that has come to a planned point."""
        path = self.folder / point
        return int(path.read_text() or "0") if path.exists() else None

    async def killed_at(self, point: str) -> None:
        """Waits until the newest daemon has killed itself at that point."""
        await eventually(lambda: not self.running)
        assert self.daemon.exit_status == -signal.SIGKILL, self.log.lines()[-3:]
        assert self.at(point) == self.daemon.pid

    def cash_out(self, count: int = 2, fiat: int = 500) -> None:
        """So many cash-outs at one moment."""
        self.atm.backlog(count, fiat=Decimal(fiat))

    async def settled(self) -> None:
        """Waits until all that Lamassu has dispensed is in the books, and none of it is owed or on its way."""
        cash_outs = self.dispensed()
        await eventually(lambda: self._all_settled(cash_outs))

    def dispensed(self) -> int:
        """How many cash-outs Lamassu has dispensed."""
        with psycopg.connect(self.lamassu_db.admin_dsn) as conn:
            row = conn.execute("SELECT count(*) FROM cash_out_txs WHERE dispense_confirmed").fetchone()
        assert row is not None
        return int(row[0])

    async def _all_settled(self, cash_outs: int) -> bool:
        query = "SELECT count(*) FROM cash_out WHERE state IN ('distributed', 'before-baseline')"
        unpaid = "SELECT count(*) FROM distribution_record WHERE state IN ('owed', 'in-payout')"
        return bool(await value(self.db, query) == cash_outs and await value(self.db, unpaid) == 0)

    async def has_logged(self, event: str, count: int = 1) -> None:
        await eventually(lambda: len(self.log.of(event)) >= count)

    async def distributed(self) -> int:
        """How many cash-outs are shared."""
        return int(await value(self.db, "SELECT count(*) FROM distribution"))

    async def accounts(self) -> Accounts:
        """Lamassu, the books and LNbits, compared."""
        return await account(
            self.db,
            self.lnbits,
            self.payments(),
            source=self.source,
            receivers=self.receivers,
            funded_sats=self.funded_sats,
            lamassu_dsn=self.lamassu_db.admin_dsn,
        )

    async def assert_agrees(self) -> None:
        found = await self.accounts()
        assert not found.differences and not found.torn, found

    def terminate(self, daemon: DaemonProcess, *, leader_only: bool = False) -> None:
        """Ends a daemon's connections to the books, or the one that holds the lock."""
        with psycopg.connect(self.books_db.dsn, autocommit=True) as conn:
            conn.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND client_port = ANY(%s)
                      AND (application_name LIKE '%%leader' OR NOT %s)""",
                (_local_ports(daemon.pid), leader_only),
            )


def _local_ports(pid: int) -> list[int]:
    """The ports from which a process is connected."""
    return [c.laddr.port for c in psutil.Process(pid).net_connections("tcp")]


@contextlib.asynccontextmanager
async def make_site(
    folder: Path,
    books_db: TestDb,
    lamassu_db: LamassuDb,
    lnbits: LnbitsAdmin,
    *,
    client_count: int = 2,
    funded_sats: int = 30_000_000,
    lnbits_url: str | None = None,
    payments: Callable[[], list[Payment]] | None = None,
) -> AsyncIterator[Site]:
    """Clients with a million each; no daemon yet. With `lnbits_url` the daemons go there, through a proxy."""
    db = Database(books_db.sqlalchemy_url, application_name="test")
    key = KeyRing.generate()
    source = lnbits.create_wallet("source")
    lnbits.top_up(source.id, funded_sats)
    receivers = [lnbits.create_wallet(f"Client {number}") for number in range(1, client_count + 1)]
    wallet = LnbitsWallet(LnbitsConfig(url=lnbits.url, admin_key=source.adminkey, requests_per_minute=0))
    for number, receiver in enumerate(receivers, start=1):
        name = f"Client {number}"
        destination = Destination(DestinationKind.LNBITS, invoice_key=receiver.inkey)
        await clients.add(
            db, wallet, KeyRing(key), name=name, mode=clients.Mode.FLOW, destination=destination, actor="test"
        )
        recorded = await deposits.record(db, client=name, amount=DEPOSIT, currency=None, note=None, actor="test")
        await deposits.confirm(db, recorded.deposit_id, actor="test")
    await wallet.close()
    config = folder / "config.toml"
    config.touch(mode=0o600)
    text = config_text(books_db, lamassu_db, lnbits, source, key)
    config.write_text(text.replace(lnbits.url, lnbits_url or lnbits.url))
    site = Site(
        db=db,
        books_db=books_db,
        lamassu_db=lamassu_db,
        lnbits=lnbits,
        source=source,
        receivers=receivers,
        funded_sats=funded_sats,
        folder=folder,
        atm=SimulatedAtm(lamassu_db.admin_dsn),
        log=Log(folder / "daemon.log"),
        payments=payments or (lambda: payments_shown(lnbits, [source, *receivers])),
    )
    site.plan_nothing()
    try:
        yield site
    finally:
        await asyncio.to_thread(site.stop)
        site.atm.close()
        await db.close()
