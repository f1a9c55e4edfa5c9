"""Everything that can happen to a request, and what each proves. Answers are scripted; nothing is listening."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from dca_daemon.domain.errors import (
    ConfigError,
    WalletError,
    WalletRateLimitedError,
    WalletRefusedError,
    WalletReplyError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.pacing import Pacer
from dca_daemon.payouts.wallet import Destination, DestinationKind, PayHint
from tests.fixtures.invoices import HASH, make_invoice

ADMIN_KEY, INVOICE_KEY = "the-admin-key", "the-invoice-key"
RECEIVER = Destination(DestinationKind.LNBITS, wallet_id="receiver", invoice_key=INVOICE_KEY)
INVOICE = make_invoice(1_000_000)
Handler = Callable[[httpx.Request], httpx.Response]

NOT_SENT = [httpx.ConnectError("refused"), httpx.ConnectTimeout(""), httpx.PoolTimeout("")]
NOBODY_KNOWS = [
    httpx.ReadTimeout(""),
    httpx.ReadError("reset"),
    httpx.WriteError("broken pipe"),
    httpx.WriteTimeout(""),
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
    httpx.DecodingError("gzip"),
]


class Script:
    """An LNbits that gives one answer to everything, and keeps what it was asked."""

    def __init__(self, answer: httpx.Response | Exception | Handler) -> None:
        self._answer = answer
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        if isinstance(self._answer, httpx.Response):
            return httpx.Response(
                self._answer.status_code, headers=self._answer.headers, content=self._answer.content
            )
        return self._answer(request)

    def wallet(self, **settings: Any) -> LnbitsWallet:
        config = LnbitsConfig(
            url="http://lnbits.test/", admin_key=ADMIN_KEY, **{"records_wallet_id": "source", **settings}
        )
        return LnbitsWallet(config, transport=httpx.MockTransport(self), pacer=Pacer(0), retry_wait_seconds=0)


def answer(status: int, body: object) -> httpx.Response:
    return httpx.Response(status, content=json.dumps(body).encode())


def row(**changes: object) -> dict[str, object]:
    """A row of LNbits' list: the source's record of having paid HASH."""
    return {
        "checking_id": f"internal_{HASH}",
        "payment_hash": HASH,
        "wallet_id": "source",
        "amount": -1_000_000,
        "fee": 0,
        "status": "success",
        "tag": "aio-dca",
        "extra": {"tag": "aio-dca"},
        "external_id": "payout-1",
        "time": "2026-11-22T12:00:00+00:00",
        **changes,
    }


def rows(*found: Mapping[str, object], total: int | None = None) -> httpx.Response:
    return answer(200, {"data": list(found), "total": len(found) if total is None else total})


async def no_sleep(_seconds: float) -> None:
    """Time passes by the clock that a test hands out."""


async def pay(wallet: LnbitsWallet) -> Any:
    return await wallet.pay(INVOICE, payout_id="payout-1", extra={})


async def create(wallet: LnbitsWallet, receiver: Destination = RECEIVER) -> Any:
    return await wallet.create_invoice(
        receiver, amount_sats=1_000, memo="memo", expiry_seconds=3_600, payout_id="payout-1", extra={"a": 1}
    )


# What each fault proves


@pytest.mark.parametrize("fault", NOT_SENT, ids=lambda fault: type(fault).__name__)
async def test_a_connection_never_made_proves_that_nothing_was_sent(fault: Exception) -> None:
    script = Script(fault)
    with pytest.raises(WalletUnreachableError) as raised:
        await pay(script.wallet())
    assert raised.value.remedy is not None
    assert len(script.requests) == 1, "paying is the payer's to repeat"


@pytest.mark.parametrize("fault", NOBODY_KNOWS, ids=lambda fault: type(fault).__name__)
async def test_any_other_fault_of_transport_proves_nothing_and_paying_is_not_repeated(fault: Exception) -> None:
    script = Script(fault)
    with pytest.raises(WalletUnknownError):
        await pay(script.wallet())
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500, text="<html>Internal Server Error</html>"),
        answer(500, {"detail": "Unexpected error! ID: 1"}),
        httpx.Response(502, text="Bad Gateway"),
        answer(503, {"detail": "maintenance"}),
        answer(504, {"detail": "time-out"}),
        httpx.Response(520, text="error code: 520"),
        answer(520, {"detail": "a proxy's own 520"}),
        httpx.Response(201, text="<html>hello</html>"),
        httpx.Response(201, content=b""),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(307, headers={"Location": "/first_install"}),
        httpx.Response(301, headers={"Location": "https://elsewhere.test/"}, json={}),
        answer(405, {"detail": "Method Not Allowed"}),
        answer(408, {"detail": "Request Timeout"}),
        httpx.Response(404, text="<html>no such page</html>"),
    ],
    ids=lambda response: f"{response.status_code}-{response.content[:12]!r}",
)
async def test_an_answer_that_is_not_lnbits_own_proves_nothing(response: httpx.Response) -> None:
    script = Script(response)
    with pytest.raises(WalletUnknownError):
        await pay(script.wallet())
    assert len(script.requests) == 1, "neither repeated nor redirected"


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_wrong_key_is_refused_with_what_to_do(status: int) -> None:
    with pytest.raises(WalletRefusedError, match="no good") as raised:
        await pay(Script(answer(status, {"detail": "no good"})).wallet())
    assert raised.value.status == status
    assert raised.value.remedy is not None


async def test_a_wrong_record_in_place_of_ours_is_a_contradiction() -> None:
    with pytest.raises(WalletReplyError):
        await pay(Script(answer(201, {"payment_hash": "cd" * 32, "status": "success"})).wallet())


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (201, {"payment_hash": HASH, "status": "success", "amount": -1_000_000}, PayHint.ACCEPTED),
        (201, {"payment_hash": HASH, "checking_id": "before 1.0: no status"}, PayHint.ACCEPTED),
        (201, {"payment_hash": HASH, "status": "\x00\ud800" * 9_000}, PayHint.ACCEPTED),
        (520, {"status": "failed", "detail": "\x00\ud800" * 9_000}, PayHint.REFUSED),
        (201, {"payment_hash": HASH, "status": "pending", "amount": -1_000_000}, PayHint.PENDING),
        (201, {"payment_hash": HASH, "status": "failed", "amount": -1_000_000}, PayHint.REFUSED),
        (201, {"payment_hash": HASH, "status": "failed", "amount": 1_000_000}, PayHint.REFUSED),
        (520, {"detail": "Internal invoice already paid.", "status": "failed"}, PayHint.ALREADY_PAID),
        (520, {"detail": "Payment already paid.", "status": "success"}, PayHint.ALREADY_PAID),
        (520, {"detail": "Payment is still pending.", "status": "pending"}, PayHint.PENDING),
        (520, {"detail": "Could not fetch wallet 'x'.", "status": "failed"}, PayHint.PENDING),
        (520, {"detail": "Insufficient balance.", "status": "failed"}, PayHint.INSUFFICIENT_BALANCE),
        (520, {"detail": "You must reserve at least (2 sat)", "status": "failed"}, PayHint.INSUFFICIENT_BALANCE),
        (520, {"detail": "Payment failed: no route", "status": "failed"}, PayHint.REFUSED),
        (520, {"detail": "Something new", "status": "failed"}, PayHint.REFUSED),
        (400, {"detail": "The amount is over the daily limit"}, PayHint.REFUSED),
        (422, {"detail": [{"msg": "field required"}]}, PayHint.REFUSED),
    ],
)
async def test_a_complete_answer_to_a_pay_request_is_a_hint(status: int, body: object, hint: PayHint) -> None:
    given = await pay(Script(answer(status, body)).wallet())
    assert (given.hint, given.http_status) == (hint, status)
    assert given.text and given.text.isprintable() and len(given.text) <= 400, "it goes into the books"


async def test_paying_sends_the_admin_key_in_a_header_and_our_ids_in_the_body() -> None:
    script = Script(answer(201, {"payment_hash": HASH, "status": "success"}))
    await script.wallet().pay(INVOICE, payout_id="payout-1", extra={"records": [1], "tag": "not ours"})
    (request,) = script.requests
    assert str(request.url) == "http://lnbits.test/api/v1/payments"
    assert request.headers["X-Api-Key"] == ADMIN_KEY
    assert json.loads(request.content) == {
        "out": True,
        "bolt11": INVOICE,
        "extra": {"records": [1], "tag": "aio-dca", "payout_id": "payout-1"},
        "external_id": "payout-1",
    }


async def test_what_is_no_invoice_is_never_submitted() -> None:
    script = Script(answer(201, {}))
    with pytest.raises(WalletReplyError):
        await script.wallet().pay("lnbc1garbage", payout_id="p", extra={})
    assert script.requests == []


# Creating


def created(**changes: object) -> dict[str, object]:
    return {
        "payment_hash": HASH,
        "wallet_id": "receiver",
        "amount": 1_000_000,
        "bolt11": INVOICE,
        "status": "pending",
        "external_id": "payout-1",
        **changes,
    }


async def test_creating_uses_the_receivers_key_and_never_pays() -> None:
    script = Script(answer(201, created()))
    invoice = await create(script.wallet())
    assert (invoice.bolt11, invoice.payment_hash, invoice.wallet_id) == (INVOICE, HASH, "receiver")
    (request,) = script.requests
    assert request.headers["X-Api-Key"] == INVOICE_KEY
    body = json.loads(request.content)
    assert body == {
        "out": False,
        "amount": 1_000,
        "unit": "sat",
        "memo": "memo",
        "expiry": 3_600,
        "extra": {"a": 1, "tag": "aio-dca", "payout_id": "payout-1"},
        "external_id": "payout-1",
    }
    assert type(body["amount"]) is int


@pytest.mark.parametrize(
    "changes",
    [{"bolt11": None, "payment_request": INVOICE}, {"external_id": None}],
    ids=["before 1.0", "before 1.5.5"],
)
async def test_older_versions_answers_are_understood(changes: dict[str, object]) -> None:
    assert (await create(Script(answer(201, created(**changes))).wallet())).payment_hash == HASH


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 1_001_000},
        {"amount": 1_000},
        {"amount": 1_000_000.0},
        {"amount": None},
        {"wallet_id": "another"},
        {"wallet_id": None},
        {"wallet_id": "receiver\x00"},
        {"payment_hash": "cd" * 32},
        {"external_id": "payout-2"},
        {"bolt11": make_invoice(2_000_000)},
        {"bolt11": make_invoice(1_000_000, created_at=1_700_000_000)},
        {"bolt11": make_invoice(None)},
        {"bolt11": "lnbc1garbage"},
        {"bolt11": None},
    ],
    ids=[
        "more",
        "less",
        "a float",
        "no amount",
        "another wallet",
        "no wallet",
        "a wallet that can't be stored",
        "another hash",
        "another id",
        "invoice over more",
        "invoice expired",
        "invoice without amount",
        "invoice garbled",
        "no invoice",
    ],
)
async def test_an_invoice_that_is_not_what_was_asked_for_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(WalletReplyError):
        await create(Script(answer(201, created(**changes))).wallet())


async def test_an_invoice_of_another_network_is_refused_where_one_is_set() -> None:
    with pytest.raises(WalletReplyError, match="network"):
        await create(Script(answer(201, created())).wallet(network="tb"))


@pytest.mark.parametrize("body", [[], "text", None, 3, {"data": 1}])
async def test_json_of_another_shape_is_a_contradiction(body: object) -> None:
    script = Script(answer(200, body))
    for call in (create(script.wallet()), script.wallet().sent(HASH), script.wallet().balance_msat()):
        with pytest.raises(WalletError):
            await call


async def test_creating_is_repeated_only_when_it_was_not_sent() -> None:
    unreachable, unknown = Script(httpx.ConnectError("refused")), Script(httpx.ReadTimeout(""))
    with pytest.raises(WalletUnreachableError):
        await create(unreachable.wallet())
    with pytest.raises(WalletUnknownError):
        await create(unknown.wallet())
    assert (len(unreachable.requests), len(unknown.requests)) == (3, 1)


@pytest.mark.parametrize("sats", [0, -1])
async def test_no_invoice_over_nothing_is_asked_for(sats: int) -> None:
    script = Script(answer(201, created()))
    with pytest.raises(ValueError, match="sats"):
        await script.wallet().create_invoice(
            RECEIVER, amount_sats=sats, memo="", expiry_seconds=60, payout_id="p", extra={}
        )
    assert script.requests == []


# Looking up


async def test_a_record_is_read_with_all_that_decides() -> None:
    script = Script(rows(row(fee=-2_000, checking_id="outside")))
    record = await script.wallet().sent(HASH)
    assert record is not None
    assert (record.amount_msat, record.fee_msat, record.internal) == (-1_000_000, 2_000, False)
    assert (record.external_id, record.tag) == ("payout-1", "aio-dca")
    (request,) = script.requests
    assert request.url.path == "/api/v1/payments/paginated", "the only look-up without side effects"
    assert request.url.params["payment_hash"] == HASH
    assert request.headers["X-Api-Key"] == ADMIN_KEY


async def test_looking_up_is_repeated_until_it_is_answered() -> None:
    answers: Iterator[httpx.Response | Exception] = iter(
        [httpx.ConnectError("refused"), httpx.ReadError("reset"), rows(row())]
    )

    def handle(request: httpx.Request) -> httpx.Response:
        given = next(answers)
        if isinstance(given, Exception):
            raise given
        return given

    record = await Script(handle).wallet().sent(HASH)
    assert record is not None


@pytest.mark.parametrize(
    "response",
    [
        rows(row(payment_hash="cd" * 32)),
        rows(row(), row(payment_hash="cd" * 32)),
        rows(row(), total=37_000),
        rows(total=1),
        rows(row(wallet_id="another")),
        rows(row(), row(wallet_id="another", amount=1_000_000)),
        rows(row(status="no such status")),
        rows(row(status=None)),
        rows(row(amount="1000000")),
        rows(row(amount=-1_000_000.5)),
        rows(row(amount=True)),
        rows(row(amount=-(10**20))),
        rows(row(fee=10**20)),
        rows(row(wallet_id="\x00")),
        rows(row(status="\ud800" * 9_000)),
        answer(200, {"data": [row()], "total": True}),
        rows(row(payment_hash=None)),
        answer(200, {"data": [1], "total": 1}),
        answer(200, [row()]),
    ],
)
async def test_a_list_that_is_not_what_was_asked_for_proves_nothing(response: httpx.Response) -> None:
    with pytest.raises(WalletReplyError) as raised:
        await Script(response).wallet().sent(HASH)
    assert str(raised.value).isprintable() and len(str(raised.value)) < 500, "it goes into the books"


@pytest.mark.parametrize(
    "response",
    [
        rows(row(), row(payment_hash="cd" * 32)),
        rows(row(), total=2),
        rows(row(wallet_id="another")),
        answer(200, [row()]),
    ],
)
async def test_of_many_hashes_nothing_is_believed_that_was_not_asked_for(response: httpx.Response) -> None:
    with pytest.raises(WalletReplyError):
        await Script(response).wallet().records_by_hash([HASH])


async def test_reading_lists_waits_out_a_rate_limit() -> None:
    answers = iter([httpx.Response(429, headers={"Retry-After": "0"}, json={"error": "slow"}), rows(row())])
    script = Script(lambda _request: next(answers))
    wallet = LnbitsWallet(
        LnbitsConfig(url="http://lnbits.test", admin_key=ADMIN_KEY, records_wallet_id="source"),
        transport=httpx.MockTransport(script),
        pacer=Pacer(0, sleep=no_sleep, clock=iter(range(1_000_000)).__next__),
        retry_wait_seconds=0,
    )
    assert list(await wallet.records_by_hash([HASH])) == [HASH]
    assert len(script.requests) == 2


async def test_the_invoice_is_read_from_a_record_under_either_name() -> None:
    for name in ("bolt11", "payment_request"):
        found = await Script(rows(row(**{name: INVOICE}))).wallet().records_by_hash([HASH])
        assert found[HASH].bolt11 == INVOICE
    assert (await Script(rows(row())).wallet().records_by_hash([HASH]))[HASH].bolt11 is None


async def test_an_incoming_record_is_no_proof_that_the_source_paid() -> None:
    assert await Script(rows(row(amount=1_000_000))).wallet().sent(HASH) is None


async def test_a_list_that_shows_nothing_at_all_is_no_proof_that_nothing_left() -> None:
    with pytest.raises(WalletReplyError, match="at all"):
        await Script(rows()).wallet().sent(HASH)


async def test_an_absence_is_asked_about_twice() -> None:
    answers = iter([rows(), rows(row(payment_hash="cd" * 32), total=7), rows(row())])
    script = Script(lambda request: next(answers))
    record = await script.wallet().sent(HASH)
    assert record is not None
    assert "payment_hash" not in script.requests[1].url.params


async def test_of_several_records_the_one_that_says_most_counts() -> None:
    script = Script(rows(row(status="failed"), row(status="success"), row(status="pending")))
    record = await script.wallet().sent(HASH)
    assert record is not None
    assert record.status == "success"


async def test_a_receiver_is_asked_with_its_own_key() -> None:
    script = Script(rows(row(wallet_id="receiver", amount=1_000_000)))
    record = await script.wallet().received(RECEIVER, HASH)
    assert record is not None
    assert script.requests[0].headers["X-Api-Key"] == INVOICE_KEY


async def test_without_an_admin_key_nothing_of_the_source_is_believed() -> None:
    wallet = Script(answer(200, {"name": "source", "balance": 1})).wallet(records_wallet_id=None)
    for call in (wallet.sent(HASH), wallet.balance_msat(), wallet.probe()):
        with pytest.raises(WalletRefusedError, match="can't pay") as raised:
            await call
        assert "admin key" in (raised.value.remedy or "")


# Rates and settings


@pytest.mark.parametrize(
    ("header", "seconds"), [({"Retry-After": "7"}, 7), ({}, 60), ({"Retry-After": "soon"}, 60)]
)
async def test_too_many_requests_say_how_long_to_wait(header: dict[str, str], seconds: float) -> None:
    script = Script(httpx.Response(429, headers=header, json={"error": "Rate limit exceeded"}))
    for call in (pay, create):
        with pytest.raises(WalletRateLimitedError) as raised:
            await call(script.wallet())
        assert raised.value.retry_after_seconds == pytest.approx(seconds, abs=1)
    assert len(script.requests) == 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "lnbits.test",
        "ftp://lnbits.test",
        "http://",
        "http://user:secret@h",
        "http://h/?k=1",
        "http://h:port",
        "http://h/\ud800",
    ],
)
def test_a_wrong_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        LnbitsWallet(LnbitsConfig(url=url, admin_key="k"))
    assert "secret" not in str(raised.value)


async def test_an_address_with_a_path_in_front_is_kept() -> None:
    script = Script(answer(200, {"name": "n", "balance": 5, "id": "source"}))
    wallet = LnbitsWallet(
        LnbitsConfig(url="https://example.test/lnbits/", admin_key="k"), transport=httpx.MockTransport(script)
    )
    assert await wallet.balance_msat() == 5
    assert str(script.requests[-1].url) == "https://example.test/lnbits/api/v1/wallet"


async def test_the_probe_shows_the_version_where_it_can() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/openapi.json":
            return answer(200, {"info": {"version": "1.6.2"}}) if shown else httpx.Response(404, text="no")
        return answer(200, {"name": "payouts", "balance": 7_000, "id": "source"})

    shown = True
    script = Script(handle)
    wallet = script.wallet()
    for _ in range(2):
        probe = await wallet.probe()
    assert (probe.version, probe.wallet_name, probe.wallet_id, probe.balance_msat) == (
        "1.6.2",
        "payouts",
        "source",
        7_000,
    )
    assert [request.url.path for request in script.requests].count("/openapi.json") == 1
    shown = False
    assert (await Script(handle).wallet().probe()).version is None


async def test_what_an_owner_named_its_wallet_can_be_stored() -> None:
    named = answer(200, {"name": "\x00Ana\ud800" + "x" * 9_000, "balance": 5})
    info = await Script(named).wallet().check_destination(RECEIVER)
    assert info.name.startswith("\ufffdAna\ufffd") and info.name.isprintable() and len(info.name) <= 80


@pytest.mark.parametrize("depth", [200, 900, 950, 960, 970, 975, 980, 985, 990, 995, 1_000, 100_000])
async def test_no_nesting_is_too_deep_to_be_refused(depth: int) -> None:
    nested = b'{"detail":' + b"[" * depth + b"]" * depth + b"}"
    for status in (400, 404, 500, 520):
        script = Script(httpx.Response(status, content=nested))
        try:
            given = await pay(script.wallet())
        except WalletError as error:
            assert len(str(error)) < 600
        else:
            assert given.hint is PayHint.REFUSED


async def test_an_answer_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dca_daemon.payouts.lnbits_http.REPLY_BYTES_MAX", 1_000_000)
    sent = 0

    async def forever() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    with pytest.raises(WalletUnknownError, match="more than 1000000 bytes"):
        await pay(Script(lambda _: httpx.Response(201, content=forever())).wallet())
    assert sent < 2_000_000


async def test_a_compressed_answer_is_read_like_any_other() -> None:
    body = gzip.compress(json.dumps({"payment_hash": HASH, "status": "success", "amount": -1_000_000}).encode())
    packed = httpx.Response(201, content=body, headers={"Content-Encoding": "gzip"})
    given = await pay(Script(lambda _: packed).wallet())
    assert given.hint is PayHint.ACCEPTED
