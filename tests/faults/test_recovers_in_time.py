"""After any single outage the daemon is processing again within ten seconds of the partner's return."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy.exc import DBAPIError

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.lnbits_server import LnbitsServer
from dca_daemon.demo.postgres import EmbeddedPostgres
from dca_daemon.domain.errors import DatabaseError
from dca_daemon.lamassu.outage import Outage
from dca_daemon.payouts.payer import PayerConfig
from dca_daemon.payouts.payout_steps import OUTAGE_INTERVAL_MAX_SECONDS
from dca_daemon.runtime import booker, leader
from tests.e2e.conftest import Installation, eventually, set_up
from tests.faults.acting import RETURN_SECONDS, assert_all_is_well, cash_out, in_time, not_ready, ready, started
from tests.faults.backends import backends, frozen, rounds
from tests.faults.vanishing import VanishingHost, needs_namespaces
from tests.fixtures.postgres import LamassuDb, TestDb

CAP_SECONDS = RETURN_SECONDS / 2


def test_no_wait_between_two_tries_is_longer_than_half_of_that() -> None:
    outage = Outage()
    for _ in range(100):
        outage.failed()
        assert outage.delay_seconds <= CAP_SECONDS
    assert leader._BACKOFF_LAST_SECONDS <= CAP_SECONDS
    assert booker._RETRY_SECONDS <= CAP_SECONDS
    assert OUTAGE_INTERVAL_MAX_SECONDS <= CAP_SECONDS
    assert PayerConfig().idle_poll_seconds <= CAP_SECONDS


async def test_databases_that_were_stopped_or_crashed(
    breakable: Installation, own_postgres: EmbeddedPostgres, lamassu_postgres: EmbeddedPostgres
) -> None:
    await started(breakable)
    done = 1
    for end in (lamassu_postgres.stop, lamassu_postgres.kill):
        breakable.atm.close()
        await asyncio.to_thread(end)
        await eventually(lambda: not_ready(breakable))
        await asyncio.to_thread(lamassu_postgres.start)
        async with in_time():
            breakable.atm = SimulatedAtm(breakable.lamassu_db.admin_dsn)
            cash_out(breakable)
            done += 1
            await breakable.distributed(done)
            await eventually(lambda: ready(breakable))
    for outages, end in enumerate((own_postgres.stop, own_postgres.kill), start=1):
        await breakable.db.close()
        await asyncio.to_thread(end)
        await breakable.has_logged("leader.database-unreachable", outages)
        cash_out(breakable)
        done += 1
        await asyncio.to_thread(own_postgres.start)
        async with in_time():
            await breakable.distributed(done)
            await breakable.all_settled()
            await eventually(lambda: ready(breakable))
    done = await _processes_killed(breakable, done)
    await assert_all_is_well(breakable, done)


async def _processes_killed(installation: Installation, done: int) -> int:
    """PostgreSQL answers a killed process by ending all its connections, and starts anew from its log."""
    chance = random.Random(7)
    for _ in range(rounds(2, 40)):
        reserved = len(installation.logged("payout.reserved"))
        cash_out(installation, 5)
        done += 5
        await installation.has_logged("payout.reserved", reserved + 1)
        os.kill(chance.choice(backends(installation.books_db.dsn)).pid, signal.SIGKILL)
        async with in_time():
            await _through_a_restart(installation, done)
    return done


async def _through_a_restart(installation: Installation, distributions: int) -> None:
    """The test's own connections are cut as well."""
    while True:
        try:
            await installation.db.close()
            await installation.distributed(distributions)
            await installation.all_settled()
            return
        except (DatabaseError, DBAPIError):  # it is still starting
            await asyncio.sleep(0.1)


async def test_an_lnbits_that_was_stopped_crashed_or_frozen(
    tmp_path: Path, books_db: TestDb, lamassu_db: LamassuDb, lnbits_server: LnbitsServer
) -> None:
    async with set_up(tmp_path, books_db, lamassu_db, lnbits_server) as installation:
        await started(installation)
        ends = (
            (lnbits_server.stop, lnbits_server.start),
            (lnbits_server.kill, lnbits_server.start),
            (lnbits_server.pause, lnbits_server.resume),
        )
        for done, (end, start) in enumerate(ends, start=2):
            await asyncio.to_thread(end)
            cash_out(installation)
            await installation.distributed(done)
            if start == lnbits_server.start:
                await installation.has_logged("lnbits.lost", done - 1)
                await eventually(lambda: not_ready(installation))
            await asyncio.to_thread(start)
            async with in_time():
                await installation.all_settled()
                await eventually(lambda: ready(installation))
        await assert_all_is_well(installation, 4)


async def test_a_listener_that_is_frozen(installation: Installation) -> None:
    """SIGSTOP: as a link that is half open, no error ever comes. The ping finds out, and a scan catches up."""
    await started(installation)
    (listening,) = backends(installation.lamassu_db.admin_dsn, "dca-daemon listener")
    with frozen(listening.pid):
        cash_out(installation)
        async with in_time():
            await installation.distributed(2)
    await assert_all_is_well(installation, 2)


def seen_at(dsn: str, host: VanishingHost) -> str:
    """The same URL, by the address of the host in front of it."""
    parts = urlsplit(dsn)
    login, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}{at}{host.address}:{host.port}"))


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


async def test_partners_that_vanish_without_a_word(installation: Installation) -> None:
    """Each host is gone with a request of ours in its hands, and comes back knowing nothing of it."""
    needs_namespaces()
    books, lamassu, wallet = installation.books_db.dsn, installation.lamassu_db.reader_dsn, installation.lnbits.url
    async with (
        VanishingHost(port_of(books)) as books_host,
        VanishingHost(port_of(lamassu)) as lamassu_host,
        VanishingHost(port_of(wallet)) as wallet_host,
    ):
        await started(
            installation,
            DCA_DATABASE__URL=seen_at(books, books_host),
            DCA_LAMASSU__DSN=seen_at(lamassu, lamassu_host),
            DCA_LNBITS__URL=seen_at(wallet, wallet_host),
        )
        for done, host in enumerate((lamassu_host, books_host, wallet_host), start=1):
            host.swallow()
            cash_out(installation)
            await asyncio.wait_for(host.swallowed.wait(), RETURN_SECONDS)
            await host.vanish()
            await host.come_back()
            async with in_time():
                await installation.distributed(1 + done)
                await installation.all_settled()
                await eventually(lambda: ready(installation))
        await assert_all_is_well(installation, 4)
