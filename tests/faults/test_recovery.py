"""An old backup is restored, and a real daemon started on it: nothing is paid twice."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dca_daemon.demo import atm_scenarios
from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.demo.lnbits_server import LnbitsServer
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import clients, payouts
from dca_daemon.services.backups import keys
from dca_daemon.services.backups.make import BackupConfig, make
from dca_daemon.services.backups.restore import Target, restore
from dca_daemon.services.payout_resolution import Resolution, resolve
from tests.e2e.conftest import Installation, eventually, free_port, set_up
from tests.faults.backends import SOAK
from tests.fixtures.postgres import LamassuDb, PostgresServer, TestDb, pg_bin
from tests.payouts.test_payer import make_world
from tests.services.builders import value
from tests.services.test_recovery import SHARES, History

ROOT = Path(__file__).resolve().parents[2]


class Restored:
    """Starts impatient daemons, backs the books up, and moves an installation over to restored ones."""

    def __init__(self, server: PostgresServer, folder: Path, stack: ExitStack) -> None:
        self._server = server
        self._folder = folder
        self._stack = stack
        self._key = keys.generate(datetime.now(UTC))

    def start(self, made: Installation, *, pause_at: str = "") -> subprocess.Popen[bytes]:
        with made.log_path.open("ab") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.impatient_daemon", "--config", str(made.config_path), "run"],
                stderr=log,
                stdout=log,
                cwd=ROOT,
                env={
                    **os.environ,
                    "DCA_HTTP__PORT": str(free_port()),
                    "DCA_TEST_FOLDER": str(self._folder),
                    "DCA_TEST_PAUSE_AT": pause_at,
                },
            )
        made.daemons.append(daemon)
        return daemon

    async def paused(self) -> None:
        await eventually((self._folder / "paused").exists)

    def go_on(self) -> None:
        (self._folder / "go").touch()

    async def back_up(self, made: Installation) -> Path:
        config = BackupConfig(
            dsn=made.books_db.dsn, folder=self._folder, recipients=(self._key.public,), pg_bin=pg_bin()
        )
        return (await make(made.db, config, actor="test")).path

    async def restore(self, made: Installation, backup: Path) -> Installation:
        database = self._stack.enter_context(self._server.clone("template0"))
        books_db = TestDb(database, self._server.dsn(database))
        target = Target(dsn=books_db.dsn, pg_bin=pg_bin())
        await restore(backup, keys.read_identities(self._key.text), target, actor="test")
        text = made.config_path.read_text().replace(made.books_db.dsn, books_db.dsn)
        made.config_path.write_text(text)
        return replace(made, db=Database(books_db.sqlalchemy_url, application_name="test"), books_db=books_db)


@pytest.fixture
async def installation(
    tmp_path: Path, books_db: TestDb, lamassu_db: LamassuDb, lnbits: LnbitsAdmin
) -> AsyncIterator[Installation]:
    async with set_up(tmp_path, books_db, lamassu_db, lnbits) as made:
        yield made


@pytest.fixture
def tools(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Restored]:
    with ExitStack() as stack:
        yield Restored(postgres_server, tmp_path, stack)


MOMENTS = {
    "before any cash-out": "",
    "booked": "payout.reserve.before-commit",
    "reserved": "payout.reserve.after-commit",
    "invoiced": "payout.invoiced.after-commit",
    "submitted": "payout.submitting.after-commit",
    "some settled": "payout.settle.after-commit",
}


# What the others leave out is tried in tests/services/test_recovery.py too, without processes.
OFTEN = [moment for moment in MOMENTS if SOAK or moment not in ("booked", "submitted")]


@pytest.mark.parametrize("moment", OFTEN)
async def test_a_daemon_on_an_old_backup_pays_only_what_was_not_paid(
    installation: Installation, tools: Restored, moment: str
) -> None:
    daemon = tools.start(installation, pause_at=MOMENTS[moment])
    await installation.has_logged("baseline.set")
    if MOMENTS[moment]:
        atm_scenarios.run(installation.atm, "on-chain")
        await tools.paused()
    backup = await tools.back_up(installation)
    tools.go_on()
    for count in (2, 3) if MOMENTS[moment] else (1, 2, 3):
        atm_scenarios.run(installation.atm, "on-chain")
        await installation.distributed(count)
        await installation.all_settled()
    daemon.kill()
    daemon.wait()
    before = [installation.lnbits.balance_msat(receiver.inkey) for receiver in installation.receivers]
    atm_scenarios.run(installation.atm, "on-chain")  # nobody saw this one
    restored = await tools.restore(installation, backup)
    try:
        tools.start(restored)
        await restored.distributed(4)
        await restored.all_settled()
        await restored.assert_agrees()
        after = [restored.lnbits.balance_msat(receiver.inkey) for receiver in restored.receivers]
        # Four cash-outs alike: a quarter came last.
        assert [3 * (a - b) for a, b in zip(after, before, strict=True)] == before
        assert len(restored.logged("recovery.done")) == 1
        assert not [view for view in await clients.list_all(restored.db) if view.credit_sats]
    finally:
        await restored.db.close()


async def test_the_usual_start_neither_waits_nor_says_anything(
    installation: Installation, tools: Restored
) -> None:
    for _ in range(2):
        daemon = tools.start(installation)
        await installation.has_logged("daemon.active", len(installation.daemons))
        await installation.has_logged("baseline.set")
        atm_scenarios.run(installation.atm, "on-chain")
        await installation.distributed(len(installation.daemons))
        await installation.all_settled()
        daemon.kill()
        daemon.wait()
    assert not [line for line in installation.log() if line["event"].startswith("recovery.")]
    await installation.assert_agrees()


async def test_a_torn_payment_that_was_forgotten_is_held_and_stops_its_client(
    books_db: TestDb, keys: KeyRing, lnbits_server: LnbitsServer, postgres_server: PostgresServer
) -> None:
    """It left the source and never arrived, as a killed LNbits leaves it, and only LNbits still knows of it."""
    with ExitStack() as stack:
        world = await make_world(Database(books_db.sqlalchemy_url), keys, lnbits_server)
        history = History(world, postgres_server, stack, books_db.database)
        dump = await history.dump()
        await history.cash_out()
        await history.pay()
        lnbits_server.stop()
        with sqlite3.connect(lnbits_server.data_dir / "data" / "database.sqlite3") as lnbits_data:
            torn = lnbits_data.execute(
                "UPDATE apipayments SET status = 'failed' WHERE wallet_id = ? AND amount > 0",
                (world.receivers[0].id,),
            )
            assert torn.rowcount == 1
        lnbits_data.close()
        lnbits_server.start()
        await history.restore(dump)
        await history.recover()
        await history.book()
        await history.cash_out()
        await history.pay()
        await history.pay()
        assert world.received_sats() == [0, 2 * SHARES[1]]  # the other client is paid all the same
        (held,) = await payouts.list_all(history.db, states=("held",))
        assert held.client_id == 1 and "never arrived" in (held.reason or "")
        await resolve(history.db, held.payout_id, Resolution.WRITTEN_OFF, reason="LNbits lost it", actor="op")
        await history.pay()
        assert world.received_sats() == [2 * SHARES[0], 2 * SHARES[1]]
        assert (await payouts.show(history.db, held.payout_id))[0].state is PayoutState.VOID
        lost = await value(history.db, "SELECT balance FROM account WHERE name = 'expense:losses'")
        assert lost == SHARES[0] * 1000
        assert world.spent_sats() == sum(world.received_sats()) + SHARES[0]
        await history.assert_holds()
        await world.wallet.close()
        await history.db.close()
