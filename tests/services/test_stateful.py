"""Anything, in any order: after every step the books hold, and every sat is somewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.demo.postgres import sqlalchemy_url
from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import ConflictError
from dca_daemon.domain.payout import FINAL_STATES, PayoutState
from dca_daemon.domain.split import Charge
from dca_daemon.ledger.db import Database, one, rows, scalar
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts import agenda, store
from dca_daemon.services import clients, deposits, payouts
from dca_daemon.services.clients import Status
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.fixtures.postgres import PostgresServer
from tests.ledger.filled import made_up_invoice
from tests.services.builders import client, success

T = TypeVar("T")

EVERYWHERE = """
    SELECT (SELECT coalesce(sum(crypto_atoms), 0) FROM cash_out WHERE state = 'distributed')::bigint AS came_in,
           (SELECT coalesce(sum(commission_sats + uncovered_sats), 0) FROM distribution)::bigint AS house,
           (SELECT coalesce(sum(sats) FILTER (WHERE state = 'owed'), 0) FROM distribution_record)::bigint AS owed,
           (SELECT coalesce(sum(amount_sats) FILTER (WHERE state NOT IN
                      ('settled', 'failed', 'expired', 'void')), 0) FROM payout)::bigint AS in_flight,
           (SELECT coalesce(sum(amount_sats) FILTER (WHERE state = 'settled'), 0) FROM payout)::bigint AS paid,
           (SELECT coalesce(sum(fee_msat), 0) FROM payout WHERE state = 'settled')::bigint AS fees_msat
"""
KEPT = "SELECT coalesce(sum(balance), 0) FROM account WHERE purpose = :purpose"


class Books(RuleBasedStateMachine):
    """A model of what must be true beside the real books. `open_books` gives each run a database of its own."""

    open_books: Callable[[], Any]

    known_clients: Bundle[int] = Bundle("known_clients")
    known_deposits: Bundle[int] = Bundle("known_deposits")
    known_rows: Bundle[SourceRow] = Bundle("known_rows")

    def __init__(self) -> None:
        super().__init__()
        self.context = self.open_books()
        database = self.context.__enter__()
        self.runner = asyncio.Runner()
        self.db = Database(database, pool_size=2)
        self.deposits: dict[int, tuple[int, int, str]] = {}  # client, amount, state
        self.balances: dict[int, int] = {}
        self.succeeded: set[str] = set()
        self.distributed: set[str] = set()
        self.settled_records: dict[int, str] = {}
        self.fees_msat = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def step(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        return self.run(self.db.run(work))

    def teardown(self) -> None:
        self.run(self.db.close())
        self.runner.close()
        self.context.__exit__(None, None, None)

    @initialize(target=known_clients)
    def two_clients(self) -> Any:
        return multiple(*(self.new_client() for _ in range(2)))

    def new_client(self) -> int:
        client_id = self.run(client(self.db))
        self.balances[client_id] = 0
        return client_id

    @precondition(lambda self: len(self.balances) < 5)
    @rule(target=known_clients)
    def add_client(self) -> int:
        return self.new_client()

    @rule(client_id=known_clients, active=st.booleans())
    def set_status(self, client_id: int, active: bool) -> None:
        to = Status.ACTIVE if active else Status.INACTIVE
        self.run(clients.set_status(self.db, str(client_id), to, actor="test"))

    @rule(target=known_deposits, client_id=known_clients, minor=st.integers(1, 2_000_000), confirm=st.booleans())
    def deposit(self, client_id: int, minor: int, confirm: bool) -> int:
        amount = str(Decimal(minor).scaleb(-2))
        recorded = self.run(
            deposits.record(self.db, client=str(client_id), amount=amount, currency=None, note=None, actor="test")
        )
        self.deposits[recorded.deposit_id] = (client_id, minor, "pending")
        if confirm:
            self.confirm(deposit_id=recorded.deposit_id)
        return recorded.deposit_id

    @rule(deposit_id=known_deposits)
    def confirm(self, deposit_id: int) -> None:
        client_id, minor, state = self.deposits[deposit_id]
        if state != "pending":
            with pytest.raises(ConflictError):
                self.run(deposits.confirm(self.db, deposit_id, actor="test"))
            return
        self.run(deposits.confirm(self.db, deposit_id, actor="test"))
        self.deposits[deposit_id] = (client_id, minor, "confirmed")
        self.balances[client_id] += minor

    @rule(deposit_id=known_deposits)
    def void(self, deposit_id: int) -> None:
        client_id, minor, state = self.deposits[deposit_id]
        if state == "void" or (state == "confirmed" and self.balances[client_id] < minor):
            with pytest.raises(ConflictError):
                self.run(deposits.void(self.db, deposit_id, reason="test", actor="test"))
            return
        self.run(deposits.void(self.db, deposit_id, reason="test", actor="test"))
        self.deposits[deposit_id] = (client_id, minor, "void")
        if state == "confirmed":
            self.balances[client_id] -= minor

    def process(self, batch: list[SourceRow], charge: Charge) -> None:
        result = self.run(Intake(self.db, IntakeConfig(charge=charge)).process(batch))
        for found in result.distributed:
            external_id = found.row.external_id
            assert external_id in self.succeeded and external_id not in self.distributed
            self.distributed.add(external_id)
            for share in found.allocation.shares:
                self.balances[share.client_id] -= share.fiat_minor
                assert self.balances[share.client_id] >= 0
        assert self.distributed == self.succeeded

    @rule(
        target=known_rows,
        notes=st.integers(1, 80),
        sats=st.integers(1, 600_000),
        good=st.booleans(),
        discount=st.sampled_from([None, 0, 35, 100]),
        charge=st.sampled_from(Charge),
    )
    def cash_out(self, notes: int, sats: int, good: bool, discount: int | None, charge: Charge) -> SourceRow:
        row = success(
            fiat=Decimal(notes * 50), crypto_atoms=Decimal(sats), discount=discount, dispense_confirmed=good
        )
        if good:
            self.succeeded.add(row.external_id)
        self.process([row], charge)
        return row

    @rule(
        again=st.lists(known_rows, min_size=1, max_size=6),
        succeeds=st.booleans(),
        version=st.integers(6, 9),
        charge=st.sampled_from(Charge),
    )
    def seen_again(self, again: list[SourceRow], succeeds: bool, version: int, charge: Charge) -> None:
        """The same rows, some of them a success by now; or a late notice of how they were before."""
        batch = [
            success(
                external_id=row.external_id,
                fiat=row.fiat,
                crypto_atoms=row.crypto_atoms,
                discount=row.discount,
                dispense_confirmed=row.dispense_confirmed or succeeds,
                tx_version=version,
            )
            for row in again
        ]
        self.succeeded |= {row.external_id for row in batch if row.dispense_confirmed}
        self.process(batch, charge)

    @rule(client_id=known_clients, max_sats=st.integers(1, 1_000_000))
    def reserve(self, client_id: int, max_sats: int) -> None:
        async def work(conn: AsyncConnection) -> None:
            if client_id in await agenda.owed_clients(conn, 100):
                found = await store.reserve(conn, client_id, max_sats=max_sats, actor="test")
                assert found is not None and not set(found[1]) & set(self.settled_records)

        self.step(work)

    def a_payout(self, data: st.DataObject) -> store.Payout | None:
        async def work(conn: AsyncConnection) -> list[store.Payout]:
            found = await rows(conn, "SELECT CAST(id AS text) AS id FROM payout ORDER BY created_at")
            return [await store.load(conn, r.id) for r in found]

        known = self.step(work)
        return data.draw(st.sampled_from(known), label="payout") if known else None

    @rule(data=st.data(), fee_msat=st.integers(0, 5000))
    def a_step_of_a_payout(self, data: st.DataObject, fee_msat: int) -> None:
        payout = self.a_payout(data)
        if payout is None:
            return
        state = payout.state
        if state is PayoutState.RESERVED:
            self.step(lambda c: store.invoiced(c, payout, made_up_invoice(payout.payout_id, payout.amount_sats)))
        elif state is PayoutState.INVOICED:
            self.step(lambda c: store.submitting(c, payout))
        elif state in (PayoutState.SUBMITTED, PayoutState.UNKNOWN):
            self.settle(payout, fee_msat)
        elif state in FINAL_STATES:
            with pytest.raises(ConflictError):
                self.settle(payout, fee_msat)

    def settle(self, payout: store.Payout, fee_msat: int) -> None:
        async def work(conn: AsyncConnection) -> list[int]:
            await store.settle(conn, payout, fee_msat=fee_msat, evidence={}, actor="test")
            found = await rows(
                conn,
                "SELECT record_id FROM payout_record WHERE payout_id = CAST(:id AS uuid)",
                id=payout.payout_id,
            )
            return [int(r.record_id) for r in found]

        for record_id in self.step(work):
            assert record_id not in self.settled_records, "paid twice"
            self.settled_records[record_id] = payout.payout_id
        self.fees_msat += fee_msat

    @rule(
        data=st.data(),
        outcome=st.sampled_from(
            [PayoutState.FAILED, PayoutState.EXPIRED, PayoutState.VOID, PayoutState.UNKNOWN, PayoutState.SUBMITTED]
        ),
    )
    def another_end_of_a_payout(self, data: st.DataObject, outcome: PayoutState) -> None:
        """Whatever is asked for: it is a move that there is, or it is refused and nothing changes."""
        payout = self.a_payout(data)
        if payout is None:
            return
        with contextlib.suppress(ConflictError):
            if outcome is PayoutState.SUBMITTED:
                self.step(lambda c: store.submitting(c, payout))
            elif outcome is PayoutState.UNKNOWN:
                if payout.state is not PayoutState.HELD:
                    self.step(lambda c: store.move(c, payout, outcome, "unknown"))
            elif payout.state is not PayoutState.HELD:
                self.step(lambda c: store.release(c, payout, outcome, reason="test", actor="test"))

    @rule(data=st.data(), release=st.booleans())
    def by_hand(self, data: st.DataObject, release: bool) -> None:
        payout = self.a_payout(data)
        if payout is None:
            return
        step = payouts.release if release else payouts.hold
        with contextlib.suppress(ConflictError):
            self.run(step(self.db, payout.payout_id, reason="test", actor="test"))

    @invariant()
    def the_books_hold(self) -> None:
        assert [check for check in self.run(verify(self.db)) if not check.holds] == []

    @invariant()
    def every_sat_is_somewhere(self) -> None:
        async def work(conn: AsyncConnection) -> None:
            at = await one(conn, EVERYWHERE)
            assert at.came_in == at.house + at.owed + at.in_flight + at.paid
            assert at.fees_msat == self.fees_msat

            async def kept(purpose: str) -> int:
                return int(await scalar(conn, KEPT, purpose=purpose))

            assert await kept("coins-received") == at.came_in * 1000
            assert await kept("house-sats") == -at.house * 1000
            assert await kept("client-payable") == -at.owed * 1000
            assert await kept("payouts-in-flight") == -at.in_flight * 1000
            assert await kept("coins-source") == -(at.paid * 1000 + at.fees_msat)

        self.step(work)

    @invariant()
    def clients_have_what_the_model_says(self) -> None:
        for view in self.run(clients.list_all(self.db)):
            balance = sum(b.balance_minor for b in view.balances)
            assert balance == self.balances[view.client_id] >= 0

    @invariant()
    def what_is_settled_stays_settled(self) -> None:
        async def work(conn: AsyncConnection) -> set[int]:
            return {r.id for r in await rows(conn, "SELECT id FROM distribution_record WHERE state = 'settled'")}

        assert self.step(work) == set(self.settled_records)


def test_any_order_of_anything(postgres_server: PostgresServer, books_template: str) -> None:
    class BooksHere(Books):
        @staticmethod
        def open_books() -> Any:
            return _Opened(postgres_server, books_template)

    run_state_machine_as_test(
        BooksHere,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


class _Opened:
    """A database of one run's own, by its SQLAlchemy URL."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._clone = server.clone(template)

    def __enter__(self) -> str:
        return sqlalchemy_url(self._server.dsn(self._clone.__enter__()))

    def __exit__(self, *_: object) -> None:
        self._clone.__exit__(None, None, None)
