"""The double itself: kills between commits, clients that give up, payments outside, connections that break."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from dca_daemon.domain.errors import WalletError, WalletUnknownError, WalletUnreachableError
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.pacing import Pacer
from dca_daemon.payouts.wallet import Destination, DestinationKind, Invoice, PayHint
from tests.lnbits_double import Call, Direction, DoubleServer, Kind, Lie, LnbitsDouble, Route, Step

SOURCE_SATS = 100_000


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Bench:
    double: LnbitsDouble
    clock: Clock
    wallet: LnbitsWallet
    admin_key: str
    receiver: Destination

    async def invoice(self, sats: int = 100) -> Invoice:
        return await self.wallet.create_invoice(
            self.receiver, amount_sats=sats, memo="", expiry_seconds=3_600, payout_id="p", extra={}
        )

    async def pay(self, bolt11: str) -> PayHint:
        return (await self.wallet.pay(bolt11, payout_id="p", extra={})).hint

    async def seen(self, payment_hash: str) -> tuple[str | None, str | None]:
        """The status of the source's record, and of the receiver's."""
        sent = await self.wallet.sent(payment_hash)
        received = await self.wallet.received(self.receiver, payment_hash)
        return sent.status if sent else None, received.status if received else None


def make_bench(seed: int = 1, url: str = "", double: LnbitsDouble | None = None) -> Bench:
    """In this process, or (with a URL) over a socket."""
    clock = Clock()
    double = double or LnbitsDouble(random.Random(seed), clock)
    source, ana = double.create_wallet("source"), double.create_wallet("Ana")
    double.top_up(source.id, SOURCE_SATS)
    config = LnbitsConfig(
        url=url or "http://double.test", admin_key=source.adminkey, requests_per_minute=0, read_timeout_seconds=0.5
    )
    transport = None if url else double.transport()
    wallet = LnbitsWallet(config, transport=transport, pacer=Pacer(0), now=clock, retry_wait_seconds=0)
    return Bench(
        double, clock, wallet, source.adminkey, Destination(DestinationKind.LNBITS, invoice_key=ana.inkey)
    )


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = make_bench()
    yield made
    await made.wallet.close()


async def test_a_kill_between_the_two_commits_leaves_a_torn_payment(bench: Bench) -> None:
    reached = asyncio.Event()

    def rest_when_debited(call: object, step: Step) -> float:
        if step is not Step.DEBITED:
            return 0
        reached.set()
        return 3_600

    invoice = await bench.invoice()
    bench.double.latency = rest_when_debited
    paying = asyncio.create_task(bench.pay(invoice.bolt11))
    await reached.wait()
    bench.double.kill()
    with pytest.raises(WalletUnknownError, match="reset"):
        await paying
    with pytest.raises(WalletUnreachableError):
        await bench.wallet.balance_msat()

    bench.double.latency = None
    bench.double.restart()
    assert await bench.seen(invoice.payment_hash) == ("success", "failed")
    assert await bench.pay(invoice.bolt11) is PayHint.ALREADY_PAID
    assert [move.direction for move in bench.double.moves()] == [Direction.LEFT]
    bench.double.repair(invoice.payment_hash)
    assert await bench.seen(invoice.payment_hash) == ("success", "success")


async def test_at_a_restart_the_ten_newest_unpaid_invoices_are_marked_failed(bench: Bench) -> None:
    invoices = []
    for _ in range(12):
        bench.clock.now += timedelta(seconds=1)
        invoices.append(await bench.invoice())
    bench.double.kill()
    bench.double.restart()
    statuses = [(await bench.seen(invoice.payment_hash))[1] for invoice in invoices]
    assert statuses == ["pending"] * 2 + ["failed"] * 10
    assert await bench.pay(invoices[0].bolt11) is PayHint.ACCEPTED
    answer = await bench.wallet.pay(invoices[2].bolt11, payout_id="p", extra={})
    assert (answer.hint, answer.text) == (PayHint.REFUSED, "Payment is failed node, retrying is not possible.")


async def test_a_client_that_gives_up_does_not_stop_its_request(bench: Bench) -> None:
    invoice = await bench.invoice()
    received, paid = asyncio.Event(), asyncio.Event()

    def latency(call: Call, step: Step) -> float:
        if call.kind is Kind.PAY:
            received.set()
        return 0.01

    bench.double.latency = latency
    bench.double.on_money_moved.append(lambda move: paid.set() if move.direction is Direction.ARRIVED else None)
    paying = asyncio.create_task(bench.pay(invoice.bolt11))
    await received.wait()
    paying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await paying
    assert not paid.is_set()
    await paid.wait()
    assert await bench.seen(invoice.payment_hash) == ("success", "success")


async def test_of_many_pays_at_once_one_is_made(bench: Bench) -> None:
    invoice = await bench.invoice()
    hints = await asyncio.gather(*(bench.pay(invoice.bolt11) for _ in range(10)))
    assert sorted(hints) == [PayHint.ACCEPTED, *[PayHint.ALREADY_PAID] * 9]
    assert len(bench.double.moves(direction=Direction.LEFT)) == 1


ROUTES = [
    (Route(fee_msat=1_234), [("accepted", "success", 1_234)]),
    (Route(settles=False), [("refused", "failed", None)]),
    (Route(after_seconds=600, fee_msat=7), [("pending", "pending", None), ("already-paid", "success", 7)]),
    (Route(after_seconds=600, settles=False), [("pending", "pending", None), ("refused", "failed", None)]),
    (Route(after_seconds=600, called_failed=True), [("refused", "failed", None), ("refused", "success", 0)]),
]


@pytest.mark.parametrize(("route", "story"), ROUTES)
async def test_a_payment_outside_goes_its_way(
    bench: Bench, route: Route, story: list[tuple[str, str, int | None]]
) -> None:
    bench.double.service.payments.node_wait_seconds = 0
    invoice = bench.double.outside_invoice(1_000, route)
    for hint, status, fee_msat in story:
        assert await bench.pay(invoice.bolt11) == hint
        record = await bench.wallet.sent(invoice.payment_hash)
        assert record is not None
        assert (record.status, record.internal) == (status, False)
        assert fee_msat is None or record.fee_msat == fee_msat
        bench.clock.now += timedelta(seconds=route.after_seconds)
    moved = [(move.direction, move.amount_msat) for move in bench.double.moves()]
    assert moved == ([(Direction.LEFT, 1_000_000), (Direction.ARRIVED, 1_000_000)] if route.settles else [])
    spent_msat = 1_000_000 + route.fee_msat if route.settles else 0
    assert await bench.wallet.balance_msat() == SOURCE_SATS * 1_000 - spent_msat


async def test_the_reserve_for_fees_is_kept_back(bench: Bench) -> None:
    answer = await bench.wallet.pay(bench.double.outside_invoice(SOURCE_SATS).bolt11, payout_id="p", extra={})
    assert (answer.hint, answer.text[:27]) == (PayHint.INSUFFICIENT_BALANCE, "You must reserve at least (")


async def test_the_same_seed_is_the_same_story() -> None:
    async def story(seed: int) -> list[str]:
        made = make_bench(seed)
        invoices = [await made.invoice() for _ in range(3)]
        return [invoice.bolt11[-80:] for invoice in invoices] + [made.admin_key]

    assert await story(5) == await story(5) != await story(6)


BROKEN = [
    (Lie.RESET_BEFORE, "pending"),
    (Lie.TAKE_AND_RESET, "success"),
    (Lie.TAKE_AND_DROP, "success"),
    (Lie.SILENT_BEFORE, "pending"),
    (Lie.TAKE_AND_STAY_SILENT, "success"),
    (Lie.GARBAGE_BEFORE, "pending"),
    (Lie.CUT_OFF, "success"),
    (Lie.TRUNCATED_JSON, "success"),
    (Lie.TAKE_AND_HTML, "success"),
    (Lie.TAKE_AND_ERROR_500, "success"),
    (Lie.REDIRECT, "pending"),
]


async def test_over_a_socket_it_breaks_as_in_the_process() -> None:
    clock = Clock()
    double = LnbitsDouble(random.Random(1), clock)
    async with DoubleServer(double) as server:
        near, far = make_bench(double=double), make_bench(double=double, url=server.url)
        for lie, status in BROKEN:
            raised = []
            for bench in (near, far):
                invoice = await bench.invoice()
                double.lie(pay=lie)
                with pytest.raises(WalletError) as error:
                    await bench.pay(invoice.bolt11)
                raised.append(type(error.value))
                assert (await bench.seen(invoice.payment_hash))[1] == status, lie
            assert raised == [WalletUnknownError] * 2, lie
        assert await far.pay((await far.invoice()).bolt11) is PayHint.ACCEPTED

        await server.kill()
        for bench in (near, far):
            with pytest.raises(WalletUnreachableError):
                await bench.wallet.balance_msat()
        await server.restart()
        assert await far.wallet.balance_msat() == double.balance_msat(far.admin_key)
        await near.wallet.close()
        await far.wallet.close()
