"""Several daemons with one database: killed, frozen and cut off in turn, two of them active for a moment."""

from __future__ import annotations

import random
import signal
import subprocess

import psycopg

from dca_daemon.ledger import lock_keys
from tests.e2e.conftest import Installation, eventually
from tests.faults.acting import assert_all_is_well, cash_out, something_happens
from tests.faults.backends import of_daemon, rounds, terminate

MOMENTS = ("cash-out.distributed", "payout.reserved", "payout.invoiced", "payout.submitted", "payout.settled")


def lock_holder(installation: Installation) -> int | None:
    """The connection that holds the lock, as its process of PostgreSQL."""
    with psycopg.connect(installation.books_db.dsn, autocommit=True) as conn:
        row = conn.execute(
            """SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted
                  AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = %s""",
            (lock_keys.LEADER,),
        ).fetchone()
    return None if row is None else int(row[0])


async def leader(installation: Installation) -> tuple[subprocess.Popen[bytes], int]:
    """The daemon that holds the lock, and its connection."""

    def look() -> tuple[subprocess.Popen[bytes], int] | None:
        pid = lock_holder(installation)
        for daemon in installation.daemons:
            if daemon.poll() is None and pid in {b.pid for b in of_daemon(installation.books_db.dsn, daemon)}:
                assert pid is not None
                return daemon, pid
        return None

    found = await eventually(look)
    assert isinstance(found, tuple)
    return found


async def several(installation: Installation, count: int) -> None:
    """So many daemons, started together; the first look at Lamassu's database is done."""
    await installation.install_trigger()
    for _ in range(count):
        installation.start()
    await installation.has_logged("baseline.set")
    await installation.has_logged("leader.standby", count - 1)
    assert len(installation.logged("baseline.set")) == len(installation.logged("daemon.active")) == 1


async def at_some_moment(installation: Installation, chance: random.Random) -> None:
    """In the middle of the work: just after a step chosen by chance."""
    event = chance.choice(MOMENTS)
    before = len(installation.logged(event))
    cash_out(installation, 3)
    await installation.has_logged(event, before + 1)


async def test_started_together_and_killed_in_turn(installation: Installation) -> None:
    await several(installation, 3)
    chance = random.Random(5)
    count = rounds(3, 100)
    for number in range(1, count + 1):
        await at_some_moment(installation, chance)
        daemon, _ = await leader(installation)
        daemon.kill()
        daemon.wait()
        installation.start()
        await installation.has_logged("daemon.active", 1 + number)
    await assert_all_is_well(installation, 3 * count)


async def test_frozen_past_the_loss_of_the_lock_and_woken_up(installation: Installation) -> None:
    """The old one wakes up in the middle of a step, and believes that it still leads."""
    await several(installation, 2)
    chance = random.Random(11)
    count = rounds(4, 100)
    for number in range(1, count + 1):
        await at_some_moment(installation, chance)
        old, its_lock = await leader(installation)
        old.send_signal(signal.SIGSTOP)
        terminate(installation.books_db.dsn, its_lock)
        await installation.has_logged("daemon.active", 1 + number)
        async with something_happens(installation):  # the new one is at work
            cash_out(installation)
        old.send_signal(signal.SIGCONT)
        await installation.has_logged("leader.lost", number)
    await assert_all_is_well(installation, 4 * count)


async def test_two_active_ones_for_a_moment(installation: Installation) -> None:
    """Only the lock's connection is cut: the old one is still at its steps when the new one begins."""
    await several(installation, 2)
    chance = random.Random(13)
    count = rounds(6, 200)
    for number in range(1, count + 1):
        await at_some_moment(installation, chance)
        _, its_lock = await leader(installation)
        terminate(installation.books_db.dsn, its_lock)
        cash_out(installation)
        await installation.has_logged("daemon.active", 1 + number)
    await assert_all_is_well(installation, 4 * count)
