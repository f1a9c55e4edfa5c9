"""Finding our payments again, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.domain.errors import WalletReplyError
from dca_daemon.payouts.lnbits import LIST, LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.lnbits_http import Reply
from dca_daemon.payouts.lnbits_search import HASHES_MAX, tagged_records
from dca_daemon.payouts.wallet import TAG, Destination, DestinationKind, RecordStatus, WalletRecord

START = datetime(2026, 1, 1, tzinfo=UTC)


def row(number: int, second: int, tag: str = TAG) -> dict[str, object]:
    return {
        "checking_id": f"c{number}",
        "payment_hash": f"{number:064x}",
        "wallet_id": "source",
        "amount": -1_000,
        "fee": 0,
        "status": "success",
        "tag": tag,
        "time": (START + timedelta(seconds=second, milliseconds=number % 7)).isoformat(),
    }


class Listing:
    """LNbits' list over these rows, which may ignore what it is asked."""

    def __init__(self, rows: list[dict[str, object]], *ignored: str) -> None:
        self.rows = rows
        self.ignored = ignored
        self.pages = 0

    async def __call__(self, asked: Mapping[str, str]) -> Reply:
        self.pages += 1
        params = {name: value for name, value in asked.items() if name not in self.ignored}
        since = datetime.fromisoformat(params.get("time[ge]", START.isoformat()))
        found = [
            one
            for one in self.rows
            if datetime.fromisoformat(str(one["time"])) >= since and params.get("tag", one["tag"]) == one["tag"]
        ]
        if "sortby" in params:
            found.sort(key=lambda one: str(one["time"]))
        offset, limit = int(params["offset"]), int(params["limit"])
        return Reply(200, {"data": found[offset : offset + limit], "total": len(found)})


async def search(listing: Listing, since: datetime = START, page_rows: int = 5) -> list[WalletRecord]:
    return [one async for one in tagged_records(listing, since=since, tag=TAG, page_rows=page_rows)]


@given(seconds=st.lists(st.integers(0, 12), max_size=60), page_rows=st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_each_record_is_found_once_however_many_share_a_second(seconds: list[int], page_rows: int) -> None:
    rows = [row(number, second) for number, second in enumerate(seconds)]
    found = asyncio.run(search(Listing(rows), page_rows=page_rows))
    assert sorted(one.payment_hash for one in found) == sorted(str(one["payment_hash"]) for one in rows)


async def test_a_search_begins_where_it_is_told() -> None:
    rows = [row(number, number) for number in range(20)]
    found = await search(Listing(rows), since=START + timedelta(seconds=15))
    assert [one.payment_hash for one in found] == [f"{number:064x}" for number in range(15, 20)]


@pytest.mark.parametrize("ignored", ["tag", "time[ge]", "sortby"])
async def test_a_list_that_ignores_what_was_asked_is_not_believed(ignored: str) -> None:
    rows = [row(number, 30 - number, tag=TAG if number % 3 else "another") for number in range(20)]
    with pytest.raises(WalletReplyError):
        await search(Listing(rows, ignored), since=START + timedelta(seconds=20))


async def test_many_hashes_are_looked_up_with_one_request(lnbits: LnbitsAdmin) -> None:
    source, ana = lnbits.create_wallet("source"), lnbits.create_wallet("Ana")
    lnbits.top_up(source.id, 1_000)
    wallet = LnbitsWallet(LnbitsConfig(url=lnbits.url, admin_key=source.adminkey))
    receiver = Destination(DestinationKind.LNBITS, wallet_id=ana.id, invoice_key=ana.inkey)
    itself = Destination(DestinationKind.LNBITS, wallet_id=source.id, invoice_key=source.inkey)
    invoices = [
        await wallet.create_invoice(
            to, amount_sats=5, memo="", expiry_seconds=600, payout_id=f"p{number}", extra={"installation": "x"}
        )
        for number, to in enumerate([receiver, receiver, receiver, itself])
    ]
    paid = [invoices[0], invoices[2], invoices[3]]
    for invoice in paid:
        await wallet.pay(invoice.bolt11, payout_id="p", extra={})
    hashes = [invoice.payment_hash for invoice in invoices]
    unknown = [f"{number:064x}" for number in range(HASHES_MAX - len(hashes))]

    sent = await wallet.records_by_hash([*unknown, *hashes])
    assert sent.keys() == {invoice.payment_hash for invoice in paid}
    assert {record.amount_msat for record in sent.values()} == {-5_000}
    assert [sent[invoice.payment_hash].bolt11 for invoice in paid] == [invoice.bolt11 for invoice in paid]
    received = await wallet.records_by_hash([*unknown, *hashes], receiver)
    assert {h: record.status for h, record in received.items()} == {
        hashes[0]: RecordStatus.SUCCESS,
        hashes[1]: RecordStatus.PENDING,
        hashes[2]: RecordStatus.SUCCESS,
    }
    assert {record.amount_msat for record in received.values()} == {5_000}
    assert await wallet.records_by_hash([]) == {}
    with pytest.raises(ValueError, match="101 payment hashes"):
        await wallet.records_by_hash([*unknown, *hashes, "f" * 64])
    await wallet.close()


def test_the_address_of_a_look_up_passes_through_proxies() -> None:
    params = {"payment_hash[in]": ",".join(["f" * 64] * HASHES_MAX), "limit": "1000"}
    assert len(str(httpx.Request("GET", "https://lnbits.example.com/path" + LIST, params=params).url)) < 7_500


async def test_the_real_lnbits_is_searched_page_by_page(
    lnbits: LnbitsAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, ana = lnbits.create_wallet("source"), lnbits.create_wallet("Ana")
    lnbits.top_up(source.id, 1_000)
    wallet = LnbitsWallet(LnbitsConfig(url=lnbits.url, admin_key=source.adminkey))
    receiver = Destination(DestinationKind.LNBITS, wallet_id=ana.id, invoice_key=ana.inkey)
    began = datetime.now(UTC)
    hashes = []
    for number in range(7):
        invoice = await wallet.create_invoice(
            receiver, amount_sats=1, memo="", expiry_seconds=600, payout_id=f"p{number}", extra={}
        )
        await wallet.pay(invoice.bolt11, payout_id=f"p{number}", extra={})
        hashes.append(invoice.payment_hash)

    for destination in (None, receiver):
        for page_rows in (2, 500):
            monkeypatch.setattr(tagged_records, "__kwdefaults__", {"page_rows": page_rows})
            found = [one async for one in wallet.payments_tagged(began, destination=destination)]
            assert [one.payment_hash for one in found] == hashes, "the top-up is not ours"
            assert [one.external_id for one in found] == [f"p{number}" for number in range(7)]
    later = [one async for one in wallet.payments_tagged(datetime.now(UTC) + timedelta(minutes=1))]
    assert later == []
    await wallet.close()


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "\ud800", 10**30])
async def test_a_time_beyond_all_calendars_is_none(time: object) -> None:
    async def listing(_: Mapping[str, str]) -> Reply:
        return Reply(200, {"data": [row(n, n) | {"time": time} for n in range(5)], "total": 5})

    with pytest.raises(WalletReplyError, match="without a time"):
        _ = [one async for one in tagged_records(listing, since=START, tag=TAG, page_rows=5)]
