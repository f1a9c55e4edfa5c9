"""A simulated world: a machine, the books, LNbits, one or two daemons, and whatever can happen to them."""

from __future__ import annotations

import asyncio
import random as random_module
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import Random

from dca_daemon import fault_points
from dca_daemon.domain.commission import Pay, Terms
from dca_daemon.domain.payout import NEVER_SUBMITTED_STATES, PayoutState
from tests.lnbits_double import Call, Lie, LnbitsDouble, Step
from tests.simulation.auditor import Auditor
from tests.simulation.climate import LIES, Climate
from tests.simulation.loop import simulate
from tests.simulation.memory_booking import MemoryBooking
from tests.simulation.memory_payouts import MemoryPayoutBooks
from tests.simulation.process import InjectedError, Process, current
from tests.simulation.session import Session
from tests.simulation.source import Source
from tests.simulation.tables import PayoutRow, Tables, moment, now_seconds
from tests.simulation.trace import Trace, tracing

STORM_SECONDS = 300.0
CALM_SECONDS_MAX = 4 * 3_600.0
SOURCE_SATS = 100_000_000

BooksFactory = Callable[[Session, Random], MemoryPayoutBooks]


class World:
    """All of it, from one seed. `payout_books_class` and `booking` are where bugs are planted."""

    def __init__(
        self,
        seed: int,
        trace: Trace,
        payout_books_class: BooksFactory = MemoryPayoutBooks,
        booking: type[MemoryBooking] = MemoryBooking,
    ) -> None:
        self.random = Random(seed)
        self.climate = Climate.of(self.random)
        self.trace = trace
        self.booking = booking
        self._payout_books_class = payout_books_class
        self.tables = Tables()
        self.source = Source(self.random)
        self.auditor = Auditor(self.tables, self.source)
        self.lnbits = LnbitsDouble(Random(seed + 1), lambda: moment(now_seconds()), asyncio.sleep)
        self.lnbits.policy = self._lie
        self.lnbits.latency = self._lnbits_latency_seconds
        self.lnbits.on_money_moved.append(self._moved)
        self.source_wallet = self.lnbits.create_wallet("source")
        self.faults: Counter[str] = Counter()
        self._storm = True
        self._database_back_seconds = 0.0
        self._processes: list[Process] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def payout_books(self, session: Session) -> MemoryPayoutBooks:
        return self._payout_books_class(session, self.random)

    def chance(self, probability: float) -> bool:
        """Whether something happens that does so with this probability, while the storm lasts."""
        return self._storm and self.random.random() < probability

    def latency_seconds(self) -> float:
        """How long a trip to the database takes."""
        slow = self.chance(self.climate.slowness)
        return self.random.uniform(0, 20.0 if slow else 0.005)

    def _lnbits_latency_seconds(self, call: Call, step: Step) -> float:
        """How long LNbits rests between its own steps: a kill may come meanwhile."""
        slow = self.chance(self.climate.slowness)
        return self.random.uniform(0, 20.0 if slow else 0.05)

    def database_fails(self) -> bool:
        away = self._storm and now_seconds() < self._database_back_seconds
        return away or self.chance(self.climate.database_error)

    async def run(self) -> None:
        """The storm, then calm until everything is settled, or a person's turn."""
        self._people()
        fault_points.install(self._at_point)
        try:
            daemons = 2 if self.random.random() < self.climate.rivals else 1
            keepers = [asyncio.create_task(self._keep_running()) for _ in range(daemons)]
            storms = [self._cash_outs(), self._database(), self._lnbits_killed(), self._lnbits_away()]
            async with asyncio.timeout(STORM_SECONDS * 10), asyncio.TaskGroup() as tasks:
                for storm in storms:
                    tasks.create_task(storm)
            await self._calm(keepers)
            self.auditor.at_the_end()
        finally:
            fault_points.install(None)

    def _people(self) -> None:
        for number in range(self.random.randint(1, 4)):
            keys = self.lnbits.create_wallet(f"client {number}")
            deposit_minor = self.random.choice([1, 999, 60_000, 2_000_000])
            self.tables.add_client(
                deposit_minor, invoice_key=keys.inkey, min_sats=self.random.choice([1, 1, 3_000])
            )
        if self.random.random() < 0.5:
            self._commission()
        if not self.chance(self.climate.poverty):
            self.lnbits.top_up(self.source_wallet.id, SOURCE_SATS)

    def _commission(self) -> None:
        """Some of the commission goes to a wallet that receives nothing else, some to a client."""
        receiver = self.tables.add_client(0, invoice_key=self.lnbits.create_wallet("commission").inkey)
        takers = [c.client_id for c in self.tables.clients.values() if c.min_sats == 1 and c is not receiver]
        shares = {receiver.client_id: 2_500, **dict.fromkeys(takers[:1], 500)}
        self.tables.commission = Terms(1, Pay.AT_ONCE, shares)

    def counts(self) -> Counter[str]:
        """What came of it all."""
        states = Counter(str(p.state) for p in self.tables.payouts.values())
        return Counter(
            cash_outs=len(self.tables.distributions),
            records=len(self.tables.records),
            payments=len(self.auditor.left),
            torn=len(self.auditor.left.keys() - self.auditor.arrived.keys()),
            **{f"payouts_{state}": count for state, count in states.items()},
            **self.faults,
        )

    def _fault(self, kind: str, **more: object) -> None:
        self.faults[f"fault_{kind}"] += 1
        self.trace.note("fault", kind, **more)

    # What goes on in the world

    async def _cash_outs(self) -> None:
        for _ in range(self.random.randint(1, 8)):
            await asyncio.sleep(self.random.choice([0.0, 1.0, self.random.uniform(0, STORM_SECONDS / 4)]))
            external_id = self.source.ask()
            if self.random.random() < 0.2:
                self._report(external_id, succeeded=False)
                await asyncio.sleep(self.random.uniform(0, 60))
            if self.random.random() < 0.9:
                self._report(external_id, succeeded=True)

    def _report(self, external_id: str, *, succeeded: bool) -> None:
        self.source.report(external_id, succeeded=succeeded)
        self.trace.note("lamassu", "success" if succeeded else "failure", external_id=external_id)
        for process in self._processes:
            if self.random.random() < 0.8:  # a notification may be lost
                process.notify()

    async def _keep_running(self) -> None:
        """systemd."""
        while True:
            process = Process(self)
            self._processes.append(process)
            self.trace.note("systemd", "start")
            await asyncio.create_task(process.run())
            self._processes.remove(process)
            self.trace.note("systemd", "ended")
            await asyncio.sleep(self.random.uniform(0.1, 20))

    async def _at_point(self, point: str) -> None:
        """Something may happen to the process that got here."""
        process = current.get()
        self.trace.note("point", point)
        if self.chance(self.climate.kill):
            await self._end(process, point)
        if self.chance(self.climate.crash):
            self._fault("crash", point=point)
            raise InjectedError(point)
        if self.chance(self.climate.pause):
            await asyncio.sleep(self.random.uniform(0, 150))
        if self.chance(self.climate.freeze):
            self._fault("freeze", point=point)
            self._spawn(process.freeze(self.random.uniform(0, 200)))
            await process.gate()

    async def _end(self, process: Process, point: str) -> None:
        self._fault("kill", point=point)
        self._spawn(process.kill())
        await asyncio.get_running_loop().create_future()

    async def _minutely(self, chance: float, event: Callable[[], Awaitable[None]]) -> None:
        end_seconds = now_seconds() + STORM_SECONDS
        while now_seconds() < end_seconds:
            await asyncio.sleep(self.random.uniform(0, 60))
            if self.chance(chance / 2):
                await event()

    async def _database(self) -> None:
        async def away() -> None:
            self._database_back_seconds = now_seconds() + self.random.uniform(0, 60)
            self._fault("database_away", until=round(self._database_back_seconds, 1))

        await self._minutely(self.climate.database_outages, away)

    async def _lnbits_killed(self) -> None:
        async def killed() -> None:
            self._fault("lnbits_killed")
            self.lnbits.kill()
            await asyncio.sleep(self.random.uniform(1, 60))
            self.lnbits.restart()
            self.trace.note("lnbits", "restarted")

        await self._minutely(self.climate.lnbits_kills, killed)

    async def _lnbits_away(self) -> None:
        async def away() -> None:
            self._fault("lnbits_away")
            self.lnbits.down = True
            await asyncio.sleep(self.random.uniform(0, 60))
            self.lnbits.down = False

        await self._minutely(self.climate.lnbits_outages, away)

    def _lie(self, call: Call) -> Lie | None:
        if not LIES[call.kind] or not self.chance(self.climate.lie):
            return None
        lie = self.random.choice(LIES[call.kind])
        self._fault("lie", call=call.kind, lie=lie.name)
        return lie

    def _moved(self, move: object) -> None:
        self.trace.note("lnbits", str(move))
        self.auditor.moved(move)  # type: ignore[arg-type]

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # And how it ends

    async def _calm(self, keepers: list[asyncio.Task[None]]) -> None:
        self._storm = False
        self.trace.note("storm", "over")
        self.lnbits.top_up(self.source_wallet.id, SOURCE_SATS)
        end_seconds = now_seconds() + CALM_SECONDS_MAX
        while not self._quiet() and now_seconds() < end_seconds and not self.auditor.violations:
            await asyncio.sleep(10)
            self._operator()
            for keeper in keepers:
                if keeper.done():
                    keeper.result()
        for process in list(self._processes):
            await process.kill()
        for keeper in keepers:
            keeper.cancel()

    def _quiet(self) -> bool:
        records = self.tables.records.values()
        waiting = [r for r in records if r.state == "owed" and self._big_enough(r.client_id)]
        booked = {d.row.external_id for d in self.tables.distributions}
        return not (
            waiting or any(p.open or self._releasable(p) for p in self.tables.payouts.values())
        ) and booked == (self.source.successes)

    def _big_enough(self, client_id: int) -> bool:
        """Less than its destination takes waits for more, rightly; a person lowers that in the end."""
        client = self.tables.clients[client_id]
        client.min_sats = 1
        return self.tables.owed_sats(client_id) >= client.min_sats

    def _releasable(self, payout: PayoutRow) -> bool:
        torn = (payout.payment_hash or "") in self.auditor.left.keys() - self.auditor.arrived.keys()
        return payout.state is PayoutState.HELD and not torn

    def _operator(self) -> None:
        """A person releases what is held, as docs/payouts.md says; but what is torn."""
        for payout in self.tables.payouts.values():
            mine = (p for p in self.tables.payouts.values() if p.client_id == payout.client_id)
            if not self._releasable(payout) or any(p.open for p in mine):
                continue
            self.trace.note("operator", "releases", payout_id=payout.payout_id, reason=payout.reason)
            if "too old" in (payout.reason or ""):  # first LNbits' operator voids the invoice
                self.lnbits.mark_failed(payout.payment_hash or "")
            never = payout.held_from in NEVER_SUBMITTED_STATES
            payout.state, payout.held_from = PayoutState.VOID if never else PayoutState.UNKNOWN, None
            payout.next_attempt_seconds = now_seconds()
            if never:
                for record_id in payout.record_ids:
                    self.tables.records[record_id].state = "owed"


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The program's own jitter comes from the seed too."""
    state = random_module.getstate()
    random_module.seed(seed)
    try:
        yield
    finally:
        random_module.setstate(state)


def run_seed(
    seed: int,
    *,
    payout_books_class: BooksFactory = MemoryPayoutBooks,
    booking: type[MemoryBooking] = MemoryBooking,
    trace: Trace | None = None,
) -> World:
    """Runs one world to its end. Raises `ViolationError`, or whatever else went wrong."""

    world = World(seed, trace or Trace(), payout_books_class, booking)
    with _seeded(seed):
        try:
            with tracing(world.trace):
                simulate(world.run())
        finally:
            world.auditor.raise_violation()
    return world
