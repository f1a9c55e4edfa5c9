"""What goes wrong around a payout stays with it: it ends no payer, and is no outage of LNbits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.domain.errors import (
    DatabaseError,
    InvoiceExpiredError,
    WalletRefusedError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.payouts import store
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.clock import now_seconds
from dca_daemon.payouts.payer import Payer
from dca_daemon.payouts.wallet import PayAnswer, PayHint
from dca_daemon.services import payouts
from tests.payouts.one_round import OneRound
from tests.payouts.test_payer import World, make_world
from tests.services.builders import sql, value


@pytest.fixture
async def world(books: Database, keys: KeyRing, lnbits: LnbitsAdmin) -> AsyncIterator[World]:
    made = await make_world(books, keys, lnbits)
    await made.cash_out()
    yield made
    await made.wallet.close()


async def run_for(payer: Payer, seconds: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    async with asyncio.timeout(seconds + 20):
        await payer.run(stop)


async def mine(world: World, client_id: int = 1) -> payouts.PayoutView:
    return next(p for p in await payouts.list_all(world.db) if p.client_id == client_id)


async def test_an_outage_may_last_for_ever(world: World) -> None:
    payer = world.payer()
    payer._lost(WalletUnreachableError("refused"))
    payer._outages = 100_000  # a week of it
    world.wallet.script("balance_msat", WalletUnreachableError("refused"))
    await run_for(payer, 0.3)
    assert payer.outage == "refused"


async def test_an_lnbits_that_accepts_and_never_answers_does_not_silence_the_payer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> int:
        await asyncio.sleep(3600)
        return 0

    monkeypatch.setattr("dca_daemon.payouts.payer._PROBE_SECONDS", 0.05)
    monkeypatch.setattr(world.wallet, "balance_msat", never)
    payer = world.payer()
    payer._lost(WalletUnreachableError("refused"))
    beats: list[None] = []
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(2.5, stop.set)
    await payer.run(stop, lambda: beats.append(None))
    assert len(beats) >= 2


async def test_an_error_without_words_is_put_aside_and_the_others_go_on(world: World) -> None:
    world.wallet.script("create_invoice", AssertionError())
    payer = world.payer(concurrency=1)
    await payer.drain()
    assert sorted(await world.states()) == [PayoutState.RESERVED, PayoutState.SETTLED]
    assert "AssertionError" in ((await mine(world)).reason or "")
    await world.due_now()
    await payer.drain()
    assert (await mine(world)).state is PayoutState.RESERVED  # even when it is due: it is aside
    await world.payer().drain()
    await world.assert_agrees([322812, 161406])


async def test_clients_whose_records_can_not_be_taken_up_leave_room_for_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer = world.payer(concurrency=1)
    reserve = payer._reserve

    async def broken_for_the_first(client_id: int) -> str | None:
        assert client_id != 1
        return await reserve(client_id)

    monkeypatch.setattr(payer, "_reserve", broken_for_the_first)
    await payer.drain()
    assert await world.states() == [PayoutState.SETTLED]


async def test_a_database_that_refuses_to_write_is_not_asked_in_a_busy_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    async def disk_full(payout_id: str) -> None:
        tries.append(payout_id)
        raise DatabaseError("no space left on device")

    payer = world.payer()
    monkeypatch.setattr(payer._steps, "advance", disk_full)
    await run_for(payer, 1.0)
    assert len(tries) == 2  # one for each client, then they rest


async def test_a_node_that_restarts_behind_lnbits_puts_nobody_on_hold(world: World) -> None:
    for _ in range(5):
        for _ in range(2):
            refusal = WalletRefusedError("520 Unable to connect to the funding source", status=520)
            world.wallet.script("create_invoice", refusal)
        await world.one_round()
        await world.due_now()
    assert set(await world.states()) == {PayoutState.RESERVED}
    await world.payer().drain()
    await world.assert_agrees([322812, 161406])


async def test_a_refusal_that_does_not_pass_is_held_after_an_hour(world: World) -> None:
    for _ in range(20):
        world.wallet.script("create_invoice", WalletRefusedError("520 no", status=520))
        await world.one_round(concurrency=1)
        await sql(world.db, "UPDATE payout SET next_attempt_at = now() WHERE failures > 0")
    assert (await mine(world)).state is PayoutState.HELD


async def test_a_receivers_server_that_is_away_is_no_outage_of_lnbits(world: World) -> None:
    await sql(
        world.db,
        """WITH d AS (INSERT INTO destination (kind, name, address)
                      VALUES ('lightning-address', 'ana@example.com', 'ana@example.com') RETURNING id)
           UPDATE client SET destination_id = d.id FROM d WHERE client.id = 1""",
    )
    world.wallet.script("create_invoice", WalletUnreachableError("there is no address for example.com"))
    payer = await world.one_round(concurrency=1)
    assert payer.outage is None
    payout = await mine(world)
    assert payout.state is PayoutState.RESERVED and payout.failures == 1


@pytest.mark.parametrize("balance_too", [False, True])
async def test_answers_that_tell_nothing_are_an_outage_when_the_balance_is_not_told_either(
    world: World, balance_too: bool
) -> None:
    payer = world.payer(OneRound(world.db), concurrency=1)
    await payer.funds.refresh()
    world.wallet.script("create_invoice", WalletUnknownError("502"))
    if balance_too:
        world.wallet.script("balance_msat", WalletUnknownError("502 as well"))
    await payer.drain()
    assert payer.outage == ("502 as well" if balance_too else None)
    assert (await mine(world)).state is PayoutState.RESERVED


async def test_an_invoice_that_was_given_before_is_held(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    create = world.wallet.create_invoice
    given: list[object] = []

    async def always_the_first(*args: object, **kwargs: object) -> object:
        if not given:
            given.append(await create(*args, **kwargs))  # type: ignore[arg-type]
        return given[0]

    monkeypatch.setattr(world.wallet, "create_invoice", always_the_first)
    for _ in range(3):
        await world.payer(concurrency=1).drain()
        await world.due_now()
    held = await mine(world, 2)
    assert held.state is PayoutState.HELD and "given before" in (held.reason or "")
    assert world.received_sats()[0] == 322812


async def test_what_a_person_holds_while_it_is_being_paid_stays_as_the_person_left_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay = world.wallet.pay

    async def held_meanwhile(bolt11: str, *, payout_id: str, extra: dict[str, object]) -> PayAnswer:
        await payouts.hold(world.db, payout_id, reason="asked by phone", actor="test")
        return await pay(bolt11, payout_id=payout_id, extra=extra)

    monkeypatch.setattr(world.wallet, "pay", held_meanwhile)
    await world.payer().drain()
    for payout in await payouts.list_all(world.db):
        assert payout.state is PayoutState.HELD and payout.reason == "asked by phone"
        await payouts.release(world.db, payout.payout_id, reason="settled by phone", actor="test")
    await world.payer().drain()
    await world.assert_agrees([322812, 161406])


async def test_patience_with_an_unanswered_request_begins_when_it_was_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(bolt11: str, *, payout_id: str, extra: dict[str, object]) -> PayAnswer:
        await sql(world.db, "UPDATE payout SET last_submit_at = now() - interval '10 minutes'")  # so long it took
        raise WalletUnknownError("no answer in time")

    monkeypatch.setattr(world.wallet, "pay", slow)
    await world.payer(concurrency=1).drain()
    ago = "SELECT max(extract(epoch FROM now() - last_submit_at)) FROM payout WHERE client_id = 2"
    assert await value(world.db, ago) < 60


async def test_a_new_payer_is_patient_with_the_requests_of_the_one_before(world: World) -> None:
    for _ in range(2):
        world.wallet.script("pay", WalletUnreachableError("refused"))
    await world.one_round()
    world.lnbits.delete_wallet(world.receivers[0])
    await sql(world.db, "UPDATE payout SET last_submit_at = now() - interval '1 hour'")
    for _ in range(2):
        await world.due_now()
        await world.one_round(lookup_after_timeout_seconds=30)
    assert (await mine(world)).state is PayoutState.UNKNOWN


async def test_a_wrong_key_is_found_before_there_is_something_to_pay(world: World) -> None:
    for _ in range(2):  # the first look, and the next one, a moment later
        world.wallet.script("balance_msat", WalletRefusedError("the source wallet's key can't pay", status=403))
    payer = world.payer()
    stop = asyncio.Event()
    running = asyncio.create_task(payer.run(stop))
    async with asyncio.timeout(20):
        while payer.outage is None:
            await asyncio.wait({running}, timeout=0.01)
        assert "can't pay" in payer.outage
        while payer.outage is not None:  # and the next look finds that it was put right
            await asyncio.wait({running}, timeout=0.01)
    stop.set()
    await running
    assert world.wallet.calls.count("balance_msat") >= 3


async def test_a_fault_of_the_program_at_the_balance_is_an_outage_and_no_end(world: World) -> None:
    for _ in range(2):
        world.wallet.script("balance_msat", RuntimeError("a fault"))
    payer = world.payer()
    stop = asyncio.Event()
    running = asyncio.create_task(payer.run(stop))
    async with asyncio.timeout(30):
        while await world.states() != [PayoutState.SETTLED] * 2:
            await asyncio.wait({running}, timeout=0.02)
    stop.set()
    await running
    await world.assert_agrees([322812, 161406])


async def test_an_invoice_that_seems_over_is_asked_for_anew_for_an_hour(world: World) -> None:
    """A wrong clock of this host makes every Lightning address's invoice look so: nobody has to release them."""
    for _ in range(19):
        world.wallet.script("create_invoice", InvoiceExpiredError("valid until yesterday only"))
        await world.one_round(concurrency=1)
        await sql(world.db, "UPDATE payout SET next_attempt_at = now() WHERE failures > 0")
    await world.payer().drain()
    await world.assert_agrees([322812, 161406])


async def test_patience_with_our_own_request_goes_by_our_own_clock(world: World) -> None:
    """A database clock that was set back says that it was submitted in the future: it is held up for no longer."""
    await world.payer().drain()
    steps = world.payer()._steps
    async with world.db.transaction() as conn:
        payout = await store.load(conn, (await mine(world)).payout_id)
    submitted = replace(payout, submitted_ago_seconds=-3600)
    steps.began_seconds = now_seconds() - 1000
    assert steps._patient(submitted)
    steps._submitted_seconds[submitted.payout_id] = now_seconds() - 10
    assert not steps._patient(submitted)
    assert not steps._patient(replace(submitted, payout_id="of another daemon", submitted_ago_seconds=10))


async def test_an_lnbits_that_says_paid_and_has_no_record_is_held_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def says_paid(bolt11: str, *, payout_id: str, extra: dict[str, object]) -> PayAnswer:
        return PayAnswer(PayHint.ACCEPTED, "success", 201)

    monkeypatch.setattr(world.wallet, "pay", says_paid)
    for _ in range(20):
        await world.payer(concurrency=1).drain()
        await sql(world.db, "UPDATE payout SET next_attempt_at = now() WHERE failures > 0")
    held = await mine(world)
    assert held.state is PayoutState.HELD and "asked 20 times" in (held.reason or "")
