"""One simulated `dca-daemon run`: the real intake and payer, on connections that the world may cut.

It may be killed: then nothing that it still does has an effect. It may be frozen: then nothing happens until it
is thawed, and it goes on as if no time had passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

import httpx

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import DatabaseError
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.pacing import Pacer
from dca_daemon.payouts.payer import Payer, PayerConfig
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.simulation.session import Session
from tests.simulation.tables import moment, now_seconds

if TYPE_CHECKING:
    from tests.simulation.world import World

current: ContextVar[Process] = ContextVar("current")

_SCAN_SECONDS = 30.0
_CONFIG = PayerConfig(concurrency=3, invoice_expiry_seconds=86_400, max_payout_sats=150_000, idle_poll_seconds=20)


class KilledError(BaseException):
    """The process is no more: whatever still runs of it must not go on."""


class InjectedError(RuntimeError):
    """A fault that nobody foresaw."""


class _Keys(KeyRing):
    """Seals nothing: encryption is not what is simulated."""

    def __init__(self) -> None:
        super().__init__(KeyRing.generate())

    def decrypt(self, token: bytes) -> str:
        return token.decode()


_KEYS = _Keys()


class Process:
    """See above."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._alive = True
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._notified = asyncio.Event()
        self._weather = _ProcessWeather(world, self)
        self._task: asyncio.Task[None] | None = None

    async def gate(self) -> None:
        """Every way to the outside leads through here."""
        while self._alive and not self._thawed.is_set():
            await self._thawed.wait()
        if not self._alive:
            raise KilledError

    def notify(self) -> None:
        """A notification from Lamassu's database."""
        self._notified.set()

    async def run(self) -> None:
        """Until it is killed, or crashes."""
        current.set(self)
        self._task = asyncio.current_task()
        try:
            await self._serve()
        except BaseExceptionGroup as errors:
            _only_injected(errors)
        except (KilledError, asyncio.CancelledError):
            pass
        self._alive = False

    async def kill(self) -> None:
        """SIGKILL: at once, in the middle of whatever it does."""
        self._alive = False
        self._thawed.set()
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1)

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        self._thawed.clear()
        await asyncio.sleep(seconds)
        self._thawed.set()

    async def _serve(self) -> None:
        world = self._world
        session = Session(world.tables, self._weather)
        wallet = LnbitsWallet(
            LnbitsConfig(url="http://lnbits.test", admin_key=world.source_wallet.adminkey, requests_per_minute=0),
            pacer=Pacer(0, clock=now_seconds),
            transport=_GatedTransport(self, world.lnbits.transport()),
            now=lambda: moment(now_seconds()),
        )
        payer = Payer(world.payout_books(session), wallet, _KEYS, _CONFIG)
        intake = Intake(session, IntakeConfig(), world.booking)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(payer.run(asyncio.Event()))
            tasks.create_task(self._scan(intake, payer.wake))

    async def _scan(self, intake: Intake, on_booked: Callable[[], None]) -> None:
        """What scanner and booker do, with batches of any size."""
        while True:
            self._notified.clear()
            rows = self._rows()
            while rows:
                size = self._world.random.randint(1, 5)
                batch, rows = rows[:size], rows[size:]
                try:
                    await self.gate()
                    result = await intake.process(batch)
                except DatabaseError:
                    break
                if result.distributed:
                    on_booked()
            try:
                async with asyncio.timeout(_SCAN_SECONDS):
                    await self._notified.wait()
            except TimeoutError:
                pass

    def _rows(self) -> list[SourceRow]:
        """Rows that the books lack as they are now, and some that they have."""
        world, found = self._world, []
        for external_id, row in world.source.rows.items():
            known = world.tables.cash_outs.get(external_id)
            if known is None or known.row.digest != row.digest or world.chance(world.climate.repeats * 0.2):
                found.append(row)
        world.random.shuffle(found)
        return found


class _GatedTransport(httpx.AsyncBaseTransport):
    """The network between one process and LNbits."""

    def __init__(self, process: Process, inner: httpx.AsyncBaseTransport) -> None:
        self._process = process
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._process.gate()
        try:
            return await self._inner.handle_async_request(request)
        finally:
            await self._process.gate()


class _ProcessWeather:
    """The way to the database."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    async def statement(self) -> None:
        await self._process.gate()
        await asyncio.sleep(self._world.latency_seconds())
        await self._process.gate()
        if self._world.database_fails():
            raise DatabaseError("our database is not reachable: simulated")

    async def commit(self, apply: Callable[[], None]) -> None:
        await self.statement()
        apply()
        self._world.auditor.committed()
        await self._process.gate()
        if self._world.database_fails():
            raise DatabaseError("our database is not reachable: simulated, after a commit")


def _only_injected(errors: BaseExceptionGroup[BaseException]) -> None:
    """Raises what is none of our own doing."""
    _, others = errors.split((InjectedError, KilledError))
    if others is not None:
        raise others
