"""Lightning addresses and LNURL-pay: against the real LNbits, and against servers that lie."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bech32
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

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
from dca_daemon.payouts.lnurl import LnurlConfig, LnurlResolver, decode_lnurl, split_address
from dca_daemon.payouts.wallet import Destination, DestinationKind, PayHint, RecordStatus
from tests.fixtures.invoices import make_invoice

METADATA = json.dumps([["text/plain", "sats for Ana"]])
PRIVATE = LnurlConfig(allow_private=True, total_timeout_seconds=5)


def encode_lnurl(url: str) -> str:
    data = bech32.convertbits(url.encode(), 8, 5)
    assert data is not None
    return bech32.bech32_encode("lnurl", data).upper()


def lnurl_of(url: str) -> Destination:
    return Destination(DestinationKind.LNURL, address=encode_lnurl(url))


def address(text: str) -> Destination:
    return Destination(DestinationKind.LIGHTNING_ADDRESS, address=text)


def resolver(config: LnurlConfig = PRIVATE, **more: Any) -> LnurlResolver:
    return LnurlResolver(config, now=lambda: datetime.now(UTC), **more)


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


class Liar:
    """A server on loopback that answers each path with the bytes it was given."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.answers: dict[str, bytes | Callable[[str], bytes]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            target = head.split(" ")[1]
            self.asked.append(target)
            answer = self.answers.get(target.partition("?")[0], http(404, b"no"))
            writer.write(answer(target) if callable(answer) else answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client had enough
        finally:
            writer.close()

    def offers(self, invoice: str | Callable[[str], bytes] | None = None, **changes: Any) -> Destination:
        """Offers a pay request with these changes, and that invoice at its callback."""
        offer = {
            "tag": "payRequest",
            "callback": f"{self.url}/cb?kept=1",
            "minSendable": 1_000,
            "maxSendable": 1_000_000_000,
            "metadata": METADATA,
            **changes,
        }
        self.answers["/pay"] = ok(offer)
        if invoice is not None:
            self.answers["/cb"] = invoice if callable(invoice) else ok({"pr": invoice, "routes": []})
        return lnurl_of(f"{self.url}/pay")


def http(status: int, body: bytes, headers: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}Connection: close\r\n\r\n".encode() + body
    )


def ok(body: object) -> bytes:
    return http(200, json.dumps(body).encode(), "Content-Type: application/json\r\n")


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
        make_invoice(1_000_000, description_hash="00" * 32),
        "lnbc1garbage",
        "",
    ],
    ids=["more", "no amount", "parts of a sat", "expired", "other description", "garbled", "empty"],
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
    with pytest.raises(error, match=r"127\.0\.0\.1"):
        await resolver().invoice(destination, amount_sats=1_000, memo="")
    liar.answers["/pay"] = reply
    with pytest.raises(error):
        await resolver().check(destination)


async def test_a_server_that_never_answers_is_given_up(liar: Liar) -> None:
    silent = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/pay"
        impatient = LnurlConfig(allow_private=True, total_timeout_seconds=0.05)
        with pytest.raises(WalletUnknownError, match="in time"):
            await resolver(impatient).check(lnurl_of(url))
        silent.set()


async def test_nobody_there_means_provably_nothing_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/pay"
        with pytest.raises(WalletUnreachableError):
            await resolver().check(lnurl_of(url))


# Where we do not go


class Internet:
    """Answers without any network, and keeps where the connection would have gone."""

    def __init__(self, callback: str = "https://pay.test/cb") -> None:
        self.callback = callback
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        offer = {
            "tag": "payRequest",
            "callback": self.callback,
            "minSendable": 1_000,
            "maxSendable": 1_000_000_000,
            "metadata": METADATA,
        }
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(offer | {"pr": make_invoice()}).encode()))

    def resolver(self, config: LnurlConfig | None = None) -> LnurlResolver:
        return resolver(config or LnurlConfig(), transport=httpx.MockTransport(self))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A DNS of our own."""
    known: dict[str, list[str]] = {}

    async def getaddrinfo(_: object, host: str, port: int, **__: object) -> list[Any]:
        if host not in known:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port)) for found in known[host]]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return known


PUBLIC = "8.8.8.8"


async def test_the_connection_goes_to_the_address_that_was_checked(names: dict[str, list[str]]) -> None:
    names["pay.test"] = [PUBLIC]
    internet = Internet()
    await internet.resolver().invoice(address("Ana+dca@Pay.Test"), amount_sats=1_000, memo="")
    assert [str(request.url) for request in internet.requests] == [
        f"https://{PUBLIC}/.well-known/lnurlp/ana+dca",
        f"https://{PUBLIC}/cb?amount=1000000",
    ]
    for request in internet.requests:
        assert request.headers["Host"] == "pay.test"
        assert request.extensions["sni_hostname"] == "pay.test", "the certificate is checked against the name"


async def test_an_ipv6_address_is_reached_too(names: dict[str, list[str]]) -> None:
    names["pay.test"] = ["2606:4700::1111"]
    internet = Internet()
    await internet.resolver().check(address("ana@pay.test"))
    assert internet.requests[0].url.host == "2606:4700::1111"


@pytest.mark.parametrize(
    "inside",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.10",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
        "2001:0:1::1",
    ],
)
async def test_our_own_network_is_out_of_bounds(names: dict[str, list[str]], inside: str) -> None:
    names["pay.test"] = [inside]
    names["mixed.test"] = [PUBLIC, inside]
    internet = Internet()
    for host in ("pay.test", "mixed.test"):
        with pytest.raises(WalletReplyError, match="private"):
            await internet.resolver().check(address(f"ana@{host}"))
    literal = f"[{inside}]" if ":" in inside else inside
    with pytest.raises(WalletReplyError, match="private"):
        await internet.resolver().check(lnurl_of(f"https://{literal}/pay"))
    assert internet.requests == []


@pytest.mark.parametrize(
    "callback", ["https://inside.test/cb", "https://127.0.0.1:5000/api", "http://pay.test/cb"]
)
async def test_a_callback_is_held_to_the_same_rules(names: dict[str, list[str]], callback: str) -> None:
    names["pay.test"], names["inside.test"] = [PUBLIC], ["10.0.0.1"]
    internet = Internet(callback)
    with pytest.raises(WalletReplyError):
        await internet.resolver().invoice(address("ana@pay.test"), amount_sats=1_000, memo="")
    assert len(internet.requests) == 1


async def test_plain_http_is_for_private_addresses_only(names: dict[str, list[str]]) -> None:
    names["pay.test"] = [PUBLIC]
    for config in (LnurlConfig(), PRIVATE):
        with pytest.raises(WalletReplyError, match="https"):
            await Internet().resolver(config).check(lnurl_of("http://pay.test/pay"))


async def test_an_unknown_name_is_unreachable(names: dict[str, list[str]]) -> None:
    with pytest.raises(WalletUnreachableError, match=r"nowhere\.test"):
        await Internet().resolver().check(address("ana@nowhere.test"))


async def test_an_address_with_a_port_is_for_private_networks_only(names: dict[str, list[str]]) -> None:
    names["pay.test"] = [PUBLIC]
    with pytest.raises(WalletRefusedError, match="malformed"):
        await Internet().resolver().check(address("ana@pay.test:8080"))


async def test_the_next_address_is_tried_when_one_is_down(names: dict[str, list[str]]) -> None:
    names["pay.test"] = [PUBLIC, "1.1.1.1"]
    answers = Internet()

    def first_is_down(request: httpx.Request) -> httpx.Response:
        if request.url.host == PUBLIC:
            raise httpx.ConnectError("down")
        return answers(request)

    made = resolver(LnurlConfig(), transport=httpx.MockTransport(first_is_down))
    assert (await made.check(address("ana@pay.test"))).min_sats == 1


def self_signed(name: str, folder: Path) -> tuple[Path, Path]:
    """A certificate for that name and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file


async def test_the_certificate_is_the_names_although_we_connect_to_an_address(
    liar: Liar, names: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names["pay.test"] = names["another.test"] = ["127.0.0.1"]
    certificate_file, key_file = self_signed("pay.test", tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    liar.offers()
    server = await asyncio.start_server(liar.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(WalletUnreachableError, match="certificate"):  # nobody vouches for it
            await resolver().check(lnurl_of(f"https://pay.test:{port}/pay"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate_file))
        assert (await resolver().check(lnurl_of(f"https://pay.test:{port}/pay"))).min_sats == 1
        with pytest.raises(WalletUnreachableError, match="certificate"):  # it is for another name
            await resolver().check(lnurl_of(f"https://another.test:{port}/pay"))


# What people type


@pytest.mark.parametrize(
    "text",
    ["", "ana", "@pay.test", "ana@", "a b@pay.test", "ana@pay.test/x", "ana@pay.test?x", "ana@@pay.test", "ü@x.y"],
)
def test_what_is_no_lightning_address_is_refused(text: str) -> None:
    with pytest.raises(WalletRefusedError, match="malformed") as raised:
        split_address(text)
    assert raised.value.remedy is not None


@pytest.mark.parametrize("prefix", ["", "lightning:", "LIGHTNING:", "  "])
def test_a_code_is_read_as_it_comes_from_a_qr_code(prefix: str) -> None:
    code = encode_lnurl("https://pay.test/lnurlp/7?x=1")
    for text in (code, code.lower()):
        assert str(decode_lnurl(prefix + text)) == "https://pay.test/lnurlp/7?x=1"


def test_the_readable_form_of_a_code_is_read() -> None:
    assert str(decode_lnurl("lnurlp://pay.test/lnurlp/7")) == "https://pay.test/lnurlp/7"


@given(
    st.text(max_size=200) | st.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l1", max_size=80).map(lambda t: "lnurl1" + t)
)
@settings(max_examples=100, deadline=None)
def test_garbage_in_place_of_a_code_is_refused(text: str) -> None:
    with pytest.raises(WalletRefusedError):
        decode_lnurl(text)


@pytest.mark.parametrize("text", ["x" * 5_000, encode_lnurl("ü"), "lnurlp://h:port/"])
def test_a_code_without_an_address_is_refused(text: str) -> None:
    with pytest.raises(WalletRefusedError, match="malformed"):
        decode_lnurl(text)
