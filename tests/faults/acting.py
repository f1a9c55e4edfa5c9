"""What these tests do to an installation, and ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import psycopg
import pytest

from dca_daemon.demo import atm_scenarios
from tests.e2e.conftest import Installation, eventually, get
from tests.services.builders import value

RETURN_SECONDS = 10.0


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """The partner is back: what follows has to come about within ten seconds."""
    try:
        async with asyncio.timeout(RETURN_SECONDS):
            yield
    except TimeoutError:
        pytest.fail(f"not at work again within {RETURN_SECONDS:g} s")


def cash_out(installation: Installation, count: int = 1) -> None:
    """So many laypeople sell bitcoin for 20 GTQ each: the clients' deposits are enough for 1,500."""
    for _ in range(count):
        atm_scenarios.run(installation.atm, "lightning", Decimal(20))


async def started(installation: Installation, **environment: str) -> None:
    """A daemon in listen mode that scans rarely, as in production, and has paid one cash-out."""
    await installation.install_trigger()
    usual = {"DCA_LAMASSU__SCAN_INTERVAL_SECONDS": "60", "DCA_LAMASSU__POLL_INTERVAL_SECONDS": "5"}
    installation.start(**usual, **environment)
    await installation.has_logged("listener.connected")
    await installation.has_logged("baseline.set")
    cash_out(installation)
    await installation.distributed(1)
    await installation.all_settled()
    await eventually(lambda: ready(installation))


async def ready(installation: Installation) -> bool:
    """Whether the newest daemon says that the job gets done."""
    answer = await asyncio.to_thread(get, f"{installation.url()}/readyz")
    return answer.status_code == 200


async def not_ready(installation: Installation) -> bool:
    """The opposite."""
    return not await ready(installation)


async def blames_its_database(installation: Installation, text: str) -> None:
    """Returns when the newest daemon says in /readyz that this is why it can't work."""

    async def blames() -> bool:
        answer = await asyncio.to_thread(get, f"{installation.url()}/readyz")
        return answer.status_code == 503 and text in str(answer.json()["components"]["database"]["reason"])

    await eventually(blames)


@asynccontextmanager
async def something_happens(installation: Installation) -> AsyncIterator[None]:
    """Goes on when any daemon has logged another line since the beginning of the block."""
    size = installation.log_path.stat().st_size
    yield
    await eventually(lambda: installation.log_path.stat().st_size > size)


async def assert_all_is_well(installation: Installation, distributions: int) -> None:
    """So many cash-outs are booked and paid once, to the sat, and nothing waits for a person."""
    await installation.distributed(distributions)
    await installation.all_settled()
    await installation.assert_agrees()
    assert await value(installation.db, "SELECT count(*) FROM cash_out WHERE state = 'review'") == 0
    assert await value(installation.db, "SELECT count(*) FROM payout WHERE state = 'held'") == 0


def superuser(dsn: str, *statements: str) -> None:
    """What an administrator does, each statement by itself."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())
