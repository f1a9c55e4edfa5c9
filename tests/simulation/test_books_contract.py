"""The books in memory do what the real ones do: both are taken through the same steps, and compared after each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.commission import Pay, Terms
from dca_daemon.domain.errors import DcaError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.books import PayoutBooks, SqlPayoutBooks
from dca_daemon.payouts.store import Payout
from dca_daemon.payouts.wallet import Invoice
from dca_daemon.services.booking import SqlBooking
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import client, sql, success
from tests.simulation.memory_booking import MemoryBooking
from tests.simulation.memory_payouts import MemoryPayoutBooks
from tests.simulation.session import FairWeather, Session
from tests.simulation.tables import Tables, moment, now_seconds

DEPOSITS_MINOR = (2_000_000, 1_000_000, 7)


@dataclass
class Side:
    """One kind of books, and the payouts that were made in it, in order."""

    books: PayoutBooks
    intake: Intake
    now: Callable[[], datetime]
    ids: list[str] = field(default_factory=list)
    seen: dict[str, Payout] = field(default_factory=dict)  # as it was when it was last looked at

    async def reserve(self, client_id: int, max_sats: int) -> Any:
        found = await self.books.reserve(client_id, max_sats=max_sats)
        if found is None:
            return None
        self.ids.append(found[0])
        return len(found[1])

    async def invoiced(self, payout: Payout, number: int, life_seconds: int) -> None:
        ends = self.now() + timedelta(seconds=life_seconds)
        payment_hash = f"{number:064x}"
        await self.books.invoiced(payout, Invoice(f"ln{number}", payment_hash, payout.amount_sats, ends, "w"))

    async def look(self) -> list[object]:
        """All that can be seen, without the ids, which differ."""
        waiting = await self.books.waiting(100)
        loaded = [await self.books.load(payout_id) for payout_id in self.ids]
        shown = [
            (p.client_id, p.amount_sats, p.state, p.bolt11, p.payment_hash, p.failures, p.submits, p.expiring,
             p.wallet_id, p.submitted_ago_seconds is None)
            for p in loaded
        ]  # fmt: skip
        due = sorted(self.ids.index(payout_id) for payout_id in waiting.payout_ids)
        nothing_open = await self.books.seconds_to_next() is None
        return [shown, due, waiting.client_ids, await self.books.unpaid_sats(), nothing_open]


async def sides(db: Database, seed: int) -> list[Side]:
    tables = Tables()
    for minor in DEPOSITS_MINOR:
        await client(db, str(Decimal(minor) / 100))
        tables.add_client(minor)
    await sql(db, "UPDATE destination SET min_sats = 5000 WHERE id = 2")
    tables.clients[2].min_sats = 5000
    pay = (Pay.AT_ONCE, Pay.FROM_AMOUNT)[seed % 2]
    await sql(
        db,
        "INSERT INTO commission_version (pay, pay_from_sats, actor) VALUES (:pay, :sats, 'test')",
        pay=pay,
        sats=None if pay is Pay.AT_ONCE else 10_000,
    )
    shares = {2: 3_333, 3: 1} if seed % 3 else {}
    for client_id, basis_points in shares.items():
        await sql(
            db,
            "INSERT INTO commission_share (version_id, client_id, basis_points) VALUES (1, :client, :points)",
            client=client_id,
            points=basis_points,
        )
    tables.commission = Terms(1, pay, shares)
    session = Session(tables, FairWeather())
    config = IntakeConfig()
    return [
        Side(SqlPayoutBooks(db), Intake(db, config, SqlBooking), lambda: datetime.now(UTC)),
        Side(
            MemoryPayoutBooks(session, Random(seed)),
            Intake(session, config, MemoryBooking),
            lambda: moment(now_seconds()),
        ),
    ]


def a_row(random: Random, again: list[SourceRow]) -> SourceRow:
    if again and random.random() < 0.3:
        return random.choice(again)
    notes = random.randint(1, 40)
    row = success(
        fiat=Decimal(notes * 50),
        crypto_atoms=Decimal(random.randint(1, 90_000)),
        dispense_confirmed=random.random() < 0.8,
    )
    again.append(row)
    return row


Step = Callable[[Side], Awaitable[object]]


def a_step(random: Random, rows: list[SourceRow], payouts: int, number: int) -> tuple[str, Step]:
    """Something that may be asked of the books, whether it fits or not."""
    if payouts == 0 or random.random() < 0.4:
        if random.random() < 0.5:
            batch = [a_row(random, rows) for _ in range(random.randint(1, 4))]
            return "cash-outs", lambda side: _process(side, batch)
        client_id, max_sats = random.randint(1, 3), random.choice([1, 20_000, 10**7])
        return "reserve", lambda side: side.reserve(client_id, max_sats)
    index, stale = random.randrange(payouts), random.random() < 0.3
    life_seconds = random.choice([10, 86_400])
    again = random.randint(0, max(0, number - 1)) if random.random() < 0.1 else number
    seconds, failed = random.choice([-1.0, 500.0]), random.random() < 0.5
    outcome = random.choice([PayoutState.FAILED, PayoutState.EXPIRED, PayoutState.VOID])
    reason = random.choice(["why", "the source wallet is short"])
    steps: dict[str, Callable[[PayoutBooks, Side, Payout], Awaitable[None]]] = {
        "invoiced": lambda books, side, p: side.invoiced(p, again, life_seconds),
        "submitting": lambda books, side, p: books.submitting(p),
        "unanswered": lambda books, side, p: books.unanswered(p),
        "unknown": lambda books, side, p: books.unknown(p, reason=reason),
        "settle": lambda books, side, p: books.settle(p, fee_msat=7, evidence={}),
        "release": lambda books, side, p: books.release(p, outcome, reason=reason),
        "hold": lambda books, side, p: books.hold(p, reason=reason, detail={}),
        "postpone": lambda books, side, p: books.postpone(p, seconds=seconds, reason=reason, failed=failed),
    }
    name = random.choice([*steps, "invoiced", "submitting", "submitting"])

    async def step(side: Side) -> None:
        payout_id = side.ids[index]
        known = side.seen.get(payout_id)
        payout = known if stale and known is not None else await side.books.load(payout_id)
        side.seen[payout_id] = payout
        if payout.state is PayoutState.HELD:
            return  # a person's business, which the payer never touches
        if name == "settle" and payout.state is PayoutState.RESERVED:
            return  # only where a credit covers it all, of which the books in memory know nothing
        await steps[name](side.books, side, payout)

    return f"{name} of {index}{' (stale)' if stale else ''}", step


async def _process(side: Side, batch: list[SourceRow]) -> object:
    result = await side.intake.process(batch)
    shares = [
        ([(s.client_id, s.sats, s.fiat_minor) for s in d.allocation.shares], d.commission, d.terms)
        for d in result.distributed
    ]
    return shares, result.duplicates, [(m.row.external_id, m.state, m.reason) for m in result.changed]


async def _outcome(step: Step, side: Side) -> object:
    try:
        return await step(side)
    except DcaError as error:
        return type(error).__name__, error.code


@pytest.mark.parametrize("seed", range(12))
async def test_both_answer_alike(books: Database, seed: int) -> None:
    random = Random(seed)
    real, memory = await sides(books, seed)
    rows: list[SourceRow] = []
    done: list[str] = []
    for number in range(40):
        name, step = a_step(random, rows, len(real.ids), number)
        done.append(name)
        assert await _outcome(step, memory) == await _outcome(step, real), done
        assert await memory.look() == await real.look(), done
