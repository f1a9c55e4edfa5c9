"""Lightning addresses and LNURL: what people type, and what strangers' servers answer."""

from __future__ import annotations

import ipaddress
import json
from datetime import UTC, datetime

import bech32
import httpx

from dca_daemon.domain.errors import (
    WalletError,
    WalletRateLimitedError,
    WalletRefusedError,
)
from dca_daemon.payouts.lnurl import LnurlConfig, LnurlResolver, decode_lnurl, split_address
from dca_daemon.payouts.lnurl_http import fetch_json
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind, Invoice
from tests.fixtures.invoices import make_invoice
from tests.fixtures.lnurl import METADATA, encode_lnurl
from tests.fuzz.choices import Choices, chance, pick
from tests.fuzz.network import answer, offline, run, transport
from tests.fuzz.registry import target
from tests.fuzz.values import ODD_TEXTS, body, json_object, storable, text

MAX_SAID = 1_000  # of any refusal: it goes into the books and the log
SATS = 1_000
CREATED = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
NOW = datetime.fromtimestamp(CREATED, UTC)
INVOICES = {
    make_invoice(SATS * 1_000, created_at=CREATED): SATS,
    make_invoice(SATS * 1_000, created_at=CREATED).upper(): SATS,
    make_invoice((SATS + 1) * 1_000, created_at=CREATED): SATS + 1,
    make_invoice(SATS * 1_000 + 1, created_at=CREATED): None,
    make_invoice(None, created_at=CREATED): None,
    make_invoice(SATS * 1_000, created_at=CREATED - 10**6): SATS,
    make_invoice(SATS * 1_000, created_at=CREATED, description_hash="11" * 32): SATS,
}
NAMES = {
    "pay.test": ["8.8.8.8"],
    "inside.test": ["10.0.0.1"],
    "mixed.test": ["8.8.8.8", "127.0.0.1"],
    "nowhere.test": [],
    "xn--bcher-kva.test": ["8.8.4.4"],
}
HOSTS = (
    *NAMES, "PAY.TEST", "pay.test.", "pay.test..", "b\u00fccher.test", "b\u00fccher\u3002test",
    "\uff11\uff12\uff17.1",
    "127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001", "127.0.0.1.", "0",
    "0.0.0.0",
    "8.8.8.8", "134744072", "0x08080808", "010.010.010.010", "10.0.0.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:1::1]", "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]",
    "[ff02::1]",
    "[2606:4700::1111]", "[::ffff:8.8.8.8]", "[::ffff:0:127.0.0.1]", "[fec0::1]", "[v1.x]", "localhost",
    "\u2488\u2488",
    "user@pay.test", "user:pw@127.0.0.1", "pay.test@127.0.0.1", "pay.test#@127.0.0.1", "pay.test\\@127.0.0.1",
    "pay.test:0", "pay.test:80", "pay.test:65536", "pay.test:x", "a" * 64 + ".test", "%31%32%37.0.0.1",
    "pay.test%00",
    "pay.test\t", ".pay.test", "-", "_", "*", "\u00ad", "xn--", "xn--\u00fc", "",
)  # fmt: skip
PATHS = (
    "",
    "/",
    "/pay",
    "/pay?x=1&amount=5",
    "/../..",
    "/%00",
    "/\ud800",
    "?q#f",
    "/\u202e",
    "/ x",
    ":",
    "/" + "a" * 3_000,
)
SCHEMES = (
    "https://",
    "http://",
    "HTTPS://",
    "ftp://",
    "file://",
    "//",
    "",
    "https:",
    "https:/",
    "javascript:",
    "\x00",
)


def _url(choices: Choices) -> str:
    host = pick(choices, HOSTS) if not chance(choices, 4) else choices.text(30)
    scheme = "https://" if not chance(choices, 5) else pick(choices, SCHEMES)
    return scheme + host + ("/pay" if not chance(choices, 3) else pick(choices, PATHS))


def _check_said(error: WalletError) -> None:
    assert storable(str(error)), "it goes into the books"
    assert len(str(error)) <= MAX_SAID


def _is_inside(literal: str) -> bool:
    """By the registries' lists, with what is inside of IPv6 around IPv4: independent of `_is_public`."""
    address = ipaddress.ip_address(literal)
    if isinstance(address, ipaddress.IPv6Address):
        for net, shift in (("::ffff:0:0/96", 0), ("64:ff9b::/96", 0), ("::/96", 0), ("2002::/16", 80)):
            if address in ipaddress.ip_network(net):
                inner = ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF)
                return not inner.is_global or inner.is_multicast
    return not address.is_global or address.is_multicast


@target("fetch", examples=150)
def any_fetch(choices: Choices) -> None:
    """No address that a stranger chose leads into our own network, however it is written."""
    asked: list[httpx.Request] = []

    def script(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b"{}"))

    with offline(NAMES):
        try:
            url = httpx.URL(_url(choices))
        except (httpx.InvalidURL, UnicodeError):
            return
        try:
            run(fetch_json(url, LnurlConfig(), transport(script)))
        except WalletError as error:
            _check_said(error)
    for request in asked:
        assert request.url.scheme == "https"
        assert not _is_inside(request.url.host), f"{request.url.host} is in our own network"
        assert not request.url.userinfo


@target("address", examples=200)
def any_address(choices: Choices) -> None:
    """What is typed as an address or a code is refused as malformed, or leads to a host."""
    typed = text(choices, ("ana@pay.test", "ana@127.0.0.1:5000", "ana@[::1]", "\u212a@pay.test", "a@b..c"))
    try:
        name, host, port = split_address(typed)
    except WalletRefusedError as error:
        _check_said(error)
    else:
        assert name and host and host.isascii() and (port is None or 0 <= port <= 99_999)
    url = _url(choices)
    code = pick(choices, (_encoded(url), "lnurlp://" + url.partition("://")[2], "lightning:" + url, typed))
    try:
        found = decode_lnurl(code)
    except WalletRefusedError as error:
        _check_said(error)
    else:
        assert str(found).isascii()


def _encoded(url: str) -> str:
    data = bech32.convertbits(url.encode("utf-8", "surrogatepass"), 8, 5)
    return str(bech32.bech32_encode("lnurl", data)) if data else encode_lnurl("x")


@target("lnurl", examples=150)
def any_server(choices: Choices) -> None:
    """Whatever the two answers are: an invoice over exactly what was asked, or one clear error."""
    callback = json.dumps("https://pay.test/cb") if not chance(choices, 3) else json.dumps(_url(choices))
    offer = json_object(
        choices,
        {
            "tag": ('"payRequest"',),
            "callback": (callback,),
            "minSendable": ("1000", "1"),
            "maxSendable": ("1000000000", "1000000"),
            "metadata": (json.dumps(METADATA), '"\\ud800"'),
            "commentAllowed": ("0", "5", "1e9", "9" * 400),
        },
    )
    invoices = tuple(json.dumps(invoice) for invoice in INVOICES)
    paid = json_object(choices, {"pr": (invoices[0], *invoices), "routes": ("[]",), "status": ('"OK"', '"ERROR"')})
    if chance(choices, 6):
        paid = json.dumps({"status": "error", "reason": pick(choices, ODD_TEXTS)})
    answers = [answer(choices, body(choices, offer)), answer(choices, body(choices, paid))]
    memo = text(choices, ("DCA 1,000 sats",)).encode("utf-8", "replace").decode()
    asked: list[httpx.Request] = []

    def script(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answers[min(len(asked), 2) - 1].response()

    resolver = LnurlResolver(LnurlConfig(), now=lambda: NOW, network="bc", transport=transport(script))
    destination = Destination(DestinationKind.LIGHTNING_ADDRESS, address="ana@pay.test")
    given: Invoice | DestinationInfo | None = None
    with offline(NAMES):
        try:
            if chance(choices, 5):
                given = run(resolver.check(destination))
            else:
                given = run(resolver.invoice(destination, amount_sats=SATS, memo=memo))
        except WalletError as error:
            _check_said(error)
            if isinstance(error, WalletRateLimitedError):
                assert 429 in [sent.status for sent, _ in zip(answers, asked, strict=False)]
            assert type(error) is not WalletError
    assert len(asked) <= 2
    if isinstance(given, Invoice):
        assert INVOICES[given.bolt11] == SATS == given.amount_sats
        assert given.wallet_id is None and given.expires_at > NOW
        assert asked[-1].url.params["amount"] == str(SATS * 1_000)
    elif given is not None:
        assert given.min_sats >= 1 and (given.max_sats is None or given.max_sats >= 0)
