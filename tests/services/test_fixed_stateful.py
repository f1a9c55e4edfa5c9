"""Days, restarts, changes and faults in any order: each slot once, and never more than may be bought."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dca_daemon.domain.errors import ConflictError, InputError, NoRateError
from dca_daemon.domain.fixed import Missed
from dca_daemon.domain.schedule import DailyTimes, daily_times
from dca_daemon.ledger.db import Database, rows, scalar
from dca_daemon.ledger.verify import verify
from dca_daemon.services import clients, deposits, fixed_amounts, fixed_runs, fixed_schedules, fixed_status
from dca_daemon.services.clients import Mode, Status
from tests.fixtures.postgres import PostgresServer
from tests.services.builders import client
from tests.services.fixed_bench import Bench
from tests.services.test_stateful import _Opened

T = TypeVar("T")
CLIENTS = (1, 2, 3)
# Summer time begins or ends within the days of this test; one zone is always a date ahead of another.
ZONES = ("America/New_York", "America/Guatemala", "Europe/Madrid", "Pacific/Kiritimati", "Australia/Lord_Howe")
STARTS = ("2026-03-06T12:00", "2026-10-23T12:00", "2026-10-31T00:30")
TIMES = st.lists(
    st.sampled_from(["00:00", "01:30", "02:15", "02:30", "08:00", "18:00", "23:59"]), min_size=1, max_size=4
)


@dataclass
class InForce:
    """A schedule as it was set, and until when."""

    times: DailyTimes
    since: datetime
    until: datetime | None = None


@dataclass
class Who:
    """A client as the model has it; amounts in minor units."""

    balance: int = 0
    daily: int = 0
    own_max: int | None = None
    buys: bool = True


class FixedMode(RuleBasedStateMachine):
    """`open_books` gives each run a database of its own."""

    open_books: Any

    def __init__(self) -> None:
        super().__init__()
        self.context = self.open_books()
        database = self.context.__enter__()
        self.runner = asyncio.Runner()
        self.db = Database(database, pool_size=2)
        self.clients = {number: Who() for number in CLIENTS}
        self.schedules: list[InForce] = []
        self.default_max = 200_000
        self.bought: dict[tuple[int, date], int] = {}
        self.seen = 0
        self.by_hand: set[tuple[date, str]] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.run(self.db.close())
        self.runner.close()
        self.context.__exit__(None, None, None)

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: str) -> None:
        self.bench = Bench(self.db, start)
        for _ in CLIENTS:
            self.run(client(self.db, mode="fixed"))

    @rule(zone=st.sampled_from(ZONES), times=TIMES, missed=st.sampled_from(Missed), most=st.integers(0, 3000))
    def set_schedule(self, zone: str, times: list[str], missed: Missed, most: int) -> None:
        before = len(self.schedules)
        if len(set(times)) < len(times):
            with pytest.raises(InputError):
                self.run(self.bench.schedule(*times, zone=zone, missed=missed))
            return
        self.end_schedule()
        self.run(self.bench.schedule(*times, zone=zone, missed=missed, most=str(most)))
        self.default_max = most * 100
        self.schedules.append(InForce(daily_times(zone, times), self.bench.now))
        assert len(self.schedules) == before + 1

    @rule()
    def stop(self) -> None:
        if not self.schedules or self.schedules[-1].until is not None:
            with pytest.raises(ConflictError):
                self.run(fixed_schedules.stop(self.db, actor="test", at=self.bench.now))
            return
        self.run(fixed_schedules.stop(self.db, actor="test", at=self.bench.now))
        self.end_schedule()

    def end_schedule(self) -> None:
        if self.schedules and self.schedules[-1].until is None:
            self.schedules[-1].until = self.bench.now

    @rule(number=st.sampled_from(CLIENTS), daily=st.integers(0, 250_000), own=st.none() | st.integers(0, 300_000))
    def set_amount(self, number: int, daily: int, own: int | None) -> None:
        def change() -> None:
            self.run(
                fixed_amounts.change(
                    self.db,
                    str(number),
                    per_day=str(Decimal(daily).scaleb(-2)),
                    own_max=None if own is None else str(Decimal(own).scaleb(-2)),
                    default_max=own is None,
                    actor="test",
                )
            )

        if daily > (self.default_max if own is None else own):
            with pytest.raises(InputError):
                change()
            return
        change()
        self.clients[number].daily, self.clients[number].own_max = daily, own

    @rule(number=st.sampled_from(CLIENTS), minor=st.integers(1, 500_000))
    def deposit(self, number: int, minor: int) -> None:
        amount = str(Decimal(minor).scaleb(-2))
        recorded = self.run(
            deposits.record(self.db, client=str(number), amount=amount, currency=None, note=None, actor="test")
        )
        self.run(deposits.confirm(self.db, recorded.deposit_id, actor="test"))
        self.clients[number].balance += minor

    @rule(number=st.sampled_from(CLIENTS), mode=st.sampled_from(Mode), status=st.sampled_from(Status))
    def set_client(self, number: int, mode: Mode, status: Status) -> None:
        if mode not in (Mode.FLOW, Mode.FIXED):
            return
        self.run(clients.set_mode(self.db, str(number), mode, actor="test"))
        self.run(clients.set_status(self.db, str(number), status, actor="test"))
        self.clients[number].buys = (mode, status) == (Mode.FIXED, Status.ACTIVE)

    @rule(price=st.sampled_from([None, "1", "12345.678", "800000", "91000000000"]))
    def the_market_moves(self, price: str | None) -> None:
        self.bench.feed.price = None if price is None else Decimal(price)

    @rule()
    def restart(self) -> None:
        self.bench.restart()

    @rule(minutes=st.one_of(st.integers(1, 90), st.integers(60, 5_000)))
    def time_goes_by_unwatched(self, minutes: int) -> None:
        self.bench.now += timedelta(minutes=minutes)
        self.bench.seconds += 60 * minutes

    @rule(minutes=st.integers(0, 240), looks=st.integers(1, 4))
    def the_daemon_looks(self, minutes: int, looks: int) -> None:
        for _ in range(looks):
            self.bench.now += timedelta(minutes=minutes)
            self.bench.seconds += 60 * minutes + 60
            self.run(self.bench.runner.look())
            self.check_new()
        self.nothing_was_forgotten()

    @rule()
    def two_look_at_once(self) -> None:
        other = Bench(self.db, "2026-01-01T00:00")
        other.now, other.feed = self.bench.now, self.bench.feed
        self.bench.seconds += 60

        async def both() -> None:
            await asyncio.gather(self.bench.runner.look(), other.runner.look())

        self.run(both())
        self.check_new()

    @rule()
    def somebody_runs_it_by_hand(self) -> None:
        async def work() -> Any:
            found = await fixed_status.preview(self.db, self.bench.rates, self.bench.now, by_hand=True)
            if found.rate is None:
                return None
            return await fixed_runs.run(
                self.db, found.slot, found.rate, actor="os:test", now=lambda: self.bench.now
            )

        try:
            done = self.run(work())
        except (ConflictError, InputError, NoRateError):
            return
        if done is not None:
            self.by_hand.add(done.slot.slot.key)
        self.check_new()

    def check_new(self) -> None:
        """Each record since the last time, against what the model allows."""
        for r in self.run(self.new_records()):
            who = self.clients[r.client_id]
            most = min(who.daily, self.default_max if who.own_max is None else who.own_max)
            key = (r.client_id, r.local_date)
            self.bought[key] = self.bought.get(key, 0) + r.fiat_minor
            assert who.buys and 0 < r.fiat_minor <= who.balance
            assert self.bought[key] <= most
            assert 0 < Fraction(r.sats, 10**8) * Fraction(r.rate_fiat) * 100 <= r.fiat_minor
            who.balance -= r.fiat_minor
            self.seen = r.id

    async def new_records(self) -> list[Any]:
        async with self.db.transaction() as conn:
            return await rows(
                conn,
                """SELECT r.id, r.client_id, r.sats, r.fiat_minor, d.rate_fiat, u.local_date
                     FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
                     JOIN fixed_run u ON u.id = d.fixed_run_id WHERE r.id > :seen ORDER BY r.id""",
                seen=self.seen,
            )

    async def dealt_with(self) -> set[tuple[date, str]]:
        async with self.db.transaction() as conn:
            found = await rows(conn, "SELECT local_date, local_time FROM fixed_run")
            assert await scalar(conn, "SELECT count(*) FROM fixed_run WHERE at IS NULL OR due_at IS NULL") == 0
        keys = {(r.local_date, r.local_time) for r in found}
        assert len(keys) == len(found)
        return keys

    def nothing_was_forgotten(self) -> None:
        """Every slot that came while its schedule was in force is dealt with, or waits for a usable rate; no other
        is dealt with."""
        dealt_with = self.run(self.dealt_with())
        due = {
            slot.key: slot
            for schedule in self.schedules
            for slot in schedule.times.slots_between(
                schedule.since, min(schedule.until or self.bench.now, self.bench.now)
            )
        }
        assert dealt_with - set(due) <= self.by_hand
        waiting = [due[key] for key in set(due) - dealt_with]
        if self.bench.feed.price not in (None, Decimal(1)):  # at a price of 1 the amounts are absurd
            assert waiting == []
        assert all(self.bench.now - slot.due_at < timedelta(days=2, hours=2) for slot in waiting)

    @invariant()
    def the_books_hold(self) -> None:
        assert [check for check in self.run(verify(self.db)) if not check.holds] == []

    @invariant()
    def clients_have_what_the_model_says(self) -> None:
        for view in self.run(clients.list_all(self.db)):
            assert sum(b.balance_minor for b in view.balances) == self.clients[view.client_id].balance >= 0


def test_each_slot_once_and_never_too_much(postgres_server: PostgresServer, books_template: str) -> None:
    class Here(FixedMode):
        @staticmethod
        def open_books() -> Any:
            return _Opened(postgres_server, books_template)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=6, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
