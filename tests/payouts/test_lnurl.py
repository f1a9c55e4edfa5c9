"""Lightning addresses and LNURL-pay: against the real LNbits, and against a server that lies."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.domain.errors import (
    WalletError,
    WalletRateLimitedError,
    WalletRefusedError,
    WalletReplyError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.lnurl import LnurlConfig
from dca_daemon.payouts.wallet import PayHint, RecordStatus
from tests.fixtures.invoices import make_invoice
from tests.fixtures.lnurl import METADATA, PRIVATE, Liar, address, http, lnurl_of, ok, resolver

# The real thing


async def test_a_lightning_address_of_the_real_lnbits_is_checked_and_paid(lnbits: LnbitsAdmin) -> None:
    source, ana = lnbits.create_wallet("source"), lnbits.create_wallet("Ana")
    lnbits.top_up(source.id, 10_000)
    wallet = LnbitsWallet(LnbitsConfig(url=lnbits.url, admin_key=source.adminkey, lnurl=PRIVATE))
    destination = address(f"{ana.lightning_address}@{lnbits.url.removeprefix('http://')}")

    info = await wallet.check_destination(destination)
    assert info.min_sats == 1
    assert info.max_sats is not None

    invoice = await wallet.create_invoice(
        destination, amount_sats=777, memo="for Ana", expiry_seconds=60, payout_id="p", extra={}
    )
    assert (invoice.amount_sats, invoice.wallet_id) == (777, None)
    answer = await wallet.pay(invoice.bolt11, payout_id="p", extra={})
    assert answer.hint is PayHint.ACCEPTED
    out = await wallet.sent(invoice.payment_hash)
    assert out is not None
    assert out.status is RecordStatus.SUCCESS
    assert lnbits.balance_msat(ana.inkey) == 777_000
    (record,) = lnbits.records(ana.inkey)
    assert record["extra"]["comment"] == "for Ana"
    await wallet.close()


async def test_an_address_that_nobody_has_is_refused_in_its_owners_words(lnbits: LnbitsAdmin) -> None:
    with pytest.raises(WalletRefusedError, match="not found"):
        await resolver().check(address(f"nobody@{lnbits.url.removeprefix('http://')}"))


async def test_an_lnurl_code_of_the_real_lnbits_is_resolved(lnbits: LnbitsAdmin) -> None:
    ana = lnbits.create_wallet("Ana")
    code = lnurl_of(f"{lnbits.url}/.well-known/lnurlp/{ana.lightning_address}")
    invoice = await resolver().invoice(code, amount_sats=5, memo="")
    assert invoice.amount_sats == 5


# Servers that lie


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    made = Liar()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


async def test_the_amount_goes_along_in_msat_and_the_memo_as_far_as_it_fits(liar: Liar) -> None:
    destination = liar.offers(make_invoice(1_000_000), commentAllowed=5)
    await resolver().invoice(destination, amount_sats=1_000, memo="1,000 sats & more")
    assert liar.asked == ["/pay", "/cb?kept=1&amount=1000000&comment=1%2C000"]


async def test_without_room_for_comments_none_is_sent(liar: Liar) -> None:
    for allowed in (None, 0, -3, "many", True):
        liar.asked.clear()
        destination = liar.offers(make_invoice(1_000_000), commentAllowed=allowed)
        await resolver().invoice(destination, amount_sats=1_000, memo="memo")
        assert liar.asked[-1] == "/cb?kept=1&amount=1000000"


@pytest.mark.parametrize(
    "invoice",
    [
        make_invoice(2_000_000),
        make_invoice(None),
        make_invoice(1_000_500),
        make_invoice(1_000_000, created_at=1_700_000_000),
        make_invoice(1_000_000, expiry_seconds=20),
        make_invoice(1_000_000, description_hash="00" * 32),
        "lnbc1garbage",
        "",
    ],
    ids=[
        "more",
        "no amount",
        "parts of a sat",
        "expired",
        "about to expire",
        "other description",
        "garbled",
        "empty",
    ],
)
async def test_an_invoice_that_is_not_what_was_asked_for_is_refused(liar: Liar, invoice: str) -> None:
    with pytest.raises(WalletReplyError):
        await resolver().invoice(liar.offers(invoice), amount_sats=1_000, memo="")


async def test_an_invoice_may_commit_to_the_metadata(liar: Liar) -> None:
    committed = make_invoice(1_000_000, description_hash=hashlib.sha256(METADATA.encode()).hexdigest())
    assert (await resolver().invoice(liar.offers(committed), amount_sats=1_000, memo="")).bolt11 == committed


async def test_an_invoice_of_another_network_is_refused_where_one_is_set(liar: Liar) -> None:
    with pytest.raises(WalletReplyError, match="network"):
        await resolver(network="tb").invoice(liar.offers(make_invoice()), amount_sats=1_000, memo="")


@pytest.mark.parametrize(
    "changes",
    [
        {"tag": "withdrawRequest"},
        {"tag": None},
        {"callback": None},
        {"callback": "http://[nonsense"},
        {"callback": "file:///etc/passwd"},
        {"callback": "ftp://127.0.0.1/"},
        {"callback": "https://xn--/cb"},
        {"callback": "https://127.0.0.1/\ud800"},
        {"metadata": "\ud800"},
        {"minSendable": 10**20, "maxSendable": 10**30},
        {"metadata": None},
        {"metadata": [["text/plain", "x"]]},
        {"minSendable": 0},
        {"minSendable": "1000"},
        {"minSendable": 1000.5},
        {"minSendable": True},
        {"maxSendable": 10},
        {"maxSendable": None},
    ],
    ids=str,
)
async def test_an_offer_that_makes_no_sense_is_refused(liar: Liar, changes: dict[str, Any]) -> None:
    with pytest.raises(WalletError):
        await resolver().invoice(liar.offers(make_invoice(), **changes), amount_sats=1_000, memo="")


@pytest.mark.parametrize(
    ("sats", "bounds"),
    [(999, {"minSendable": 999_001}), (1_001, {"maxSendable": 1_000_999})],
)
async def test_an_amount_outside_the_offer_is_refused_before_asking(
    liar: Liar, sats: int, bounds: dict[str, int]
) -> None:
    destination = liar.offers(make_invoice(), **bounds)
    with pytest.raises(WalletRefusedError, match="sats"):
        await resolver().invoice(destination, amount_sats=sats, memo="")
    assert liar.asked == ["/pay"]
    info = await resolver().check(destination)
    assert info.min_sats == (1_000 if "minSendable" in bounds else 1)
    assert info.max_sats == (1_000 if "maxSendable" in bounds else 1_000_000)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (ok({"status": "ERROR", "reason": "wallet\nis full"}), WalletRefusedError),
        (http(404, json.dumps({"status": "error", "reason": "nobody"}).encode()), WalletRefusedError),
        (ok({"status": "ERROR", "reason": "\x00\ud800" + "x" * 9_000}), WalletRefusedError),
        (ok({"status": "ERROR", "reason": [["nested"]]}), WalletRefusedError),
        (ok({"status": ["ERROR"], "tag": "\x00" * 9_000}), WalletReplyError),
        (http(429, b"slow down"), WalletRateLimitedError),
        (http(500, b"oops"), WalletUnknownError),
        (http(404, b"<html>"), WalletReplyError),
        (http(302, b"", "Location: http://127.0.0.1:1/\r\n"), WalletReplyError),
        (http(200, b"[]"), WalletReplyError),
        (http(200, b"not json"), WalletReplyError),
        (http(200, b"[" * 60_000), WalletReplyError),
        (http(200, b'{"minSendable": ' + b"9" * 5_000 + b"}"), WalletReplyError),
        (http(200, b" " * 70_000), WalletReplyError),
        (http(200, b"\xff\xfe\x00"), WalletReplyError),
        (b"HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n{", WalletUnknownError),
        (b"", WalletUnknownError),
        (b"SSH-2.0-OpenSSH\r\n", WalletUnknownError),
    ],
)
async def test_every_odd_answer_is_one_clear_error(liar: Liar, reply: bytes, error: type[WalletError]) -> None:
    destination = liar.offers()
    liar.answers["/cb"] = reply
    with pytest.raises(error, match=r"127\.0\.0\.1") as raised:
        await resolver().invoice(destination, amount_sats=1_000, memo="")
    assert str(raised.value).isprintable() and len(str(raised.value)) < 500, "it goes into the books"
    liar.answers["/pay"] = reply
    with pytest.raises(error):
        await resolver().check(destination)


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def say_nothing(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody ends the silence")

    impatient = LnurlConfig(allow_private=True, total_timeout_seconds=0.05)
    silent = resolver(impatient, transport=httpx.MockTransport(say_nothing))
    with pytest.raises(WalletUnknownError, match="in time"):
        await silent.check(lnurl_of("http://127.0.0.1/pay"))


async def test_nobody_there_means_provably_nothing_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/pay"
        with pytest.raises(WalletUnreachableError):
            await resolver().check(lnurl_of(url))


async def test_more_than_all_bitcoin_is_offered_as_all_bitcoin(liar: Liar) -> None:
    info = await resolver().check(liar.offers(maxSendable=2**64 - 1))
    assert info.max_sats == 21 * 10**14
