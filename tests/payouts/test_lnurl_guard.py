"""Where a destination that a stranger chose can not lead us, and what people type as one."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from dca_daemon.domain.errors import (
    WalletRefusedError,
    WalletReplyError,
    WalletUnreachableError,
)
from dca_daemon.payouts.lnurl import LnurlConfig, LnurlResolver, decode_lnurl, split_address
from tests.fixtures.invoices import make_invoice
from tests.fixtures.lnurl import METADATA, PRIVATE, Liar, address, encode_lnurl, lnurl_of, resolver


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    made = Liar()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


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


@pytest.mark.parametrize("text", ["x" * 5_000, encode_lnurl("ü"), "lnurlp://h:port/", "lnurlp://h/\ud800"])
def test_a_code_without_an_address_is_refused(text: str) -> None:
    with pytest.raises(WalletRefusedError, match="malformed"):
        decode_lnurl(text)


async def test_a_name_that_can_not_be_decoded_is_a_name_like_any_other(names: dict[str, list[str]]) -> None:
    for host in ("xn--.test", "xn--a.test", "xn--zzzzzzzz99999.test"):
        with pytest.raises(WalletUnreachableError, match="xn--"):
            await Internet().resolver().check(address(f"ana@{host}"))
