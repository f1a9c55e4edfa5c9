"""Rules for a stateful test: cash-outs, commission, reversals, adjustments and payouts, in any order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.commission import Pay, percent_decimal
from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database, rows, scalar
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts import agenda, store
from dca_daemon.services import adjustments, clients, commission, commission_release, reversals
from dca_daemon.services.clients import Status
from dca_daemon.services.commission import PayRule, Wish
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.ledger.filled import made_up_invoice
from tests.services.builders import client, sql, success

T = TypeVar("T")
RULES = (
    PayRule(),
    PayRule(Pay.FROM_AMOUNT, from_sats=5_000),
    PayRule(Pay.AT_TIMES, ("08:00", "18:30"), "America/Guatemala"),
)
PEOPLE = (1, 2, 3, 4)  # two clients, and two wallets that only receive commission


DONE = """
    SELECT state FROM cash_out
     WHERE external_id = :id
       AND (state IN ('distributed', 'settled-by-hand', 'ignored') OR state = 'review' AND reason = 'reversed')"""


class MoneyMachine(RuleBasedStateMachine):
    """`open_books` gives each run a database of its own."""

    open_books: Callable[[], Any]

    def __init__(self) -> None:
        super().__init__()
        self.context = self.open_books()
        database = self.context.__enter__()
        self.runner = asyncio.Runner()
        self.db = Database(database, pool_size=2)
        self.rows: dict[str, SourceRow] = {}
        self.settled: set[int] = set()
        self.days = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def step(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        return self.run(self.db.run(work))

    def teardown(self) -> None:
        self.run(self.db.close())
        self.runner.close()
        self.context.__exit__(None, None, None)

    @initialize()
    def people(self) -> None:
        for deposit, mode in (("20000", "flow"), ("777.77", "flow"), (None, "commission"), (None, "commission")):
            self.run(client(self.db, deposit, mode=mode))

    def process(self, row: SourceRow) -> None:
        """The daemon sees a row. What is done, or what only a person may decide, it leaves alone."""
        self.rows[row.external_id] = row
        done = self.step(lambda conn: scalar(conn, DONE, id=row.external_id))
        for found in self.run(Intake(self.db, IntakeConfig()).process([row])).distributed:
            assert not done, f"it was {done}"
            parts = sum(s.sats for s in found.allocation.shares) + found.commission.shared_sats
            assert parts + found.house_sats == found.split.total_sats == int(row.crypto_atoms)

    @rule(notes=st.integers(1, 80), sats=st.integers(1, 600_000), discount=st.sampled_from([None, 35, 100]))
    def cash_out(self, notes: int, sats: int, discount: int | None) -> None:
        self.process(success(fiat=Decimal(notes * 50), crypto_atoms=Decimal(sats), discount=discount))

    @rule(
        points=st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 4000), max_size=4),
        inactive=st.sampled_from(PEOPLE),
        when=st.sampled_from(RULES),
    )
    def set_shares(self, points: dict[int, int], inactive: int, when: PayRule) -> None:
        shares = tuple((str(c), percent_decimal(p)) for c, p in points.items())
        off = (str(inactive),) if inactive in points else ()
        active = sum(p for c, p in points.items() if c != inactive)
        wish = Wish(shares=shares, inactive=off, rule=when)
        try:
            seen = self.run(commission.preview(self.db, wish))
        except InputError as error:
            assert active > 10_000 or "already" in str(error)
            return
        assert active <= 10_000
        self.run(commission.apply(self.db, wish, seen=seen.before, reason=None, actor="test"))

    @rule(person=st.sampled_from(PEOPLE), active=st.booleans())
    def set_status(self, person: int, active: bool) -> None:
        to = Status.ACTIVE if active else Status.INACTIVE
        self.run(clients.set_status(self.db, str(person), to, actor="test"))

    @rule()
    def a_day_passes(self) -> None:
        self.days += 1
        now = datetime.now(UTC) + timedelta(days=self.days)

        async def work(conn: AsyncConnection) -> list[Any]:
            await commission_release.lock(conn)
            return [
                *await commission_release.release_due(conn, now, actor="daemon"),
                *await commission_release.release_due(conn, now, actor="daemon"),
            ]

        assert len(self.step(work)) <= 1, "a set time is served once"

    @rule(person=st.sampled_from(PEOPLE))
    def release_by_hand(self, person: int) -> None:
        with contextlib.suppress(InputError):
            self.run(commission_release.release(self.db, [str(person)], actor="test"))

    @rule(person=st.sampled_from(PEOPLE), minor=st.integers(-500_000, 500_000).filter(bool))
    def adjust_fiat(self, person: int, minor: int) -> None:
        amount = str(Decimal(minor).scaleb(-2))
        with contextlib.suppress(ConflictError, InputError):  # below zero, or a receiver
            self.run(adjustments.apply(self.db, adjustments.Wish(str(person), "test", fiat=amount), actor="test"))

    @rule(person=st.sampled_from(PEOPLE), sats=st.integers(-20_000, 20_000).filter(bool))
    def adjust_sats(self, person: int, sats: int) -> None:
        self.run(adjustments.apply(self.db, adjustments.Wish(str(person), "test", sats=str(sats)), actor="test"))

    @rule(person=st.sampled_from(PEOPLE), max_sats=st.integers(1, 1_000_000))
    def reserve(self, person: int, max_sats: int) -> None:
        async def work(conn: AsyncConnection) -> None:
            if person in await agenda.owed_clients(conn, 100):
                await store.reserve(conn, person, max_sats=max_sats, actor="test")

        self.step(work)

    @rule(data=st.data(), hold=st.booleans())
    def a_step_of_a_payout(self, data: st.DataObject, hold: bool) -> None:
        async def unfinished(conn: AsyncConnection) -> list[store.Payout]:
            query = """SELECT CAST(id AS text) AS id FROM payout
                        WHERE state IN ('reserved', 'invoiced', 'submitted') ORDER BY created_at"""
            return [await store.load(conn, r.id) for r in await rows(conn, query)]

        found = self.step(unfinished)
        if not found:
            return
        payout = data.draw(st.sampled_from(found), label="payout")

        async def work(conn: AsyncConnection) -> None:
            if hold:
                await store.hold(conn, payout, reason="test", detail={})
            elif payout.state is PayoutState.RESERVED and payout.amount_sats:
                invoice = made_up_invoice(payout.payout_id, payout.amount_sats)
                await store.invoiced(conn, payout, invoice)
            elif payout.state is PayoutState.INVOICED:
                await store.submitting(conn, payout)
            else:
                await store.settle(conn, payout, fee_msat=0, evidence={}, actor="test")

        self.step(work)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        """It is reversed exactly when nothing of it has been paid, or may have been."""

        async def distributions(conn: AsyncConnection) -> list[Any]:
            return await rows(
                conn,
                """SELECT d.id, d.reversed_at IS NULL AND NOT EXISTS (
                              SELECT FROM distribution_record r
                                LEFT JOIN payout_record pr ON pr.record_id = r.id AND pr.active
                                LEFT JOIN payout p ON p.id = pr.payout_id
                               WHERE r.distribution_id = d.id AND r.state IN ('in-payout', 'settled')
                                 AND NOT (p.state = 'held' AND p.held_from IN ('reserved', 'invoiced'))) AS can
                     FROM distribution d ORDER BY d.id""",
            )

        found = self.step(distributions)
        if not found:
            return
        chosen = data.draw(st.sampled_from(found), label="distribution")
        try:
            self.run(reversals.reverse(self.db, chosen.id, reason="test", actor="test"))
        except ConflictError:
            assert not chosen.can
        else:
            assert chosen.can

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), decide=st.booleans())
    def seen_again(self, data: st.DataObject, decide: bool) -> None:
        """A reversed cash-out is distributed again only when somebody has decided so."""
        row = self.rows[data.draw(st.sampled_from(sorted(self.rows)), label="cash-out")]
        if decide:
            self.run(
                sql(
                    self.db,
                    "UPDATE cash_out SET state = 'due' WHERE external_id = :x AND reason = 'reversed'",
                    x=row.external_id,
                )
            )
        self.process(row)

    @invariant()
    def the_books_hold(self) -> None:
        assert [check for check in self.run(verify(self.db)) if not check.holds] == []

    @invariant()
    def what_is_settled_stays_settled(self) -> None:
        async def work(conn: AsyncConnection) -> set[int]:
            return {r.id for r in await rows(conn, "SELECT id FROM distribution_record WHERE state = 'settled'")}

        now = self.step(work)
        assert self.settled <= now
        self.settled = now
