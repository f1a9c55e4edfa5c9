"""All functions that move money, mixed at random over real books: what must always hold, holds after every step.

The invariants are those of design.md §3 that need no wallet: every sat is somewhere (1), nothing is distributed
twice (2), nothing is paid twice or lost (3), nobody gets more than its balance buys (5), the books balance (6).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.ledger.db import one, rows, scalar
from dca_daemon.ledger.export.export import ExportFormat, export
from dca_daemon.ledger.export.journal import Span
from dca_daemon.services import (
    cash,
    cash_report,
    clients,
    decisions,
    deposits,
    filters,
    fixed_amounts,
    machines,
    manual_cash_outs,
    pools,
    treasury,
)
from dca_daemon.services.clients import Mode
from dca_daemon.services.filters import FilterKind
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.manual_cash_outs import Entry
from dca_daemon.services.reports import clients as client_reports
from dca_daemon.services.reports import periods
from tests.exports.checkers import beancount_errors
from tests.faults.backends import SOAK
from tests.fixtures.postgres import PostgresServer
from tests.services.builders import client, success
from tests.services.fixed_bench import Bench
from tests.services.money_machine import MoneyMachine
from tests.services.test_stateful import _Opened

UTC_ZONE = ZoneInfo("UTC")
BUYERS = (1, 2, 5)  # 3 and 4 only receive commission
MACHINES = ("d" * 64, "e" * 64)
POOLS = ("1", "north")
REFUSED = (ConflictError, InputError, NotFoundError)

SATS = """
    SELECT (SELECT coalesce(sum(d.total_sats), 0) FROM distribution d
             WHERE d.kind = 'cash-out' AND d.reversed_at IS NULL)::bigint AS came_in,
           (SELECT coalesce(sum(commission_sats - commission_shared_sats + uncovered_sats), 0) FROM distribution
             WHERE kind = 'cash-out' AND reversed_at IS NULL)::bigint AS house,
           (SELECT coalesce(sum(total_sats), 0) FROM distribution
             WHERE kind <> 'cash-out' AND reversed_at IS NULL)::bigint AS given,
           (SELECT coalesce(-sum(amount_sats), 0) FROM adjustment WHERE amount_sats < 0)::bigint AS taken,
           (SELECT coalesce(sum(sats), 0) FROM distribution_record
             WHERE state IN ('owed', 'gathered'))::bigint AS owed,
           (SELECT coalesce(sum(sats), 0) FROM treasury_move)::bigint AS moved,
           (SELECT coalesce(sum(fee_sats), 0) FROM treasury_move)::bigint AS move_fees,
           (SELECT coalesce(sum(amount_sats), 0) FROM payout WHERE state NOT IN
                ('settled', 'failed', 'expired', 'void'))::bigint AS in_flight,
           (SELECT coalesce(sum(amount_sats), 0) FROM payout WHERE state = 'settled')::bigint AS paid
"""
# What each client must still have in, by pool: what it put in, less what it got back or has bought with.
BALANCES = """
    SELECT c.id, p.id AS pool_id,
           coalesce((SELECT sum(amount_minor) FROM deposit WHERE client_id = c.id AND pool_id = p.id
                        AND state = 'confirmed'), 0)
         - coalesce((SELECT sum(amount_minor) FROM cash_movement WHERE client_id = c.id AND pool_id = p.id), 0)
         + coalesce((SELECT sum(amount_minor) FROM adjustment WHERE client_id = c.id AND pool_id = p.id), 0)
         - coalesce((SELECT sum(r.fiat_minor) FROM distribution_record r
                       JOIN distribution d ON d.id = r.distribution_id
                      WHERE r.client_id = c.id AND d.pool_id = p.id AND d.reversed_at IS NULL), 0) AS wanted,
           coalesce(-(SELECT balance FROM account a WHERE a.client_id = c.id AND a.pool_id = p.id
                         AND a.purpose = 'client-fiat'), 0) AS kept
      FROM client c CROSS JOIN pool p
"""
TWICE = """
    SELECT c.id FROM cash_out c LEFT JOIN distribution d ON d.cash_out_id = c.id AND d.reversed_at IS NULL
     GROUP BY c.id HAVING count(d.id) <> (CASE c.state WHEN 'distributed' THEN 1 ELSE 0 END)
    UNION ALL
    SELECT s.id FROM cash_out c JOIN cash_out s ON s.id = c.settles_id WHERE s.state <> 'settled-by-hand'
"""
DAY_EXCEEDED = """
    SELECT r.client_id, f.local_date FROM distribution_record r
      JOIN distribution d ON d.id = r.distribution_id AND d.reversed_at IS NULL
      JOIN fixed_run f ON f.id = d.fixed_run_id
     GROUP BY r.client_id, f.pool_id, f.local_date
    HAVING sum(r.fiat_minor) > (SELECT max(least(daily_minor, coalesce(max_minor, 200000))) FROM fixed_amount a
                                 WHERE a.client_id = r.client_id AND a.pool_id = f.pool_id)
"""
KEPT = "SELECT coalesce(sum(balance), 0) FROM account WHERE purpose = :purpose"


class NoLamassu:
    """In place of Lamassu's database: it has nothing that the books do not have."""

    async def fetch(self, ids: Sequence[str]) -> list[SourceRow]:
        return []


class AllTheMoney(MoneyMachine):
    """Beside cash-outs and payouts: persons, machines, pools, notes, fixed runs, decisions, the treasury."""

    def __init__(self) -> None:
        super().__init__()
        self.intake = Intake(self.db, IntakeConfig())
        self.entered: set[str] = set()

    @initialize()
    def everything(self) -> None:
        for deposit, mode in (("20000", "flow"), ("777.77", "flow"), (None, "commission"), (None, "commission")):
            self.run(client(self.db, deposit, mode=mode))
        self.run(client(self.db, "5000", mode="fixed"))
        self.run(pools.ensure_default_pool(self.db, name="default", currency="GTQ"))
        self.run(pools.add(self.db, name="north", currency="GTQ", actor="test"))
        self.bench = Bench(self.db, "2026-11-02T05:00")
        self.run(self.bench.schedule("08:00", "18:00", zone="UTC"))
        self.run(fixed_amounts.change(self.db, "5", per_day="333.33", actor="test"))
        for device_id in MACHINES:  # a machine is known once it has shown a cash-out
            self.process(success(device_id=device_id, machine_name=None))

    def people(self) -> None:
        """Everybody is there from the beginning."""

    # -- cash-outs: other machines and coins, failures, what persons decide --

    @rule(
        device_id=st.sampled_from(MACHINES),
        coin=st.sampled_from(["BTC", "LN"]),
        notes=st.integers(1, 80),
        sats=st.integers(1, 600_000),
        good=st.booleans(),
    )
    def cash_out_somewhere(self, device_id: str, coin: str, notes: int, sats: int, good: bool) -> None:
        self.process(
            success(
                device_id=device_id,
                machine_name=None,
                crypto_code=coin,
                fiat=Decimal(notes * 50),
                crypto_atoms=Decimal(sats),
                dispense_confirmed=good,
            )
        )

    def a_row(self, data: st.DataObject) -> SourceRow:
        return self.rows[data.draw(st.sampled_from(sorted(self.rows)), label="cash-out")]

    @rule(data=st.data(), version=st.integers(6, 9))
    def succeeds_after_all(self, data: st.DataObject, version: int) -> None:
        self.comes_again(self.a_row(data), version)

    def comes_again(self, row: SourceRow, version: int) -> None:
        self.process(
            success(
                external_id=row.external_id,
                device_id=row.device_id,
                machine_name=None,
                crypto_code=row.crypto_code,
                fiat=row.fiat,
                crypto_atoms=row.crypto_atoms,
                tx_version=version,
            )
        )

    @rule(data=st.data(), distribute=st.booleans(), version=st.integers(6, 9))
    def decide(self, data: st.DataObject, distribute: bool, version: int) -> None:
        """Whatever Lamassu says of it from then on."""
        row = self.a_row(data)
        with contextlib.suppress(*REFUSED):
            if distribute:
                self.run(decisions.distribute(self.db, self.intake, row.external_id, reason="test", actor="test"))
            else:
                self.run(decisions.ignore(self.db, row.external_id, reason="test", actor="test"))
        self.comes_again(row, version)

    @rule(
        data=st.data(),
        number=st.integers(1, 9),
        notes=st.integers(1, 80),
        sats=st.integers(1, 600_000),
        device_id=st.sampled_from(MACHINES),
        settles=st.booleans(),
        rehearse=st.booleans(),
    )
    def enter_by_hand(
        self,
        data: st.DataObject,
        number: int,
        notes: int,
        sats: int,
        device_id: str,
        settles: bool,
        rehearse: bool,
    ) -> None:
        reference = f"ticket-{number}"
        entry = Entry(
            fiat=str(notes * 50),
            sats=sats,
            reason="test",
            reference=reference,
            commission_percent="5.5",
            machine=device_id,
            at=datetime.now(UTC),
            settles=self.a_row(data).external_id if settles else None,
        )
        enter = manual_cash_outs.enter(
            self.db, self.intake, entry, source=NoLamassu(), actor="test", rehearse=rehearse
        )
        try:
            view = self.run(enter)
        except REFUSED:
            return
        assert reference not in self.entered and view.split is not None
        if not rehearse:
            self.entered.add(reference)

    @rule(kind=st.sampled_from(FilterKind), which=st.integers(0, 1), add=st.booleans())
    def filter(self, kind: FilterKind, which: int, add: bool) -> None:
        value = {"coin": ("LN", "BTC"), "machine": MACHINES, "pool": POOLS}[kind][which]
        with contextlib.suppress(*REFUSED):
            if add:
                self.run(filters.add(self.db, kind, value, reason="test", actor="test"))
            else:
                for known in self.run(filters.list_all(self.db))[:1]:
                    self.run(filters.remove(self.db, known.filter_id, reason="test", actor="test"))

    # -- persons, pools and notes --

    @rule(person=st.sampled_from(BUYERS), mode=st.sampled_from([Mode.FLOW, Mode.FIXED]))
    def set_mode(self, person: int, mode: Mode) -> None:
        self.run(clients.set_mode(self.db, str(person), mode, actor="test"))

    @rule(
        person=st.sampled_from(BUYERS),
        pool=st.sampled_from(POOLS),
        minor=st.integers(1, 2_000_000),
        confirm=st.booleans(),
        void=st.booleans(),
    )
    def deposit(self, person: int, pool: str, minor: int, confirm: bool, void: bool) -> None:
        amount = str(Decimal(minor).scaleb(-2))
        recorded = self.run(
            deposits.record(
                self.db, client=str(person), amount=amount, currency="GTQ", note=None, pool=pool, actor="test"
            )
        )
        if confirm:
            self.run(deposits.confirm(self.db, recorded.deposit_id, actor="test"))
        if void:
            self.run(deposits.void(self.db, recorded.deposit_id, reason="test", actor="test"))

    @rule(device_id=st.sampled_from(MACHINES), pool=st.sampled_from(POOLS))
    def move_machine(self, device_id: str, pool: str) -> None:
        with contextlib.suppress(ConflictError):  # it is there already
            self.run(machines.move(self.db, self.intake, device_id, pool, reason="test", actor="test"))

    @rule(
        what=st.sampled_from(["refill", "remove", "give-back"]),
        person=st.sampled_from(BUYERS),
        pool=st.sampled_from(POOLS),
        minor=st.integers(1, 1_000_000),
    )
    def notes_come_and_go(self, what: str, person: int, pool: str, minor: int) -> None:
        amount = str(Decimal(minor).scaleb(-2))
        where: dict[str, Any] = {"machine": None, "pool": pool, "reason": "test", "actor": "test"}
        with contextlib.suppress(ConflictError):  # more than there is
            if what == "refill":
                self.run(cash.refill(self.db, amount, **where))
            elif what == "remove":
                self.run(cash.remove(self.db, amount, **where))
            else:
                self.run(cash.give_back(self.db, str(person), amount, **where))

    # -- Fixed Mode and the treasury --

    @rule(person=st.sampled_from(BUYERS), minor=st.integers(0, 200_000))
    def fixed_amount(self, person: int, minor: int) -> None:
        amount = str(Decimal(minor).scaleb(-2))
        self.run(fixed_amounts.change(self.db, str(person), per_day=amount, actor="test"))

    @rule(hours=st.integers(1, 40), price=st.integers(400_000, 1_200_000), again=st.booleans())
    def time_passes_for_fixed_runs(self, hours: int, price: int, again: bool) -> None:
        self.bench.now += timedelta(hours=hours)
        self.bench.seconds += 3600 * hours
        self.bench.feed.price = Decimal(price)
        if again:
            self.bench.restart()
        self.run(self.bench.runner.look())

    @rule(sats=st.integers(-200_000, 500_000).filter(bool), fee_sats=st.integers(0, 500))
    def move_sats(self, sats: int, fee_sats: int) -> None:
        with contextlib.suppress(*REFUSED):
            self.run(treasury.move(self.db, sats=sats, fee_sats=fee_sats, reason="test", actor="test"))

    # -- what must always hold --

    @invariant()
    def every_sat_is_somewhere(self) -> None:
        async def work(conn: AsyncConnection) -> None:
            at = await one(conn, SATS)

            async def kept(purpose: str) -> int:
                return int(await scalar(conn, KEPT, purpose=purpose))

            assert (
                await kept("coins-received") + await kept("coins-source")
                == (at.came_in - at.paid - at.move_fees) * 1000
            )
            assert await kept("house-sats") == -(at.house - at.given + at.taken) * 1000
            assert await kept("client-payable") == -at.owed * 1000
            assert await kept("payouts-in-flight") == -at.in_flight * 1000

        self.step(work)

    @invariant()
    def nobody_has_bought_for_more_than_it_had(self) -> None:
        async def work(conn: AsyncConnection) -> None:
            for at in await rows(conn, BALANCES):
                assert at.wanted == at.kept >= 0, at
            assert await rows(conn, DAY_EXCEEDED) == []

        self.step(work)

    @invariant()
    def nothing_is_distributed_twice(self) -> None:
        async def work(conn: AsyncConnection) -> None:
            assert await rows(conn, TWICE) == []

        self.step(work)

    @rule()
    def every_report_agrees_with_the_books(self) -> None:
        shown = self.run(treasury.show(self.db, reserve_sats=0, zone=UTC_ZONE))
        self.run(cash_report.report(self.db))
        self.run(client_reports.all_clients(self.db))
        report = self.run(periods.periods(self.db, by=periods.By.MONTH, zone=UTC_ZONE))
        assert sum(p.house_net_msat for p in report.sats) == shown.totals.kept_msat

    def teardown(self) -> None:
        try:
            self.every_report_agrees_with_the_books()
            parts: list[str] = []
            self.run(export(self.db, Span(None, None, UTC_ZONE), ExportFormat.BEANCOUNT, parts.append))
            assert beancount_errors("".join(parts)) == []
        finally:
            super().teardown()


@pytest.mark.timeout(3600 if SOAK else 400)
def test_all_functions_in_any_order(postgres_server: PostgresServer, books_template: str) -> None:
    class Here(AllTheMoney):
        @staticmethod
        def open_books() -> Any:
            return _Opened(postgres_server, books_template)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=300 if SOAK else 12,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
