"""Pools and machines: each cash-out is shared within its machine's pool, whatever moves meanwhile."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from dca_daemon.domain.cash_out import CashOutState, SourceRow
from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.services import baseline, cash_outs, clients, deposits, machines, pools
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.machines import Moved
from dca_daemon.services.pools import Pool
from tests.services.builders import client, success, value
from tests.services.test_baseline import FakeSource
from tests.services.test_manual_cash_outs import enter, entry

FLORES = "f" * 64
WAIT = IntakeConfig(new_machines_wait=True)


def at_flores(**changes: object) -> SourceRow:
    return success(**{"device_id": FLORES, "machine_name": "Flores", **changes})


async def playa(db: Database, currency: str = "USD") -> Pool:
    return await pools.add(db, name="Playa", currency=currency, actor="ana")


async def deposit(db: Database, client_id: int, amount: str, pool: str | None = None) -> int:
    recorded = await deposits.record(
        db, client=str(client_id), amount=amount, currency=None, note=None, actor="ana", pool=pool
    )
    await deposits.confirm(db, recorded.deposit_id, actor="ana")
    return recorded.deposit_id


async def move(
    db: Database,
    machine: str,
    pool: str | None,
    *,
    rehearse: bool = False,
    config: IntakeConfig = WAIT,
) -> Moved:
    return await machines.move(
        db, Intake(db, config), machine, pool, reason="because", actor="ana", rehearse=rehearse
    )


async def balances(db: Database, client_id: int) -> dict[str, int]:
    return {b.pool: b.balance_minor for b in (await clients.show(db, str(client_id))).balances}


async def pool_of(db: Database, row: SourceRow) -> str:
    query = "SELECT p.name FROM cash_out c JOIN pool p ON p.id = c.pool_id WHERE c.external_id = :id"
    return str(await value(db, query, id=row.external_id))


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def test_a_cash_out_is_shared_within_its_machines_pool(books: Database) -> None:
    """Two pools in two currencies; one client has deposits in both, the others in one."""
    await playa(books)
    both, here, there = [await client(books) for _ in range(3)]
    for client_id, amount, pool in ((both, "9000", None), (here, "3000", None)):
        await deposit(books, client_id, amount, pool)
    for client_id, amount in ((both, "100"), (there, "300")):
        await deposit(books, client_id, amount, "playa")
    await Intake(books, IntakeConfig()).process(
        [success(dispense_confirmed=False), at_flores(dispense_confirmed=False)]
    )
    await move(books, "Flores", "Playa")
    gtq = success(fiat=Decimal(1000), crypto_atoms=Decimal(128_000))
    usd = at_flores(fiat=Decimal(100), fiat_code="USD", crypto_atoms=Decimal(99_000))
    wrong = at_flores()
    await Intake(books, IntakeConfig()).process([gtq, usd, wrong])
    shown = [await cash_outs.show(books, row.external_id) for row in (gtq, usd, wrong)]
    assert [[s.client_id for s in view.shares] for view in shown] == [[both, here], [both, there], []]
    assert shown[2].summary.reason_text == "the cash-out is in GTQ, the pool is in USD"
    # Of 94.50 dollars a quarter is 23.625: the half cent goes to the lower id.
    assert await balances(books, both) == {"default": 900_000 - 70_875, "Playa": 10_000 - 2_363}
    assert await balances(books, there) == {"Playa": 30_000 - 7_087}
    with pytest.raises(InputError, match=r"is in GTQ, not in USD \(pools in USD: 'Playa' \(--pool\)\)"):
        await deposits.record(books, client="1", amount="5", currency="usd", note=None, actor="x")
    with pytest.raises(InputError, match=r"is in USD, not in EUR.*no pool is in EUR"):
        await deposits.record(books, client="1", amount="5", currency="EUR", note=None, actor="x", pool="2")
    with pytest.raises(NotFoundError, match="no pool 'Nowhere'"):
        await deposits.record(books, client="1", amount="5", currency=None, note=None, actor="x", pool="Nowhere")
    await assert_books_hold(books)


async def test_what_is_no_pool_is_refused(books: Database) -> None:
    for name, currency, words in (
        ("", "GTQ", "is no name"),
        ("x" * 65, "GTQ", "is no name"),
        ("12", "GTQ", "can't be a number"),
        ("DEFAULT", "GTQ", "there is a pool"),
        ("Playa", "QQQ", "unknown currency"),
    ):
        with pytest.raises(InputError, match=words):
            await pools.add(books, name=name, currency=currency, actor="ana")
    assert await value(books, "SELECT count(*) FROM pool") == 1


async def test_two_pools_at_once_have_numbers_of_their_own(books: Database) -> None:
    names = ["Playa", "Lago", "playa"]
    found = await asyncio.gather(
        *(pools.add(books, name=name, currency="GTQ", actor="ana") for name in names), return_exceptions=True
    )
    opened = [p.pool_id for p in found if isinstance(p, Pool)]
    assert sorted(opened) == [2, 3] and sum(isinstance(f, ConflictError) for f in found) == 1


async def test_a_failed_cash_out_that_succeeds_after_its_machine_moved_is_shared_there(books: Database) -> None:
    await playa(books, "GTQ")
    here, there = await client(books, "5000"), await client(books)
    await deposit(books, there, "5000", "Playa")
    done, failed = success(), success(dispense_confirmed=False, tx_version=4)
    await Intake(books, IntakeConfig()).process([done, failed])
    await move(books, "Antigua", "Playa")
    await Intake(books, IntakeConfig()).process([success(external_id=failed.external_id), done])
    assert [s.client_id for s in (await cash_outs.show(books, failed.external_id)).shares] == [there]
    assert [s.client_id for s in (await cash_outs.show(books, done.external_id)).shares] == [here]
    # What is booked stays where it was; a change at the source does not carry it along.
    await Intake(books, IntakeConfig()).process([success(external_id=done.external_id, tx_version=9)])
    assert (await pool_of(books, done), await pool_of(books, failed)) == ("default", "Playa")
    with pytest.raises(ConflictError, match="is in the pool 'Playa' already"):
        await move(books, "Antigua", "Playa")
    assert await value(books, "SELECT before ->> 'pool_id' FROM audit_log WHERE action = 'machine.move'") == "1"
    await assert_books_hold(books)


async def test_a_new_machine_waits_for_a_decision(books: Database) -> None:
    await playa(books, "GTQ")
    here, there = await client(books, "20000"), await client(books)
    await deposit(books, there, "20000", "Playa")
    waiting = [at_flores(), at_flores(commission_percentage=None)]
    await baseline.ensure(books, FakeSource(success()), actor="test", new_machines_wait=True)
    antigua = success()
    await Intake(books, WAIT).process([*waiting, at_flores(dispense_confirmed=False), antigua])
    for row in (*waiting, antigua):
        view = (await cash_outs.show(books, row.external_id)).summary
        assert (view.state, view.reason) == (CashOutState.REVIEW, "machine-awaits-pool")
    with pytest.raises(ConflictError, match="nobody has decided on its pool"):
        await enter(books, entry(machine="Flores"))
    seen = await move(books, "Flores", "Playa", rehearse=True)
    assert (await machines.show(books, FLORES[:8])).awaiting_pool
    moved = await move(books, "Flores", "Playa")
    assert moved == seen
    assert (moved.distributed, moved.distributed_sats, moved.not_distributed) == (1, 512_400, 1)
    assert (moved.machine.pool, moved.machine.waiting, moved.machine.awaiting_pool) == ("Playa", 0, False)
    assert [s.client_id for s in (await cash_outs.show(books, waiting[0].external_id)).shares] == [there]
    assert (await cash_outs.show(books, waiting[1].external_id)).summary.reason == "unusable"
    accepted = await move(books, "Antigua", None)
    assert (accepted.machine.pool, accepted.distributed) == ("default", 1)
    assert [s.client_id for s in (await cash_outs.show(books, antigua.external_id)).shares] == [here]
    with pytest.raises(ConflictError, match="already"):
        await move(books, "Antigua", None)
    assert [m.pool for m in await machines.list_all(books)] == ["default", "Playa"]
    await assert_books_hold(books)


async def test_moves_and_bookings_at_once_never_mix_pools(books: Database) -> None:
    """Two daemons book while a person moves the machine to and fro: each is shared where the machine was then."""
    await playa(books, "GTQ")
    here, there = await client(books, "900000"), await client(books)
    await deposit(books, there, "900000", "Playa")
    rows = [success() for _ in range(24)]
    await Intake(books, IntakeConfig()).process(rows[:1])

    async def to_and_fro() -> None:
        for name in ("Playa", "default", "Playa", "default", "Playa"):
            await move(books, "Antigua", name)

    batches = [rows[n : n + 4] for n in range(0, 24, 4)]

    async def daemon() -> None:
        for batch in batches:
            await Intake(books, IntakeConfig()).process(batch)

    await asyncio.gather(to_and_fro(), daemon(), daemon())
    assert await value(books, "SELECT count(*) FROM distribution") == 24
    mixed = """SELECT count(*) FROM distribution d JOIN cash_out c ON c.id = d.cash_out_id
                 JOIN distribution_record r ON r.distribution_id = d.id
                WHERE d.pool_id <> c.pool_id OR r.client_id <> CASE d.pool_id WHEN 1 THEN :here ELSE :there END"""
    assert await value(books, mixed, here=here, there=there) == 0
    await assert_books_hold(books)


async def test_a_move_waits_for_a_booking_that_is_under_way(books: Database) -> None:
    await playa(books, "GTQ")
    await client(books, "20000")
    await Intake(books, IntakeConfig()).process([success(dispense_confirmed=False)])
    row = success()
    async with books.transaction() as conn:
        await Intake(books, IntakeConfig()).book(conn, [row])
        moving = asyncio.create_task(move(books, "Antigua", "Playa"))
        await asyncio.wait({moving}, timeout=0.3)
        assert not moving.done()
    await moving
    assert await pool_of(books, row) == "default"


async def test_a_machine_is_named_where_lamassu_does_not_tell(books: Database) -> None:
    await Intake(books, IntakeConfig()).process([success(machine_name=None), at_flores()])
    assert (await machines.name(books, "dddddd", "  La  Merced ", actor="ana")).name == "La Merced"
    await Intake(books, IntakeConfig()).process([success(machine_name=None)])
    assert (await machines.show(books, "la merced")).device_id == "d" * 64
    for reference, words in (("ddddd", "there is no machine"), ("Playa", "there is no machine")):
        with pytest.raises(NotFoundError, match=words):
            await machines.show(books, reference)
    with pytest.raises(InputError, match="is no name"):
        await machines.name(books, "Flores", " ", actor="ana")
    await machines.name(books, "Flores", "La Merced", actor="ana")
    with pytest.raises(ConflictError, match="several machines"):
        await machines.show(books, "La Merced")
