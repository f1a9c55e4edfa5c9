"""From owed to settled, on a real LNbits and real books: once, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin, WalletKeys
from dca_daemon.domain.errors import WalletRefusedError, WalletUnknownError, WalletUnreachableError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts.books import PayoutBooks, SqlPayoutBooks
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.payer import Payer, PayerConfig
from dca_daemon.payouts.wallet import TAG, Destination, DestinationKind
from dca_daemon.services import clients, deposits, payouts
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.payouts.faulty import FaultyWallet, Killed
from tests.payouts.one_round import OneRound
from tests.services.builders import sql, success, value

SOURCE_SATS = 5_000_000


@dataclass
class World:
    """Books with two clients of 20,000 and 10,000 GTQ, who have wallets on a real LNbits."""

    db: Database
    keys: KeyRing
    lnbits: LnbitsAdmin
    source: WalletKeys
    receivers: list[WalletKeys]
    wallet: FaultyWallet

    def payer(self, books: PayoutBooks | None = None, **config: object) -> Payer:
        books = books or SqlPayoutBooks(self.db)
        return Payer(books, self.wallet, self.keys, PayerConfig(**config))  # type: ignore[arg-type]

    async def one_round(self, **config: object) -> Payer:
        """One attempt at each payout. A drain that takes long enough also makes those that were put off in it."""
        payer = self.payer(OneRound(self.db), **config)
        await payer.drain()
        return payer

    async def cash_out(self, count: int = 1) -> None:
        """4000 GTQ each, 484,218 sats of principal: two thirds and one third."""
        await Intake(self.db, IntakeConfig()).process([success() for _ in range(count)])

    async def due_now(self) -> None:
        await sql(self.db, "UPDATE payout SET next_attempt_at = now()")

    def received_sats(self) -> list[int]:
        return [self.lnbits.balance_msat(r.inkey) // 1000 for r in self.receivers]

    def spent_sats(self, funded: int = SOURCE_SATS) -> int:
        return funded - self.lnbits.balance_msat(self.source.inkey) // 1000

    async def states(self) -> list[PayoutState]:
        return [p.state for p in reversed(await payouts.list_all(self.db))]

    async def assert_agrees(self, paid: Sequence[int], funded: int = SOURCE_SATS) -> None:
        """LNbits' balances, the settled records and the books tell the same."""
        assert self.received_sats() == list(paid)
        assert self.spent_sats(funded) == sum(paid)
        settled = [(await clients.show(self.db, str(i))).settled_sats for i in (1, 2)]
        assert settled == list(paid)
        assert [check for check in await verify(self.db) if not check.holds] == []


async def make_world(db: Database, keys: KeyRing, lnbits: LnbitsAdmin, funded: int = SOURCE_SATS) -> World:
    source = lnbits.create_wallet("source")
    if funded:
        lnbits.top_up(source.id, funded)
    real = LnbitsWallet(LnbitsConfig(url=lnbits.url, admin_key=source.adminkey, requests_per_minute=0))
    receivers = [lnbits.create_wallet(name) for name in ("Ana", "Beto")]
    for receiver, name, amount in zip(receivers, ("Ana", "Beto"), ("20000", "10000"), strict=True):
        destination = Destination(DestinationKind.LNBITS, invoice_key=receiver.inkey)
        view, _ = await clients.add(
            db, real, keys, name=name, mode=clients.Mode.FLOW, destination=destination, actor="test"
        )
        recorded = await deposits.record(
            db, client=str(view.client_id), amount=amount, currency=None, note=None, actor="test"
        )
        await deposits.confirm(db, recorded.deposit_id, actor="test")
    return World(db, keys, lnbits, source, receivers, FaultyWallet(real))


@pytest.fixture
async def world(books: Database, keys: KeyRing, lnbits: LnbitsAdmin) -> AsyncIterator[World]:
    made = await make_world(books, keys, lnbits)
    yield made
    await made.wallet.close()


async def test_what_is_owed_is_paid_tagged_and_proven_on_both_sides(world: World) -> None:
    await world.cash_out()
    await world.payer().drain()
    await world.assert_agrees([322812, 161406])
    (first, _) = reversed(await payouts.list_all(world.db))
    for key in (world.source.inkey, world.receivers[0].inkey):
        (record,) = [
            r for r in world.lnbits.records(key) if r["payment_hash"] == first.payment_hash and r["tag"] == TAG
        ]
        assert record["extra"]["payout_id"] == first.payout_id
        assert record["external_id"] == first.payout_id
        assert record["memo"].startswith("DCA 322,812 sats for 2,520.00 GTQ (")


async def test_a_backlog_becomes_one_payment_for_each_receiver(world: World) -> None:
    await world.cash_out(5)
    await world.payer().drain()
    assert await world.states() == [PayoutState.SETTLED] * 2
    assert await value(world.db, "SELECT count(*) FROM distribution_record") == 10
    await world.assert_agrees(world.received_sats())


async def test_a_payout_is_not_larger_than_the_limit(world: World) -> None:
    await world.cash_out(3)
    await world.payer(max_payout_sats=700_000).drain()
    amounts = sorted(p.amount_sats for p in await payouts.list_all(world.db) if p.client_id == 1)
    assert amounts == [322812, 2 * 322812]
    await world.assert_agrees(world.received_sats())


async def test_a_record_over_the_limit_waits_for_the_operator(world: World) -> None:
    await world.cash_out()
    await world.payer(max_payout_sats=200_000).drain()
    held = next(p for p in await payouts.list_all(world.db) if p.state is PayoutState.HELD)
    assert "payouts.max_payout_sats" in (held.reason or "")
    await payouts.release(world.db, held.payout_id, reason="limit raised", actor="test")
    await world.payer().drain()
    await world.assert_agrees([322812, 161406])


@pytest.mark.parametrize("after", [False, True])
async def test_a_pay_call_without_an_answer_pays_once(world: World, after: bool) -> None:
    await world.cash_out()
    for _ in range(2):
        world.wallet.script("pay", WalletUnknownError("connection reset"), after=after)
    await world.payer().drain()
    for _ in range(3):
        await world.due_now()
        await world.payer().drain()
    await world.assert_agrees([322812, 161406])
    assert await value(world.db, "SELECT count(DISTINCT payment_hash) FROM payout") == 2


@pytest.mark.parametrize("call", ["sent", "received"])
async def test_a_failed_look_up_changes_nothing(world: World, call: str) -> None:
    await world.cash_out()
    for _ in range(2):
        world.wallet.script(call, WalletUnknownError("502"))
    await world.one_round()
    assert set(await world.states()) == {PayoutState.SUBMITTED}
    await world.due_now()
    await world.payer().drain()
    await world.assert_agrees([322812, 161406])


POINTS = [("create_invoice", False), ("create_invoice", True), ("pay", False), ("pay", True), ("sent", False)]


@pytest.mark.parametrize(("call", "after"), POINTS)
async def test_killed_anywhere_it_pays_once_after_the_restart(world: World, call: str, after: bool) -> None:
    await world.cash_out()
    world.wallet.script(call, Killed(), after=after)
    with pytest.raises(BaseExceptionGroup):
        await world.payer(concurrency=1).drain()
    for _ in range(2):
        await world.due_now()
        await world.payer().drain()
    await world.assert_agrees([322812, 161406])


async def test_two_payers_at_once_pay_once(world: World) -> None:
    await world.cash_out(2)
    await asyncio.gather(*(world.payer().drain() for _ in range(3)))
    await world.due_now()
    await world.payer().drain()
    await world.assert_agrees([2 * 322812, 2 * 161406])


async def test_an_unreachable_lnbits_is_waited_for(world: World) -> None:
    await world.cash_out()
    world.wallet.script("create_invoice", WalletUnreachableError("refused"))
    payer = world.payer()
    await payer.drain()
    assert payer.outage == "refused"
    await world.due_now()
    stop = asyncio.Event()
    running = asyncio.create_task(payer.run(stop))
    async with asyncio.timeout(20):
        while await world.states() != [PayoutState.SETTLED] * 2:
            await asyncio.wait({running}, timeout=0.05)
    stop.set()
    await running
    assert payer.outage is None
    await world.assert_agrees([322812, 161406])


async def test_a_short_source_wallet_makes_payouts_wait_and_says_how_much_is_missing(
    books: Database, keys: KeyRing, lnbits: LnbitsAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    world = await make_world(books, keys, lnbits, funded=200_000)
    await world.cash_out()
    payer = world.payer(concurrency=1)
    await payer.drain()
    assert payer.funds.short
    assert sorted(await world.states()) == [PayoutState.RESERVED, PayoutState.SETTLED]  # no invoice runs out
    out = capsys.readouterr().out
    assert "wallet.short" in out and "missing_sats=" in out
    lnbits.top_up(world.source.id, 400_000)
    payer.funds.forget()
    await world.due_now()
    await payer.drain()
    await world.assert_agrees([322812, 161406], funded=600_000)
    assert not payer.funds.short
    await world.wallet.close()


async def test_a_receiver_that_refuses_is_held_and_can_be_released(world: World) -> None:
    await world.cash_out()
    for _ in range(3):
        world.wallet.script("create_invoice", WalletRefusedError("no such key", status=404))
        await world.one_round(concurrency=1)
        await world.due_now()
    states = await world.states()
    assert sorted(states) == [PayoutState.HELD, PayoutState.SETTLED]
    await world.cash_out()  # more becomes owed: it must not run into the same obstacle
    await world.payer().drain()
    held = next(p for p in await payouts.list_all(world.db) if p.state is PayoutState.HELD)
    assert "no such key" in (held.reason or "")
    await payouts.release(world.db, held.payout_id, reason="wallet is back", actor="test")
    await world.payer().drain()
    await world.assert_agrees([2 * 322812, 2 * 161406])


async def test_a_receiver_wallet_deleted_after_the_invoice_never_gets_a_second_payment(world: World) -> None:
    await world.cash_out()
    world.wallet.script("pay", WalletUnreachableError("refused"))
    world.wallet.script("pay", WalletUnreachableError("refused"))
    await world.one_round()
    world.lnbits.delete_wallet(world.receivers[0])
    await world.due_now()
    await world.one_round(lookup_after_timeout_seconds=-1)
    await world.due_now()
    await world.one_round(lookup_after_timeout_seconds=-1)
    mine = next(p for p in await payouts.list_all(world.db) if p.client_id == 1)
    # The money left the source wallet, and its receiver is gone: only a person can settle that.
    assert mine.state is PayoutState.HELD and "never arrived" in (mine.reason or "")
    assert world.spent_sats() == 322812 + 161406


async def test_a_payout_of_many_purchases_has_one_memo(world: World) -> None:
    await Intake(world.db, IntakeConfig()).process(
        [success(fiat=Decimal(100), crypto_atoms=Decimal(12800)) for _ in range(3)]
    )
    await world.payer().drain()
    for payout in await payouts.list_all(world.db):
        assert "3 purchases" in payout.memo
    await world.assert_agrees(world.received_sats())
