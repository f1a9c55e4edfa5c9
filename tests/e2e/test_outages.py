"""Each partner away, at the start and later, in any order: the daemon waits, and catches up by itself."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from pathlib import Path

from dca_daemon.demo import atm_scenarios
from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.lamassu_schema import create_schema
from dca_daemon.demo.lnbits_server import LnbitsServer
from dca_daemon.demo.postgres import EmbeddedPostgres
from tests.e2e.conftest import Installation, eventually, get, set_up
from tests.fixtures.books import prepare_books
from tests.fixtures.postgres import LamassuDb, TestDb
from tests.runtime.receiver import Receiver, receiver


async def test_everything_may_be_away_at_any_time(
    tmp_path: Path,
    own_postgres: EmbeddedPostgres,
    lamassu_postgres: EmbeddedPostgres,
    lnbits_server: LnbitsServer,
) -> None:
    own_postgres.create_database("books")
    lamassu_postgres.create_database("lamassu")
    books_db = TestDb("books", own_postgres.dsn("books"))
    lamassu_dsn = lamassu_postgres.dsn("lamassu")
    await asyncio.to_thread(prepare_books, books_db.dsn)
    create_schema(lamassu_dsn)
    lamassu_db = LamassuDb(database="lamassu", admin_dsn=lamassu_dsn, reader_dsn=lamassu_dsn)
    async with set_up(tmp_path, books_db, lamassu_db, lnbits_server) as installation:
        await installation.install_trigger()
        with receiver() as somebody:
            await _away_at_the_start(installation, own_postgres, lamassu_postgres, lnbits_server, somebody)
        await _away_one_after_the_other(installation, own_postgres, lamassu_postgres, lnbits_server)
        await installation.assert_agrees()


async def _away_at_the_start(
    installation: Installation,
    own_postgres: EmbeddedPostgres,
    lamassu_postgres: EmbeddedPostgres,
    lnbits_server: LnbitsServer,
    somebody: Receiver,
) -> None:
    await asyncio.to_thread(lnbits_server.stop)
    installation.atm.close()
    await asyncio.to_thread(lamassu_postgres.stop)
    await installation.db.close()
    await asyncio.to_thread(own_postgres.stop)
    installation.start(DCA_NOTIFY__URLS=somebody.url, DCA_NOTIFY__GROUP_SECONDS="1")
    await installation.has_logged("leader.database-unreachable")
    assert get(f"{installation.url()}/healthz").status_code == 200
    assert get(f"{installation.url()}/readyz").status_code == 503
    await eventually(partial(_was_told, somebody, "PAGE leader.database-unreachable"))
    await asyncio.to_thread(own_postgres.start)
    await installation.has_logged("daemon.active")
    await installation.has_logged("baseline.waits")
    await asyncio.to_thread(lamassu_postgres.start)
    installation.atm = SimulatedAtm(installation.lamassu_db.admin_dsn)
    await installation.has_logged("baseline.set")
    atm_scenarios.run(installation.atm, "lightning", Decimal(500))
    await installation.distributed(1)
    await installation.has_logged("lnbits.lost")
    await asyncio.to_thread(lnbits_server.start)
    await installation.all_settled()
    await eventually(lambda: get(f"{installation.url()}/readyz").status_code == 200)
    for event in ("leader.database-unreachable", "lnbits.lost"):  # somebody was told, and got the all-clear
        for said in (f"PAGE {event}", f"OVER {event}"):
            await eventually(partial(_was_told, somebody, said))


def _was_told(somebody: Receiver, words: str) -> bool:
    """A title names three of many; what is said of each stands below."""
    return any(words in told["message"] for told in somebody.messages)


async def _away_one_after_the_other(
    installation: Installation,
    own_postgres: EmbeddedPostgres,
    lamassu_postgres: EmbeddedPostgres,
    lnbits_server: LnbitsServer,
) -> None:
    await asyncio.to_thread(lnbits_server.kill)
    atm_scenarios.run(installation.atm, "lightning", Decimal(500))
    await installation.distributed(2)
    await installation.db.close()
    await asyncio.to_thread(own_postgres.stop)
    atm_scenarios.run(installation.atm, "on-chain", Decimal(500))
    await asyncio.to_thread(lnbits_server.start)
    await asyncio.to_thread(own_postgres.start)
    await installation.distributed(3)
    await installation.all_settled()
    installation.atm.close()
    await asyncio.to_thread(lamassu_postgres.stop)
    await eventually(lambda: get(f"{installation.url()}/readyz").status_code == 503)
    await asyncio.to_thread(lamassu_postgres.start)
    installation.atm = SimulatedAtm(installation.lamassu_db.admin_dsn)
    atm_scenarios.run(installation.atm, "lightning", Decimal(500))
    await installation.distributed(4)
    await installation.all_settled()
    await eventually(lambda: get(f"{installation.url()}/readyz").status_code == 200)
