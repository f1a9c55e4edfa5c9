"""LNbits' replies: status, headers and bytes of any kind to every call that there is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx

from dca_daemon.domain.errors import (
    InputError,
    WalletError,
    WalletRateLimitedError,
    WalletRefusedError,
    WalletReplyError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.domain.money import MAX_SATS
from dca_daemon.payouts.bolt11 import decode
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsProbe, LnbitsWallet
from dca_daemon.payouts.pacing import MAX_PAUSE_SECONDS, Pacer
from dca_daemon.payouts.wallet import (
    TAG,
    Destination,
    DestinationInfo,
    DestinationKind,
    Invoice,
    PayAnswer,
    WalletRecord,
)
from tests.fixtures.invoices import HASH, make_invoice
from tests.fuzz.choices import Choices, chance, pick
from tests.fuzz.network import NOT_SENT, Sent, answer, offline, run, transport
from tests.fuzz.registry import target
from tests.fuzz.values import ODD_TEXTS, body, json_object, storable

MAX_SAID = 1_000
SATS = 1_000
CREATED = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
NOW = datetime.fromtimestamp(CREATED, UTC)
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
INVOICE = make_invoice(SATS * 1_000, created_at=CREATED)
INVOICES = {
    INVOICE: SATS,
    make_invoice((SATS - 1) * 1_000, created_at=CREATED): SATS - 1,
    make_invoice(SATS * 1_000, created_at=CREATED, payment_hash="cd" * 32): SATS,
    make_invoice(SATS * 1_000, created_at=CREATED - 10**6): SATS,
}
RECEIVER = Destination(DestinationKind.LNBITS, wallet_id="receiver", invoice_key="the-invoice-key")
CALLS = ("pay", "create", "sent", "received", "balance", "check", "probe", "tagged")
DETAILS = (
    "Internal invoice already paid.", "Payment already paid.", "Payment is still pending.",
    "Insufficient balance.",
    "You must reserve at least 1% (10 sat)", "Could not fetch wallet 1", "Not Found", *ODD_TEXTS,
)  # fmt: skip
_HASHES = (json.dumps(HASH), json.dumps("cd" * 32))
_AMOUNTS = ("-1000000", "1000000", "0", "-999000", "true", "-1000000.0", "9" * 30)


def _row(choices: Choices, wallet: str) -> str:
    return json_object(
        choices,
        {
            "checking_id": ('"internal_x"', '"x"'),
            "payment_hash": (_HASHES[0], *_HASHES),
            "wallet_id": (f'"{wallet}"', f'"{wallet}"', '"another"'),
            "amount": _AMOUNTS,
            "fee": ("0", "-1000", "5", "-" + "9" * 30),
            "status": ('"success"', '"pending"', '"failed"', '"paid"'),
            "tag": ('"aio-dca"', "null"),
            "extra": ('{"tag": "aio-dca"}', "{}", "null"),
            "external_id": ('"payout-1"', "null"),
            "time": (
                '"2026-11-22T12:00:00+00:00"', '"2026-11-22T12:00:00"', "1795000000", "null",
                '"9999-12-31T23:59:59-14:00"',
                '"0001-01-01T00:00:00+14:00"', "9" * 20, '"\\ud800"', '"2026-W01"',
            ),
        },
    )  # fmt: skip


def _reply(choices: Choices, call: str) -> str:
    """What LNbits would answer to this call, more or less."""
    if chance(choices, 6):
        detail = json.dumps(pick(choices, DETAILS))
        return json_object(choices, {"detail": (detail,), "status": ('"failed"', '"success"', '"pending"')})
    if call in ("sent", "received", "tagged"):
        rows = ",".join(
            _row(choices, "receiver" if call == "received" else "source") for _ in range(choices.integer(0, 3))
        )
        return json_object(
            choices, {"data": (f"[{rows}]",), "total": (str(rows.count("checking_id")), "1", "true")}
        )
    if call in ("balance", "check", "probe"):
        return json_object(
            choices,
            {
                "id": ('"source"', "null"),
                "name": ('"a wallet"', json.dumps(pick(choices, ODD_TEXTS))),
                "balance": ("5000000", "-5", "9" * 30, "true"),
                "info": ('{"version": "1.6.2"}', '{"version": "' + "9" * 500 + '"}'),
            },
        )
    invoices = tuple(json.dumps(invoice) for invoice in INVOICES)
    return json_object(
        choices,
        {
            "payment_hash": (_HASHES[0], *_HASHES),
            "checking_id": ('"x"',),
            "wallet_id": ('"receiver"', '"another"', '"a\\u0000"'),
            "amount": ("1000000", *_AMOUNTS),
            "bolt11": (invoices[0], *invoices),
            "status": ('"pending"', '"success"', '"failed"'),
            "external_id": ('"payout-1"', "null", '"payout-2"'),
        },
    )


@target("lnbits", examples=250)
def any_reply(choices: Choices) -> None:
    """One of `Wallet`'s errors, or a result that fits what was asked."""
    call = pick(choices, CALLS)
    answers = [
        answer(choices, body(choices, _reply(choices, call)), 201 if call in ("pay", "create") else 200)
        for _ in range(choices.integer(1, 3))
    ]
    asked: list[Sent] = []

    def script(_: httpx.Request) -> httpx.Response:
        asked.append(answers[min(len(asked), len(answers) - 1)])
        return asked[-1].response()

    config = LnbitsConfig(
        url="http://lnbits.test",
        admin_key="the-admin-key",
        network="bc",
        records_wallet_id=None if chance(choices, 4) else "source",
    )
    with offline():
        wallet = LnbitsWallet(
            config, transport=transport(script), pacer=Pacer(0), now=lambda: NOW, retry_wait_seconds=0
        )
        try:
            found = run(_call(wallet, call))
        except WalletError as error:
            assert storable(str(error)), "it goes into the books"
            assert len(str(error)) <= MAX_SAID
            _check_error(call, error, asked)
        except InputError:
            assert call == "check"
        else:
            _check_result(call, found)
        run(wallet.close())


async def _call(wallet: LnbitsWallet, call: str) -> Any:
    match call:
        case "pay":
            return await wallet.pay(INVOICE, payout_id="payout-1", extra={"client": 1})
        case "create":
            return await wallet.create_invoice(
                RECEIVER, amount_sats=SATS, memo="m", expiry_seconds=60, payout_id="payout-1", extra={}
            )
        case "sent":
            return await wallet.sent(HASH)
        case "received":
            return await wallet.received(RECEIVER, HASH)
        case "balance":
            return await wallet.balance_msat()
        case "check":
            return await wallet.check_destination(RECEIVER)
        case "probe":
            return await wallet.probe()
    return [record async for record in wallet.payments_tagged(SINCE)]


def _check_error(call: str, error: WalletError, asked: list[Sent]) -> None:
    last = asked[-1]
    if isinstance(error, WalletRateLimitedError):
        assert last.status == 429, "says that nothing was carried out"
        assert 0 < error.retry_after_seconds <= MAX_PAUSE_SECONDS
    elif isinstance(error, WalletUnreachableError):
        assert last.fault in NOT_SENT, "says that nothing was sent"
    elif isinstance(error, WalletRefusedError) and call == "pay":
        assert last.status in (401, 403, 404)
    else:
        assert isinstance(error, WalletRefusedError | WalletReplyError | WalletUnknownError)
    if call == "pay":
        assert len(asked) == 1, "paying is the payer's to repeat"


def _check_result(call: str, found: Any) -> None:
    match found:
        case PayAnswer():
            assert storable(found.text) and len(found.text) <= MAX_SAID
        case Invoice():
            assert INVOICES[found.bolt11] == SATS == found.amount_sats
            assert found.payment_hash == decode(found.bolt11).payment_hash
            assert found.wallet_id == "receiver" and found.expires_at > NOW
        case WalletRecord():
            _check_record(found)
            assert found.payment_hash == HASH
            assert found.wallet_id == ("source" if call == "sent" else "receiver")
            assert found.amount_msat < 0 if call == "sent" else found.amount_msat > 0
        case DestinationInfo():
            assert storable(found.name) and len(found.name) <= 200
        case LnbitsProbe():
            assert storable(found.wallet_name + (found.version or "")) and len(found.wallet_name) <= 200
            assert type(found.balance_msat) is int
        case list():
            for record in found:
                _check_record(record)
                assert record.tag == TAG and record.time >= SINCE
        case int():
            assert type(found) is int and abs(found) <= MAX_SATS * 1_000
        case _:
            assert found is None and call in ("sent", "received")


def _check_record(record: WalletRecord) -> None:
    assert type(record.amount_msat) is int and abs(record.amount_msat) <= MAX_SATS * 1_000, (
        "fits the books' column"
    )
    assert 0 <= record.fee_msat <= MAX_SATS * 1_000
    for said in (record.payment_hash, record.wallet_id, record.external_id, record.tag):
        assert said is None or storable(said)
