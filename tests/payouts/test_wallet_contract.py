"""What the payer may rely on, run against every adapter of `payouts.wallet.Wallet`.

An adapter joins by a `Bench` of its own in BENCHES: what a test needs around the wallet, in its own terms.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import httpx
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
from tests.lnbits_double import LnbitsDouble

SOURCE_SATS = 50_000
DAY_SECONDS = 86_400
UNKNOWN_HASH = "ab" * 32


class Bench(Protocol):
    """A wallet under test with SOURCE_SATS in its source, and what surrounds it."""

    wallet: LnbitsWallet
    client: httpx.AsyncClient  # to the same LNbits, without a key
    source_key: str

    def new_receiver(self, *, with_wallet_id: bool = True) -> Destination:
        """An empty wallet to pay to."""

    def source_as_receiver(self) -> Destination:
        """The source wallet itself, as a place to pay to."""

    def delete_receiver(self, destination: Destination) -> None:
        """Its wallet ceases to exist; invoices of it stay around."""

    def admin_key_of(self, destination: Destination) -> str:
        """The key that an operator may take for the invoice key."""

    async def outlast(self, invoice: Invoice) -> None:
        """Time goes by until it has expired."""

    async def mark_failed(self, invoice: Invoice) -> None:
        """LNbits finds that this invoice has expired."""


class LnbitsBench:
    """The real LNbits."""

    def __init__(self, lnbits: LnbitsAdmin) -> None:
        self._lnbits = lnbits
        self._keys: dict[str, WalletKeys] = {}
        source = lnbits.create_wallet("source")
        lnbits.top_up(source.id, SOURCE_SATS)
        config = LnbitsConfig(url=lnbits.url, admin_key=source.adminkey, requests_per_minute=0)
        self.wallet = LnbitsWallet(config)
        self.client = httpx.AsyncClient(base_url=lnbits.url, trust_env=False, timeout=30)
        self.source_key = source.adminkey
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

    async def outlast(self, invoice: Invoice) -> None:
        # Within the second in which it runs out LNbits does not find it expired yet.
        await asyncio.sleep((invoice.expires_at - datetime.now(UTC)).total_seconds() + 1.1)

    async def mark_failed(self, invoice: Invoice) -> None:
        # The one reading that changes something: why we never use it (docs/lnbits.md).
        await self.client.get(f"/api/v1/payments/{invoice.payment_hash}")


class DoubleBench:
    """The scripted double, while it is honest."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._double = LnbitsDouble(random.Random(1), lambda: datetime.now(UTC) + self._ahead)
        self._keys: dict[str, WalletKeys] = {}
        self._source = self._double.create_wallet("source")
        self._double.top_up(self._source.id, SOURCE_SATS)
        self.source_key = self._source.adminkey
        config = LnbitsConfig(url="http://double.test", admin_key=self.source_key, requests_per_minute=0)
        self.wallet = LnbitsWallet(config, transport=self._double.transport())
        self.client = httpx.AsyncClient(base_url=config.url, transport=self._double.transport())

    def source_as_receiver(self) -> Destination:
        return Destination(DestinationKind.LNBITS, wallet_id=self._source.id, invoice_key=self._source.inkey)

    def new_receiver(self, *, with_wallet_id: bool = True) -> Destination:
        keys = self._double.create_wallet("Ana")
        self._keys[keys.inkey] = keys
        wallet_id = keys.id if with_wallet_id else None
        return Destination(DestinationKind.LNBITS, wallet_id=wallet_id, invoice_key=keys.inkey)

    def delete_receiver(self, destination: Destination) -> None:
        self._double.delete_wallet(self._keys[destination.invoice_key or ""])

    def admin_key_of(self, destination: Destination) -> str:
        return self._keys[destination.invoice_key or ""].adminkey

    async def outlast(self, invoice: Invoice) -> None:
        self._ahead = invoice.expires_at - datetime.now(UTC)

    async def mark_failed(self, invoice: Invoice) -> None:
        self._double.mark_failed(invoice.payment_hash)


BENCHES: dict[str, Callable[[pytest.FixtureRequest], Bench]] = {
    "lnbits": lambda request: LnbitsBench(request.getfixturevalue("lnbits")),
    "double": lambda request: DoubleBench(),
}


@pytest.fixture(params=list(BENCHES))
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made = BENCHES[request.param](request)
    yield made
    await made.wallet.close()
    await made.client.aclose()


async def invoice_for(
    wallet: Wallet,
    destination: Destination,
    sats: int = 1_234,
    payout_id: str = "payout-1",
    expiry_seconds: int = DAY_SECONDS,
) -> Invoice:
    return await wallet.create_invoice(
        destination,
        amount_sats=sats,
        memo="1,234 sats for 10.00 GTQ",
        expiry_seconds=expiry_seconds,
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


async def test_an_expired_invoice_that_is_still_pending_is_paid(bench: Bench) -> None:
    receiver = bench.new_receiver()
    invoice = await invoice_for(bench.wallet, receiver, expiry_seconds=3)
    await bench.outlast(invoice)
    answer = await bench.wallet.pay(invoice.bolt11, payout_id="p", extra={})
    assert answer.hint is PayHint.ACCEPTED
    assert await bench.wallet.balance_msat() == (SOURCE_SATS - 1_234) * 1_000


async def test_an_invoice_that_was_marked_failed_is_not_paid(bench: Bench) -> None:
    """The answer is 201 and shows the receiver's own record."""
    receiver = bench.new_receiver()
    invoice = await invoice_for(bench.wallet, receiver, expiry_seconds=3)
    await bench.outlast(invoice)
    await bench.mark_failed(invoice)
    for _ in range(2):
        answer = await bench.wallet.pay(invoice.bolt11, payout_id="p", extra={})
        assert (answer.hint, answer.http_status) == (PayHint.REFUSED, 201)
    assert await bench.wallet.sent(invoice.payment_hash) is None
    record = await bench.wallet.received(receiver, invoice.payment_hash)
    assert record is not None
    assert record.status is RecordStatus.FAILED
    assert await bench.wallet.balance_msat() == SOURCE_SATS * 1_000


async def test_payments_are_found_again_by_their_tag(bench: Bench) -> None:
    receiver, began = bench.new_receiver(), datetime.now(UTC)
    hashes = []
    for number in range(3):
        invoice = await invoice_for(bench.wallet, receiver, sats=1, payout_id=f"p{number}")
        await bench.wallet.pay(invoice.bolt11, payout_id=f"p{number}", extra={})
        hashes.append(invoice.payment_hash)
    for destination in (None, receiver):
        found = [one async for one in bench.wallet.payments_tagged(began, destination=destination)]
        assert [one.payment_hash for one in found] == hashes
        assert [one.external_id for one in found] == ["p0", "p1", "p2"]
    later = began + timedelta(minutes=1)
    assert [one async for one in bench.wallet.payments_tagged(later)] == []


LISTS = [
    ("payment_hash={0}", [0]),
    ("payment_hash[in]={0},{2}", [0, 2]),
    ("payment_hash[in]={0},{2}&tag=aio-dca", [0, 2]),
    ("payment_hash[ex]={0}&tag=aio-dca", [1, 2]),
    ("external_id=p1", [1]),
    ("external_id[like]=p", [0, 1, 2]),
    ("tag=another", []),
    ("tag=aio-dca&status=success", [0, 1, 2]),
    ("tag=aio-dca&status=failed", []),
    ("amount[lt]=-1500", [1, 2]),
    ("tag=aio-dca&limit=2", [0, 1]),
    ("tag=aio-dca&limit=0", [0, 1, 2]),
    ("tag=aio-dca&limit=2&offset=2", [2]),
    ("tag=aio-dca&amount=nonsense&nonsense=1&tag[nonsense]=1", [0, 1, 2]),
]


async def test_a_list_is_filtered_sorted_and_paged_and_ignores_what_it_does_not_know(bench: Bench) -> None:
    receiver = bench.new_receiver()
    hashes = []
    for number in range(3):
        invoice = await invoice_for(bench.wallet, receiver, sats=number + 1, payout_id=f"p{number}")
        await bench.wallet.pay(invoice.bolt11, payout_id=f"p{number}", extra={})
        hashes.append(invoice.payment_hash)
    for query, wanted in LISTS:
        for direction in ("asc", "desc"):
            if "limit=2" in query and direction == "desc":
                continue
            answer = await bench.client.get(
                f"/api/v1/payments/paginated?{query.format(*hashes)}&sortby=time&direction={direction}",
                headers={"X-Api-Key": bench.source_key},
            )
            found = [row["payment_hash"] for row in answer.json()["data"]]
            expected = [hashes[number] for number in wanted]
            assert found == (expected if direction == "asc" else expected[::-1]), query
            if "limit=2" not in query:
                assert answer.json()["total"] == len(wanted), query


COLUMNS = {
    *("checking_id", "payment_hash", "wallet_id", "amount", "fee", "bolt11", "payment_request", "fiat_provider"),
    *("status", "memo", "expiry", "webhook", "webhook_status", "preimage", "tag", "extension", "time"),
    *("created_at", "updated_at", "labels", "extra", "external_id"),
}


async def test_rows_and_answers_have_the_same_columns(bench: Bench) -> None:
    receiver = bench.new_receiver()
    invoice = await invoice_for(bench.wallet, receiver)
    paid = await bench.client.post(
        "/api/v1/payments",
        json={"out": True, "bolt11": invoice.bolt11, "extra": {"tag": "x"}},
        headers={"X-Api-Key": bench.source_key},
    )
    listed = await bench.client.get(
        f"/api/v1/payments/paginated?payment_hash={invoice.payment_hash}",
        headers={"X-Api-Key": receiver.invoice_key or ""},
    )
    (row,) = listed.json()["data"]
    for shown, checking_id in ((paid.json(), f"internal_{invoice.payment_hash}"), (row, invoice.payment_hash)):
        assert set(shown) == COLUMNS
        assert shown["checking_id"] == checking_id
        assert shown["memo"] == "1,234 sats for 10.00 GTQ"
    assert (paid.json()["tag"], row["tag"]) == ("x", TAG), "each side has its own"


async def test_what_is_refused_is_refused_with_the_same_status_and_words(bench: Bench) -> None:
    """The case table of docs/lnbits.md, as it comes over HTTP."""
    receiver, gone = bench.new_receiver(), bench.new_receiver()
    inkey, source = receiver.invoice_key or "", bench.source_key
    invoice = (await invoice_for(bench.wallet, receiver)).bolt11
    too_much = (await invoice_for(bench.wallet, receiver, sats=SOURCE_SATS + 1)).bolt11
    orphan = await invoice_for(bench.wallet, gone)
    bench.delete_receiver(gone)

    async def post(key: str | None, **body: object) -> tuple[int, str, str | None]:
        headers = {} if key is None else {"X-Api-Key": key}
        answer = await bench.client.post("/api/v1/payments", json=body, headers=headers)
        said = answer.json()
        return answer.status_code, str(said.get("detail", ""))[:30], said.get("status")

    assert await post(None, out=True, bolt11=invoice) == (401, "No Api Key provided.", None)
    assert await post("0" * 32, out=True, bolt11=invoice) == (404, "Wallet not found.", None)
    assert await post(gone.invoice_key, out=False, amount=1) == (404, "Wallet not found.", None)
    assert await post(inkey, out=True, bolt11=invoice) == (403, "Invoice (or Admin) key require", None)
    assert await post(inkey, amount=1) == (403, "Invoice (or Admin) key require", None), "out is the default"
    assert await post(source, out=True) == (400, "Missing BOLT11 invoice", None)
    assert await post(source, out=True, bolt11="lnbc1x") == (520, "Bolt11 decoding failed.", "failed")
    assert await post(source, out=True, bolt11=too_much) == (520, "Insufficient balance.", "failed")
    assert (await post(source, out=True, bolt11=invoice))[::2] == (201, "success")
    assert await post(source, out=True, bolt11=invoice) == (520, "Internal invoice already paid.", "failed")
    assert await post(source, out=True, bolt11=orphan.bolt11) == (
        520,
        "Could not fetch wallet '" + (gone.wallet_id or "")[:6],
        "failed",
    )
    assert await post(source, out=True, bolt11=orphan.bolt11) == (520, "Internal invoice already paid.", "failed")
    assert await post(inkey, out=False, amount=0) == (520, "Amountless invoices not suppor", "failed")
    assert await post(inkey, out=False, amount=10_000_001) == (520, "Invoice amount 10000001 sats i", "failed")
    assert (await post(inkey, out=False, amount=1, memo="m" * 641))[0] == 400
    assert (await post(inkey, out=False, amount=1, external_id="two words"))[0] == 400
    assert (await post(inkey, out=False, amount=1, memo="m" * 640))[0] == 400, "more than an invoice can hold"
    assert (await post(inkey, out=False, amount=1, memo="m" * 639, external_id="x" * 256))[0] == 201
    nowhere = await bench.client.get("/api/v1/nowhere")
    assert (nowhere.status_code, nowhere.json()) == (404, {"detail": "Not Found"})
    for query in ("limit=x", "sortby=nonsense", "sortby=time&direction=up"):
        wrong = await bench.client.get(f"/api/v1/payments/paginated?{query}", headers={"X-Api-Key": source})
        assert wrong.status_code == 400, query
    assert (await post(inkey, out=False))[0] == 500, "the last one, since LNbits then closes the connection"


async def test_keys_are_never_shown(bench: Bench) -> None:
    receiver = bench.new_receiver()
    assert receiver.invoice_key is not None
    assert receiver.invoice_key not in repr(receiver)
    shown = LnbitsConfig(url="http://localhost", admin_key="adminsecret")
    assert "adminsecret" not in repr(shown) + repr(bench.wallet)
