"""An error is raised at every fault point: the daemon goes on by itself, or is started anew, and all is paid once.

The daemon runs within the test's process; where it ends with a fault it is started again, as systemd would. At
each point first something comes that nobody expects, then that the database is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator

import pytest
import structlog

from dca_daemon import fault_points
from dca_daemon.domain.errors import DatabaseError
from dca_daemon.payouts import payer, payout_steps
from dca_daemon.runtime import booker, daemon, fixed_runner
from dca_daemon.runtime.settings import load_settings
from tests.e2e.conftest import eventually
from tests.faults.backends import SOAK
from tests.faults.lnbits_proxy import LnbitsProxy
from tests.faults.points import points_of
from tests.faults.scenarios import SCENARIOS
from tests.faults.site import Site
from tests.faults.test_crash_matrix import CHAINS
from tests.services.builders import value

pytestmark = pytest.mark.timeout(600)


class Raising:
    """The handler that raises both errors at the point it was given, once each."""

    def __init__(self) -> None:
        self._point = ""
        self._errors: list[Exception] = []

    def at(self, point: str) -> None:
        self._point = point
        self._errors = [RuntimeError("nobody expected this"), DatabaseError("our database is away")]

    @property
    def left(self) -> int:
        """How many are still to be raised."""
        return len(self._errors)

    async def __call__(self, point: str) -> None:
        if point == self._point and self._errors:
            raise self._errors.pop(0)


class Restarted:
    """A daemon in this process, that is started again whenever it ends with a fault."""

    def __init__(self, site: Site) -> None:
        self._settings = load_settings(site.config_path)
        self._stop = asyncio.Event()  # set by a fault, too
        self._wanted = True
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._wanted:
            self._stop.clear()
            with contextlib.suppress(DatabaseError, RuntimeError):
                await daemon.Daemon(self._settings).run(self._stop)

    async def stop(self) -> None:
        self._wanted = False
        self._stop.set()
        await self._task


@pytest.fixture
async def raising(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Raising]:
    """Waits that are a minute in the program are shorter here, and tracebacks plain: fine ones take seconds."""
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    for module, name in (
        (payer, "_ASIDE_SECONDS"),
        (payer, "OUTAGE_INTERVAL_MAX_SECONDS"),
        (payout_steps, "OUTAGE_INTERVAL_MAX_SECONDS"),
        (booker, "_RETRY_SECONDS"),
        (fixed_runner, "LOOK_SECONDS"),
        (daemon, "_STANDBY_FIRST_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 0.1)
    monkeypatch.setenv("DCA_HTTP__PORT", "0")
    monkeypatch.setenv("DCA_PAYOUTS__CONCURRENCY", "1")
    handler = Raising()
    fault_points.install(handler)
    yield handler
    fault_points.install(None)


# Two chains here, all of them in `make soak`; the crash matrix kills the daemon at every point anyway.
_CHAINS = [name for name in CHAINS if name != "baseline" and (SOAK or name in ("intake", "paid"))]


@pytest.mark.parametrize("chain", _CHAINS)
async def test_errors_at_each_point_and_everything_is_paid_once(
    site: Site, proxy: LnbitsProxy, raising: Raising, chain: str
) -> None:
    running = Restarted(site)
    await eventually(lambda: value(site.db, "SELECT count(*) FROM baseline"))
    for step in CHAINS[chain]:
        for point in points_of(step):
            if SCENARIOS[step].at_start:
                await running.stop()
            await SCENARIOS[step].provoke(site, proxy)
            raising.at(point)
            if SCENARIOS[step].at_start:
                running = Restarted(site)
            await _raised(site, raising)
            await SCENARIOS[step].relieve(site, proxy)
            if step == "intake.keep-refused":  # what the books refused is read again at the next start
                await running.stop()
                running = Restarted(site)
            await site.settled()
            await site.assert_agrees()
    await running.stop()


async def _raised(site: Site, raising: Raising) -> None:
    """Cash-outs come until both errors have."""
    while raising.left:
        left = raising.left
        site.cash_out()
        await eventually(functools.partial(_fewer_left, raising, left))


def _fewer_left(raising: Raising, than: int) -> bool:
    return raising.left < than
