"""What the payer may rely on, run against every adapter of `payouts.wallet.Wallet`.

An adapter joins by a `Bench` of its own in BENCHES: what a test needs around the wallet, in its own terms.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin, WalletKeys
from dca_daemon.domain.errors import InputError, WalletRefusedError, WalletReplyError
from dca_daemon.payouts.bolt11 import decode
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.wallet import (
    TAG,
    Destination,
    DestinationKind,
    Invoice,
    PayHint,
    RecordStatus,
    Wallet,
)

SOURCE_SATS = 50_000
DAY_SECONDS = 86_400
UNKNOWN_HASH = "ab" * 32


class Bench(Protocol):
    """A wallet under test with SOURCE_SATS in its source, and what surrounds it."""

    wallet: Wallet

    def new_receiver(self, *, with_wallet_id: bool = True) -> Destination:
        """An empty wallet to pay to."""

    def source_as_receiver(self) -> Destination:
        """The source wallet itself, as a place to pay to."""

    def delete_receiver(self, destination: Destination) -> None:
        """Its wallet ceases to exist; invoices of it stay around."""

    def admin_key_of(self, destination: Destination) -> str:
        """The key that an operator may take for the invoice key."""


class LnbitsBench:
    """The real LNbits."""

    def __init__(self, lnbits: LnbitsAdmin) -> None:
        self._lnbits = lnbits
        self._keys: dict[str, WalletKeys] = {}
        source = lnbits.create_wallet("source")
        lnbits.top_up(source.id, SOURCE_SATS)
        config = LnbitsConfig(url=lnbits.url, admin_key=source.adminkey, requests_per_minute=0)
        self.wallet: Wallet = LnbitsWallet(config)
        self._source = source

    def source_as_receiver(self) -> Destination:
        return Destination(DestinationKind.LNBITS, wallet_id=self._source.id, invoice_key=self._source.inkey)

    def new_receiver(self, *, with_wallet_id: bool = True) -> Destination:
        keys = self._lnbits.create_wallet("Ana")
        self._keys[keys.inkey] = keys
        return Destination(
            DestinationKind.LNBITS,
            wallet_id=keys.id if with_wallet_id else None,
            invoice_key=keys.inkey,
        )

    def delete_receiver(self, destination: Destination) -> None:
        self._lnbits.delete_wallet(self._keys[destination.invoice_key or ""])

    def admin_key_of(self, destination: Destination) -> str:
        return self._keys[destination.invoice_key or ""].adminkey


BENCHES: dict[str, Callable[[pytest.FixtureRequest], Bench]] = {
    "lnbits": lambda request: LnbitsBench(request.getfixturevalue("lnbits")),
}


@pytest.fixture(params=list(BENCHES))
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made = BENCHES[request.param](request)
    yield made
    await made.wallet.close()


async def invoice_for(
    wallet: Wallet, destination: Destination, sats: int = 1_234, payout_id: str = "payout-1"
) -> Invoice:
    return await wallet.create_invoice(
        destination,
        amount_sats=sats,
        memo="1,234 sats for 10.00 GTQ",
        expiry_seconds=DAY_SECONDS,
        payout_id=payout_id,
        extra={"records": [1, 2]},
    )


async def test_a_new_invoice_is_a_pending_record_of_the_receiver_only(bench: Bench) -> None:
    receiver = bench.new_receiver(with_wallet_id=False)
    invoice = await invoice_for(bench.wallet, receiver)

    decoded = decode(invoice.bolt11)
    assert (decoded.amount_sats, decoded.payment_hash) == (1_234, invoice.payment_hash)
    assert invoice.amount_sats == 1_234
    valid_for = invoice.expires_at - datetime.now(UTC)
    assert timedelta(hours=23) < valid_for <= timedelta(days=1)
    assert invoice.wallet_id is not None, "where the receiver is on our LNbits its id is learnt here"

    record = await bench.wallet.received(receiver, invoice.payment_hash)
    assert record is not None
    assert (record.status, record.amount_msat) == (RecordStatus.PENDING, 1_234_000)
    assert record.wallet_id == invoice.wallet_id
    assert await bench.wallet.sent(invoice.payment_hash) is None
    assert await bench.wallet.balance_msat() == SOURCE_SATS * 1_000


async def test_paying_moves_the_sats_and_leaves_a_record_on_both_sides(bench: Bench) -> None:
    receiver = bench.new_receiver()
    invoice = await invoice_for(bench.wallet, receiver)
    answer = await bench.wallet.pay(invoice.bolt11, payout_id="payout-1", extra={"records": [1, 2]})
    assert answer.hint is PayHint.ACCEPTED

    out = await bench.wallet.sent(invoice.payment_hash)
    into = await bench.wallet.received(receiver, invoice.payment_hash)
    assert out is not None
    assert into is not None
    assert (out.status, out.amount_msat, out.fee_msat) == (RecordStatus.SUCCESS, -1_234_000, 0)
    assert (into.status, into.amount_msat, into.fee_msat) == (RecordStatus.SUCCESS, 1_234_000, 0)
    assert out.internal
    assert into.wallet_id == receiver.wallet_id != out.wallet_id
    for record in (out, into):
        assert record.tag == TAG
        assert record.external_id == "payout-1"
        assert record.extra["payout_id"] == "payout-1"
        assert record.extra["records"] == [1, 2]
        assert record.time is not None
        assert abs(record.time - datetime.now(UTC)) < timedelta(minutes=5)
    assert await bench.wallet.balance_msat() == (SOURCE_SATS - 1_234) * 1_000


async def test_paying_again_moves_nothing(bench: Bench) -> None:
    receiver = bench.new_receiver()
    invoice = await invoice_for(bench.wallet, receiver)
    answers = [await bench.wallet.pay(invoice.bolt11, payout_id="payout-1", extra={}) for _ in range(3)]
    assert [answer.hint for answer in answers] == [
        PayHint.ACCEPTED,
        PayHint.ALREADY_PAID,
        PayHint.ALREADY_PAID,
    ]
    assert await bench.wallet.balance_msat() == (SOURCE_SATS - 1_234) * 1_000


async def test_paying_at_the_same_time_moves_the_sats_once(bench: Bench) -> None:
    invoice = await invoice_for(bench.wallet, bench.new_receiver())
    await asyncio.gather(*(bench.wallet.pay(invoice.bolt11, payout_id="p", extra={}) for _ in range(6)))
    assert await bench.wallet.balance_msat() == (SOURCE_SATS - 1_234) * 1_000


async def test_a_wallet_may_pay_itself(bench: Bench) -> None:
    """A commission share may go to the source wallet: one hash, two records, told apart by their sign."""
    source = bench.source_as_receiver()
    invoice = await invoice_for(bench.wallet, source)
    assert await bench.wallet.sent(invoice.payment_hash) is None
    await bench.wallet.pay(invoice.bolt11, payout_id="p", extra={})
    out = await bench.wallet.sent(invoice.payment_hash)
    into = await bench.wallet.received(source, invoice.payment_hash)
    assert out is not None
    assert into is not None
    assert (out.amount_msat, into.amount_msat) == (-1_234_000, 1_234_000)
    assert await bench.wallet.balance_msat() == SOURCE_SATS * 1_000


async def test_an_unknown_hash_has_no_record(bench: Bench) -> None:
    assert await bench.wallet.sent(UNKNOWN_HASH) is None
    assert await bench.wallet.received(bench.new_receiver(), UNKNOWN_HASH) is None


async def test_too_small_a_balance_is_told_and_leaves_no_record(bench: Bench) -> None:
    receiver = bench.new_receiver()
    invoice = await invoice_for(bench.wallet, receiver, sats=SOURCE_SATS + 1)
    answer = await bench.wallet.pay(invoice.bolt11, payout_id="p", extra={})
    assert answer.hint is PayHint.INSUFFICIENT_BALANCE
    assert await bench.wallet.sent(invoice.payment_hash) is None
    record = await bench.wallet.received(receiver, invoice.payment_hash)
    assert record is not None
    assert record.status is RecordStatus.PENDING


async def test_the_whole_balance_can_be_paid_within_one_lnbits(bench: Bench) -> None:
    invoice = await invoice_for(bench.wallet, bench.new_receiver(), sats=SOURCE_SATS)
    answer = await bench.wallet.pay(invoice.bolt11, payout_id="p", extra={})
    assert answer.hint is PayHint.ACCEPTED
    assert await bench.wallet.balance_msat() == 0


async def test_a_wrong_invoice_key_is_refused_with_a_remedy(bench: Bench) -> None:
    wrong = Destination(DestinationKind.LNBITS, invoice_key="0" * 32)
    for call in (
        lambda: bench.wallet.check_destination(wrong),
        lambda: invoice_for(bench.wallet, wrong),
        lambda: bench.wallet.received(wrong, UNKNOWN_HASH),
    ):
        with pytest.raises(WalletRefusedError) as raised:
            await call()
        assert raised.value.status == 404
        assert raised.value.remedy is not None


async def test_checking_a_destination_gives_its_name(bench: Bench) -> None:
    info = await bench.wallet.check_destination(bench.new_receiver())
    assert info.name == "Ana"
    assert info.min_sats == 1
    assert info.max_sats is not None
    assert info.max_sats >= 10_000_000


async def test_an_admin_key_is_no_invoice_key(bench: Bench) -> None:
    receiver = bench.new_receiver()
    mistaken = dataclasses.replace(receiver, invoice_key=bench.admin_key_of(receiver))
    with pytest.raises(InputError, match="admin key"):
        await bench.wallet.check_destination(mistaken)


async def test_an_invoice_of_another_wallet_than_the_known_one_is_refused(bench: Bench) -> None:
    receiver = dataclasses.replace(bench.new_receiver(), wallet_id="another")
    with pytest.raises(WalletReplyError, match="another"):
        await invoice_for(bench.wallet, receiver)


async def test_a_record_of_another_wallet_than_the_known_one_is_refused(bench: Bench) -> None:
    receiver = bench.new_receiver()
    invoice = await invoice_for(bench.wallet, receiver)
    with pytest.raises(WalletReplyError, match="another wallet"):
        await bench.wallet.received(dataclasses.replace(receiver, wallet_id="another"), invoice.payment_hash)


async def test_a_receiver_deleted_after_the_invoice_is_debited_and_never_called_refused(bench: Bench) -> None:
    """The answer says "failed", the money has moved: only the records tell."""
    receiver = bench.new_receiver()
    invoice = await invoice_for(bench.wallet, receiver)
    bench.delete_receiver(receiver)
    answer = await bench.wallet.pay(invoice.bolt11, payout_id="p", extra={})
    assert answer.hint is PayHint.PENDING
    out = await bench.wallet.sent(invoice.payment_hash)
    assert out is not None
    assert out.status is RecordStatus.SUCCESS


async def test_a_long_memo_and_odd_characters_are_cut_to_what_an_invoice_holds(bench: Bench) -> None:
    receiver = bench.new_receiver()
    for memo in ("m" * 2_000, "é" * 2_000, "₿ 1 · 100,00 Q 🙂" * 200, ""):
        invoice = await bench.wallet.create_invoice(
            receiver, amount_sats=1, memo=memo, expiry_seconds=DAY_SECONDS, payout_id="p", extra={}
        )
        assert invoice.amount_sats == 1


@pytest.mark.parametrize("payout_id", ["", "two words", "ü", "x" * 257, "a\n"])
async def test_a_payout_id_that_would_not_be_kept_is_not_sent(bench: Bench, payout_id: str) -> None:
    with pytest.raises(ValueError, match="payout id"):
        await invoice_for(bench.wallet, bench.new_receiver(), payout_id=payout_id)


async def test_keys_are_never_shown(bench: Bench) -> None:
    receiver = bench.new_receiver()
    assert receiver.invoice_key is not None
    assert receiver.invoice_key not in repr(receiver)
    shown = LnbitsConfig(url="http://localhost", admin_key="adminsecret")
    assert "adminsecret" not in repr(shown) + repr(bench.wallet)
