"""Adopted payments and the credits that they become: what the database refuses, and that no sat gets lost."""

from __future__ import annotations

import asyncio
import hashlib
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest

from dca_daemon.demo.postgres import sqlalchemy_url
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger import migrate
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts import adoption, agenda
from dca_daemon.services import clients, payouts
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.payout_resolution import Resolution, resolve
from tests.fixtures.postgres import PostgresServer
from tests.ledger.filled import fail, invoice, reserve, settle, submit
from tests.services.builders import client, sql, success, value

CHECK, UNIQUE, RESTRICT = "23514", "23505", "23001"
LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)


async def adopt(db: Database, client_id: int, amount_sats: int, *, doubt: str | None = None) -> str:
    """A payment that LNbits is said to know."""
    payout_id = str(uuid.uuid4())
    payment_hash = hashlib.sha256(payout_id.encode()).hexdigest()
    payment = adoption.LostPayment(payment_hash, "ln" + payout_id, payout_id, client_id, amount_sats, LONG_AGO)
    destination_id = await value(db, "SELECT destination_id FROM client WHERE id = :id", id=client_id)
    await db.run(
        lambda conn: adoption.adopt(
            conn, payment, payout_id=payout_id, destination_id=destination_id, doubt=doubt, actor="test"
        )
    )
    return payout_id


async def credit_sats(db: Database, client_id: int) -> int:
    return (await clients.show(db, str(client_id))).credit_sats


async def small_cash_out(db: Database) -> None:
    await Intake(db, IntakeConfig()).process([success(fiat=Decimal(100), crypto_atoms=Decimal(12800))])


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def waiting(db: Database) -> list[int]:
    async with db.transaction() as conn:
        return await agenda.owed_clients(conn, 10)


async def test_a_client_waits_until_an_adopted_payment_is_certain(books: Database) -> None:
    client_id = await client(books, "20000")
    await small_cash_out(books)
    assert await waiting(books) == [client_id]
    adopted = await adopt(books, client_id, 12_000)
    await assert_books_hold(books)
    assert await waiting(books) == [] and await reserve(books, client_id) is None
    await settle(books, adopted)
    assert await waiting(books) == [client_id]
    payout_id = await reserve(books, client_id)
    view, _, _ = await payouts.show(books, payout_id or "")
    assert (view.amount_sats, view.credit_sats) == (96, 12_000)
    assert await credit_sats(books, client_id) == 0
    await assert_books_hold(books)
    await fail(books, payout_id or "", PayoutState.VOID)
    assert await credit_sats(books, client_id) == 12_000
    await assert_books_hold(books)


async def test_a_doubtful_one_stops_the_client_too(books: Database) -> None:
    client_id = await client(books, "20000")
    await small_cash_out(books)
    adopted = await adopt(books, client_id, 12_000, doubt="whose was it?")
    assert await waiting(books) == [] and await reserve(books, client_id) is None
    await resolve(books, adopted, Resolution.VOID, reason="not hers", actor="op")
    assert await credit_sats(books, client_id) == 0
    assert await waiting(books) == [client_id]
    await assert_books_hold(books)


async def test_one_that_was_lost_on_its_way_is_written_off(books: Database) -> None:
    client_id = await client(books, "20000")
    adopted = await adopt(books, client_id, 12_000, doubt="torn")
    await resolve(books, adopted, Resolution.WRITTEN_OFF, reason="never arrived", actor="op")
    assert await credit_sats(books, client_id) == 0
    assert await value(books, "SELECT balance FROM account WHERE name = 'expense:losses'") == 12_000_000
    await assert_books_hold(books)


async def test_less_than_the_destination_takes_waits_but_not_what_the_credit_covers(books: Database) -> None:
    client_id = await client(books, "20000")
    await sql(books, "UPDATE destination SET min_sats = 1000")
    await small_cash_out(books)  # 12,096 sats
    await settle(books, await adopt(books, client_id, 12_000))
    assert await waiting(books) == []  # 96 are left to pay
    await settle(books, await adopt(books, client_id, 96))
    assert await waiting(books) == [client_id]


async def test_what_is_unpaid_does_not_count_what_credits_cover(books: Database) -> None:
    client_id = await client(books, "20000")
    await small_cash_out(books)
    await settle(books, await adopt(books, client_id, 12_000))
    async with books.transaction() as conn:
        assert await agenda.unpaid_sats(conn) == 96


@dataclass
class Walk:
    """Clients whose payouts and adopted payments go all ways, and what each has really received."""

    db: Database
    random: random.Random
    ids: list[int]
    received: dict[int, int] = field(default_factory=dict)

    async def step(self) -> None:
        kind = self.random.choice(["cash-out", "adopt", "reserve", "reserve", "end", "end", "end"])
        client_id = self.random.choice(self.ids)
        if kind == "cash-out":
            await small_cash_out(self.db)
        elif kind == "adopt":
            await adopt(self.db, client_id, self.random.choice([1, 500, 4_032, 9_000]))
        elif kind == "reserve":
            await self.reserve(client_id)
        else:
            await self.end_one(self.random.choice([True, False]))

    async def reserve(self, client_id: int) -> None:
        if client_id in await waiting(self.db):
            payout_id = await reserve(self.db, client_id)
            view, _, _ = await payouts.show(self.db, payout_id or "")
            # Nobody is paid while there is a credit left.
            assert view.amount_sats == 0 or await credit_sats(self.db, client_id) == 0

    async def end_one(self, settles: bool) -> bool:
        open_ones = await payouts.list_all(self.db, states=("reserved", "unknown", "held"))
        if not open_ones:
            return False
        one = self.random.choice(open_ones)
        if one.adopted_at is None and one.amount_sats and settles:
            await invoice(self.db, one.payout_id)
            await submit(self.db, one.payout_id)
        if settles:
            await settle(self.db, one.payout_id)
            self.received[one.client_id] = self.received.get(one.client_id, 0) + one.amount_sats
        else:
            await fail(self.db, one.payout_id, PayoutState.VOID if one.adopted_at is None else PayoutState.FAILED)
        return True

    async def assert_nothing_lost_or_gained(self) -> None:
        await assert_books_hold(self.db)
        for client_id in self.ids:
            view = await clients.show(self.db, str(client_id))
            uncertain = await value(
                self.db,
                "SELECT coalesce(sum(amount_sats), 0) FROM payout WHERE client_id = :c AND state = 'unknown'",
                c=client_id,
            )
            used = await value(
                self.db,
                """SELECT coalesce(sum(credit_sats), 0) FROM payout WHERE client_id = :c AND state = 'reserved'""",
                c=client_id,
            )
            received = self.received.get(client_id, 0)
            assert received == view.settled_sats + view.credit_sats - uncertain + used


@pytest.mark.parametrize("seed", range(6))
async def test_credits_never_make_anybody_lose_or_gain_a_sat(books: Database, seed: int) -> None:
    walk = Walk(books, random.Random(seed), [await client(books, "20000") for _ in range(3)])
    for _ in range(40):
        await walk.step()
        await walk.assert_nothing_lost_or_gained()
    for _ in range(60):  # all that is on its way ends well, and all that is owed is paid
        if not await walk.end_one(True):
            if not (owed := await waiting(books)):
                break
            await walk.reserve(owed[0])
    await walk.assert_nothing_lost_or_gained()
    for client_id in walk.ids:
        view = await clients.show(books, str(client_id))
        assert (view.owed_sats, view.in_payout_sats) == (0, 0)
        assert walk.received.get(client_id, 0) == view.settled_sats + view.credit_sats


@dataclass(frozen=True)
class Books:
    """A client `a` with an adopted payment, a settled credit, and a payout that is wholly covered by it."""

    dsn: str
    adopted: str
    covered: str
    plain: str


@pytest.fixture(scope="module")
def filled(postgres_server: PostgresServer, books_template: str) -> Iterator[Books]:
    async def prepare(url: str) -> list[str]:
        db = Database(url)
        a, b = await client(db, "20000"), await client(db, "20000")
        await small_cash_out(db)
        await settle(db, await adopt(db, a, 20_000))
        covered, plain = await reserve(db, a), await reserve(db, b)
        adopted = await adopt(db, a, 7)
        await db.close()
        assert covered and plain
        return [adopted, covered, plain]

    with postgres_server.clone(books_template) as database:
        dsn = postgres_server.dsn(database)
        yield Books(dsn, *asyncio.run(prepare(sqlalchemy_url(dsn))))


NEW = """INSERT INTO payout (id, client_id, destination_id, amount_sats, memo, {columns})
         SELECT gen_random_uuid(), 2, 2, {amount}, '', {values}"""

REFUSED: list[tuple[str, str, str, str | None]] = [
    ("a payment made an adopted one", "UPDATE payout SET adopted_at = now() WHERE id = '{plain}'", RESTRICT, None),
    ("an adopted one made ordinary", "UPDATE payout SET adopted_at = NULL WHERE id = '{adopted}'", RESTRICT, None),
    ("a credit changed", "UPDATE payout SET credit_sats = 1 WHERE id = '{covered}'", RESTRICT, None),
    (
        "settled, and never paid",
        """UPDATE payout SET state = 'settled', settled_at = now(), fee_msat = 0, bolt11 = 'x', payment_hash = 'x',
                  invoice_expires_at = now(), submit_until = now() WHERE id = '{plain}'""",
        RESTRICT,
        "payout_move",
    ),
    (
        "an invoice for what the credit covers",
        "UPDATE payout SET payment_hash = 'x' WHERE id = '{covered}'",
        CHECK,
        "payout_amount_sats_check",
    ),
    (
        "a payout of nothing",
        NEW.format(columns="credit_sats", amount=0, values="0"),
        CHECK,
        "payout_amount_sats_check",
    ),
    (
        "a credit below zero",
        NEW.format(columns="credit_sats", amount=5, values="-1"),
        CHECK,
        "payout_credit_sats_check",
    ),
    (
        "an adopted one that uses credit",
        NEW.format(
            columns="state, adopted_at, payment_hash, credit_sats", amount=5, values="'unknown', now(), 'x', 1"
        ),
        CHECK,
        "payout_adopted",
    ),
    (
        "an adopted one without a payment",
        NEW.format(columns="state, adopted_at", amount=5, values="'unknown', now()"),
        CHECK,
        "payout_adopted",
    ),
    (
        "an adopted one that could still be submitted",
        NEW.format(columns="state, adopted_at, payment_hash", amount=5, values="'reserved', now(), 'x'"),
        CHECK,
        "payout_adopted",
    ),
    (
        "a payout without records",
        NEW.format(columns="state, reason, held_from", amount=5, values="'held', 'x', 'reserved'"),
        CHECK,
        "payout_sum",
    ),
    (
        "an adopted one with records",
        """INSERT INTO payout_record SELECT '{adopted}', record_id, false FROM payout_record LIMIT 1""",
        CHECK,
        "payout_sum",
    ),
]


@pytest.mark.parametrize(
    ("statement", "sqlstate", "constraint"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_the_database_refuses(filled: Books, statement: str, sqlstate: str, constraint: str | None) -> None:
    with psycopg.connect(filled.dsn) as conn:
        with pytest.raises(psycopg.Error) as caught:
            conn.execute(
                statement.format(adopted=filled.adopted, covered=filled.covered, plain=filled.plain).encode()
            )
            conn.commit()
        conn.rollback()
    assert (caught.value.sqlstate, caught.value.diag.constraint_name) == (sqlstate, constraint)


def test_one_open_payout_and_any_number_of_adopted_ones(filled: Books) -> None:
    with psycopg.connect(filled.dsn) as conn:
        states = conn.execute("SELECT state, adopted_at IS NOT NULL FROM payout WHERE client_id = 1").fetchall()
    assert {("reserved", False), ("unknown", True), ("settled", True)} == set(states)


async def test_verify_finds_a_credit_that_nothing_explains(books: Database) -> None:
    client_id = await client(books, "20000")
    adopted = await adopt(books, client_id, 500)
    await sql(books, "ALTER TABLE payout DISABLE TRIGGER payout_protect")
    await sql(books, "UPDATE payout SET amount_sats = 501 WHERE id = CAST(:id AS uuid)", id=adopted)
    broken = {check.name: check.findings for check in await verify(books) if not check.holds}
    assert set(broken) == {"credits-add-up", "in-flight-is-reserved"}
    assert broken["credits-add-up"] == (
        f"client {client_id} has a credit of 500000 msat, its payouts and corrections come to 501 sats",
    )


def test_books_of_the_first_schema_keep_their_payouts(postgres_server: PostgresServer) -> None:
    """Migrated from 0001 with payouts in it."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    with postgres_server.clone("template0") as database:
        dsn = postgres_server.dsn(database)
        config = Config()
        config.set_main_option("script_location", "alembic")
        engine = create_engine(sqlalchemy_url(dsn))
        with engine.begin() as conn:
            config.attributes["connection"] = conn
            command.upgrade(config, "0001")
        engine.dispose()
        with psycopg.connect(dsn) as plain:
            plain.execute("INSERT INTO destination (kind, address) VALUES ('lightning-address', 'a@b.c')")
            plain.execute("INSERT INTO client (name, mode, destination_id) VALUES ('Ana', 'flow', 1)")
            plain.execute("ALTER TABLE payout DISABLE TRIGGER ALL")
            plain.execute(
                """INSERT INTO payout (id, client_id, destination_id, amount_sats, memo)
                   VALUES (gen_random_uuid(), 1, 1, 5, 'old')"""
            )
            plain.execute("ALTER TABLE payout ENABLE TRIGGER ALL")
        migrate.upgrade(sqlalchemy_url(dsn))
        with psycopg.connect(dsn) as plain:
            found = plain.execute("SELECT amount_sats, credit_sats, adopted_at FROM payout").fetchall()
    assert found == [(5, 0, None)]
