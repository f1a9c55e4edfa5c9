"""Notes that come and go: each booked, nobody gets more than is there, and machines add up to the books."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dca_daemon.domain.errors import BooksError, ConflictError, InputError
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.services import cash, cash_report, clients, deposits, pools
from dca_daemon.services.cash_report import MachineCash, PoolCash
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.pools import Pool
from tests.services.builders import client, success, value
from tests.services.test_cash_outs import FINGERPRINT
from tests.services.test_pools import at_flores, deposit, move, playa

WHO: dict[str, Any] = {"reason": "because", "actor": "ana"}


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def seen(db: Database) -> None:
    """Two machines, of which nothing has come out."""
    await Intake(db, IntakeConfig()).process(
        [success(dispense_confirmed=False), at_flores(dispense_confirmed=False)]
    )


async def test_a_client_gets_back_no_more_than_it_has_left(books: Database) -> None:
    await seen(books)
    client_id = await client(books, "5000")
    await Intake(books, IntakeConfig()).process([success()])  # 3780.00 of it have bought bitcoin
    before = await value(books, FINGERPRINT)
    here: dict[str, Any] = {"machine": None, "pool": None, **WHO}
    for amount, words in (("1220.01", "has only 1,220.00 GTQ left"), ("0", "greater than zero"), ("x", "amount")):
        with pytest.raises(InputError, match=words):
            await cash.give_back(books, str(client_id), amount, **here)
    rehearsed = await cash.give_back(books, str(client_id), "1220", **here, rehearse=True)
    assert await value(books, FINGERPRINT) == before
    done = await cash.give_back(books, str(client_id), "1220", **here)
    assert done == rehearsed
    assert (done.client_before_minor, done.client_after_minor) == (122_000, 0)
    assert done.cash_before_minor - done.cash_after_minor == 122_000
    assert done.house_before_minor == done.house_after_minor
    with pytest.raises(ConflictError, match=r"has only 0\.00 GTQ left"):
        await cash.give_back(books, str(client_id), "0.01", **here)
    with pytest.raises(ConflictError, match="can't be voided"):
        await deposits.void(books, 1, reason="x", actor="ana")
    audited = "SELECT after ->> 'amount_minor' FROM audit_log WHERE action = 'deposit.give-back'"
    assert await value(books, audited) == "122000"
    await assert_books_hold(books)


async def test_what_is_given_back_at_once_is_given_back_once(books: Database) -> None:
    client_id = await client(books, "1000")
    found = await asyncio.gather(
        *(cash.give_back(books, str(client_id), "600", machine=None, pool=None, **WHO) for _ in range(3)),
        Intake(books, IntakeConfig()).process([success()]),
        return_exceptions=True,
    )
    assert all(isinstance(f, ConflictError) for f in found if isinstance(f, BaseException))
    assert sum(isinstance(f, cash.Movement) for f in found) <= 1
    assert (await clients.show(books, str(client_id))).balances[0].balance_minor >= 0
    await assert_books_hold(books)


async def test_notes_of_the_house_come_and_go(books: Database) -> None:
    await seen(books)
    await playa(books)
    await client(books, "100")
    put_in = await cash.refill(books, "500.50", machine="Antigua", pool=None, **WHO)
    assert (put_in.house_before_minor, put_in.house_after_minor) == (0, 50_050)
    assert put_in.device_id == "d" * 64
    with pytest.raises(ConflictError, match=r"hold 600\.50 GTQ by the books: 600\.51 GTQ can't be taken out"):
        await cash.remove(books, "600.51", machine="Antigua", pool=None, **WHO)
    out = await cash.remove(books, "600.50", machine=None, pool="default", **WHO)
    assert (out.house_after_minor, out.cash_after_minor) == (-10_000, 0)
    with pytest.raises(InputError, match="that machine is in the pool 'default'"):
        await cash.refill(books, "1", machine="Antigua", pool="Playa", **WHO)
    with pytest.raises(InputError, match="needs a reason"):
        await cash.refill(books, "1", machine=None, pool=None, reason="", actor="ana")
    await assert_books_hold(books)


async def test_a_deposit_remembers_its_machine(books: Database) -> None:
    await seen(books)
    await playa(books)
    client_id = await client(books)
    recorded = await deposits.record(
        books, client=str(client_id), amount="5", currency=None, note=None, actor="ana", pool="Playa"
    )
    with pytest.raises(InputError, match="is in the pool 'Playa', the machine in 'default'"):
        await deposits.confirm(books, recorded.deposit_id, actor="ana", machine="Flores")
    await move(books, "Flores", "Playa")
    done = await deposits.confirm(books, recorded.deposit_id, actor="ana", machine="Flores")
    assert done.deposit.device_id == "f" * 64
    await deposits.void(books, recorded.deposit_id, reason="counted twice", actor="ana")
    (_, there) = await cash_report.report(books)
    assert [m.cash_minor for m in there.machines] == [0] and there.cash_minor == 0


async def test_a_report_by_machine_adds_up_also_after_a_move(books: Database) -> None:
    await seen(books)
    await playa(books, "GTQ")
    client_id = await client(books, "2000")
    recorded = await deposits.record(
        books, client=str(client_id), amount="3000", currency=None, note=None, actor="ana"
    )
    await deposits.confirm(books, recorded.deposit_id, actor="ana", machine="Flores")
    await cash.refill(books, "1000", machine="Flores", pool=None, **WHO)
    await Intake(books, IntakeConfig()).process([at_flores(fiat=Decimal(600), crypto_atoms=Decimal(76_000))])
    await cash.remove(books, "500", machine="Flores", pool=None, **WHO)
    await cash.give_back(books, str(client_id), "50", machine="Flores", pool=None, **WHO)
    await move(books, "Flores", "Playa")
    await cash.refill(books, "500", machine="Flores", pool=None, **WHO)
    here, there = await cash_report.report(books)
    assert [(m.name, m.here, m.cash_minor) for m in here.machines] == [
        ("Antigua", True, 0),
        ("Flores", False, 300_000 + 100_000 - 60_000 - 50_000 - 5_000),
        (None, False, 200_000),
    ]
    assert here.clients_minor == 500_000 - 56_700 - 5_000
    assert here.clients_minor + here.house_minor == here.cash_minor == 485_000
    assert [(m.name, m.here, m.cash_minor) for m in there.machines] == [("Flores", True, 50_000)]
    assert await cash_report.report(books, "playa") == [there]
    await assert_books_hold(books)


def test_a_report_that_does_not_add_up_is_none() -> None:
    machine = MachineCash("d", "Antigua", True, 5, 0, 0, 0, 0)
    with pytest.raises(BooksError, match="does not add up"):
        PoolCash(Pool(1, "default", "GTQ"), (machine,), cash_minor=4, clients_minor=4, house_minor=0)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["deposit", "refill", "remove", "give-back", "cash-out", "move"]),
        st.sampled_from(["Antigua", "Flores", None]),
        st.integers(1, 300_000),
    ),
    max_size=10,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(moves=MOVES)
async def test_whatever_comes_and_goes_machines_add_up_to_the_books(
    books: Database, moves: list[tuple[str, str | None, int]]
) -> None:
    if not await value(books, "SELECT count(*) FROM machine"):
        await seen(books)
        await pools.add(books, name="Playa", currency="GTQ", actor="ana")
        await client(books)
    for kind, machine, minor in moves:
        amount = str(Decimal(minor).scaleb(-2))
        try:
            if kind == "deposit":
                await deposit(books, 1, amount, "default" if machine else "Playa")
            elif kind == "refill":
                await cash.refill(books, amount, machine=machine, pool=None, **WHO)
            elif kind == "remove":
                await cash.remove(books, amount, machine=machine, pool=None, **WHO)
            elif kind == "give-back":
                await cash.give_back(books, "1", amount, machine=machine, pool=None, **WHO)
            elif kind == "cash-out":
                where = at_flores if machine == "Flores" else success
                await Intake(books, IntakeConfig()).process([where(fiat=Decimal(amount))])
            else:
                await move(books, machine or "Antigua", "Playa" if minor % 2 else "default")
        except ConflictError:
            continue
    found = await cash_report.report(books)  # which raises where it does not agree
    assert {p.pool.name for p in found} == {"default", "Playa"}
    await assert_books_hold(books)
