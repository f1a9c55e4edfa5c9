"""`dca-daemon recover`, for people and for scripts; what it does is tested in tests/services/test_recovery.py."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from dca_daemon.ledger.db import Database
from dca_daemon.payouts.wallet import TAG, Destination, RecordStatus, WalletRecord
from tests.cli.conftest import Cli, FakeWallet, OnBooks
from tests.services import builders

PAID_AT = datetime(2026, 11, 2, 12, tzinfo=UTC)


class ListingWallet(FakeWallet):
    """Lists payments, and shows each in its receiver's wallet."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[WalletRecord] = []

    async def payments_tagged(self, since: datetime) -> AsyncIterator[WalletRecord]:
        for record in self.records:
            yield record

    async def received(self, destination: Destination, payment_hash: str) -> WalletRecord | None:
        return next(record for record in self.records if record.payment_hash == payment_hash)


@pytest.fixture
def payout_ids(cli: Cli, on_books: OnBooks, key_file: object, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """LNbits has paid client 1, whom the books know, and client 7, whom they do not."""
    wallet = ListingWallet()
    monkeypatch.setattr("dca_daemon.runtime.wiring.wallet", lambda settings: wallet)
    cli("client", "add", "Ana", "--lnbits-key-file", str(key_file)).done()
    installation = on_books(lambda db: builders.value(db, "SELECT CAST(id AS text) FROM installation"))
    ids = [str(uuid.uuid4()) for _ in range(2)]
    wallet.records = [
        WalletRecord(
            f"{client:064x}",
            "source",
            -5_000 * client,
            0,
            RecordStatus.SUCCESS,
            True,
            None,
            TAG,
            PAID_AT,
            {"client": client, "installation": installation, "payout_id": payout_id},
            "ln1",
        )
        for client, payout_id in zip((1, 7), ids, strict=True)
    ]
    return ids


def payout_count(on_books: OnBooks) -> int:
    async def work(db: Database) -> int:
        return int(await builders.value(db, "SELECT count(*) FROM payout"))

    return int(on_books(work))


def test_it_is_shown_before_it_is_done(cli: Cli, payout_ids: list[str], on_books: OnBooks) -> None:
    text = cli("recover", "--dry-run").done().out
    assert payout_ids[0] in text and "5 sats" in text and "a credit" in text
    assert "recover --as 7=CLIENT" in text and "35 sats" in text
    assert "Nothing was changed" in text
    assert payout_count(on_books) == 0

    done = cli("recover", "--json").done().json
    assert not done["dry_run"]
    adopted, stray = done["payments"]
    assert (adopted["client_id"], adopted["fate"], adopted["amount_sats"]) == (1, "adopted", 5)
    assert (stray["client_id"], stray["paid_client_id"], stray["fate"]) == (None, 7, "stray")
    assert payout_count(on_books) == 1

    again = cli("recover").done().out
    assert "LNbits knows no payment to our clients that the books have forgotten." in again
    shown = cli("payout", "show", payout_ids[0]).done().out
    assert "Adopted" in shown and "the books had forgotten it" in shown
    assert "unknown (adopted)" in cli("payout", "list").done().out
    assert cli("client", "show", "Ana", "--json").done().json["client"]["credit_sats"] == 5
    assert "Paid ahead  5 sats, used up first" in cli("client", "show", "Ana").done().out


def test_payments_to_a_lost_client_are_counted_for_another(cli: Cli, payout_ids: list[str]) -> None:
    found = cli("recover", "--as", "7=ana", "--json").done().json["payments"]
    assert [(p["paid_client_id"], p["client_id"], p["fate"]) for p in found] == [
        (1, 1, "adopted"),
        (7, 1, "adopted"),
    ]


def test_what_can_not_be_meant_is_refused(cli: Cli, payout_ids: list[str]) -> None:
    cli("recover", "--as", "Ana").refused("like 3=Carla", status=2)
    cli("recover", "--as", "7=Nobody").refused("no client 'Nobody'")
    cli("recover", "--as", "1=Ana").refused("client 1 is in the books")


def test_without_lnbits_it_is_refused(cli: Cli) -> None:
    cli("recover").refused("LNbits")
