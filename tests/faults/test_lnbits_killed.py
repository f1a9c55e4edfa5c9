"""LNbits is killed in bursts of payouts: every sat is accounted for, and what is torn is held loudly."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dca_daemon.cli.main import DONE, execute
from dca_daemon.demo.lnbits_server import LnbitsServer
from tests.e2e.conftest import eventually
from tests.faults.accounting import payments_stored
from tests.faults.daemon_at_fault_point import PATIENCE
from tests.faults.site import Site, make_site
from tests.fixtures.postgres import LamassuDb, TestDb
from tests.services.builders import value
from tests.soak.rounds import alert_tells_all, soaking

ROUNDS = 10
SEED = 7


@pytest.mark.timeout(900)
async def test_killed_in_bursts_nothing_is_unexplained(
    tmp_path: Path, books_db: TestDb, lamassu_db: LamassuDb, lnbits_server: LnbitsServer
) -> None:
    async with soaking(tmp_path, books_db, lamassu_db, lnbits_server, SEED) as soak:
        for _ in range(ROUNDS):
            done = await soak.round()
            print(done.line())
            assert not done.unexplained
        assert await soak.finish() == []


@contextlib.asynccontextmanager
async def _one_client(
    folder: Path, books_db: TestDb, lamassu_db: LamassuDb, server: LnbitsServer
) -> AsyncIterator[Site]:
    database = server.data_dir / "data" / "database.sqlite3"
    async with make_site(
        folder,
        books_db,
        lamassu_db,
        server,
        client_count=1,
        payments=lambda: payments_stored(database),
    ) as site:
        site.environment[PATIENCE] = "0.5"
        site.start()
        await site.has_logged("baseline.set")
        yield site


async def _tear(site: Site, server: LnbitsServer) -> None:
    """One payment leaves the source and never arrives: what a kill between LNbits' two commits leaves behind."""
    site.plan("pause", ["wallet.pay.after-call"])
    site.cash_out(1)
    await eventually(lambda: site.at("wallet.pay.after-call"))
    await asyncio.to_thread(server.kill)
    with contextlib.closing(sqlite3.connect(server.data_dir / "data" / "database.sqlite3")) as conn, conn:
        changed = conn.execute(
            "UPDATE apipayments SET status = 'pending' WHERE wallet_id = ? AND amount > 0", (site.receivers[0].id,)
        )
        assert changed.rowcount == 1
    await asyncio.to_thread(server.start)
    site.go_on()


async def test_a_torn_payment_is_held_loudly_and_written_off_it_is_paid_anew(
    tmp_path: Path,
    books_db: TestDb,
    lamassu_db: LamassuDb,
    lnbits_server: LnbitsServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with _one_client(tmp_path, books_db, lamassu_db, lnbits_server) as site:
        await _tear(site, lnbits_server)
        await site.has_logged("payout.held")
        (alert,) = site.log.of("payout.held")
        assert alert_tells_all(alert, site)
        accounts = await site.accounts()
        assert accounts.torn == [alert["payout_id"]] and not accounts.differences
        shown = await _command(site, capsys, "payout", "show", alert["payout_id"])
        assert alert["payment_hash"] in shown and site.source.id in shown and site.receivers[0].id in shown
        reason = "LNbits was killed: its records show the debit and no credit"
        await _command(
            site,
            capsys,
            "payout",
            "resolve",
            alert["payout_id"],
            "--as",
            "written-off",
            "--yes",
            "--reason",
            reason,
            "--yes",
        )
        await site.settled()
        await site.assert_agrees()
        assert site.lnbits.balance_msat(site.receivers[0].inkey) == alert["amount_sats"] * 1000
        lost = await value(site.db, "SELECT sum(balance) FROM account WHERE name = 'expense:losses'")
        assert lost == alert["amount_sats"] * 1000


async def test_a_torn_payment_that_is_repaired_at_lnbits_settles_when_it_is_released(
    tmp_path: Path,
    books_db: TestDb,
    lamassu_db: LamassuDb,
    lnbits_server: LnbitsServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with _one_client(tmp_path, books_db, lamassu_db, lnbits_server) as site:
        await _tear(site, lnbits_server)
        await site.has_logged("payout.held")
        (alert,) = site.log.of("payout.held")
        await asyncio.to_thread(lnbits_server.stop)
        with (
            contextlib.closing(sqlite3.connect(lnbits_server.data_dir / "data" / "database.sqlite3")) as conn,
            conn,
        ):
            conn.execute(
                "UPDATE apipayments SET status = 'success' WHERE payment_hash = ?", (alert["payment_hash"],)
            )
        await asyncio.to_thread(lnbits_server.start)
        await _command(
            site, capsys, "payout", "release", alert["payout_id"], "--reason", "the credit is there now"
        )
        await site.settled()
        await site.assert_agrees()


async def _command(site: Site, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a person does by hand; what it printed."""
    capsys.readouterr()
    status = await asyncio.to_thread(execute, ["--config", str(site.config_path), *arguments])
    assert status == DONE
    return capsys.readouterr().out
