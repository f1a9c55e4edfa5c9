"""Whether the source wallet can pay: a forecast that asks LNbits seldom, and alerts once."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from dca_daemon.domain.errors import WalletUnknownError
from dca_daemon.payouts.funds import SourceFunds
from tests.payouts.stub_wallet import StubWallet


async def test_what_is_taken_is_counted_without_asking_again() -> None:
    wallet = StubWallet(balance_msat=1_000_000)
    funds = SourceFunds(wallet, reserve_sats=0)
    assert funds.balance_sats is None
    assert await funds.take(600) and await funds.take(400)
    assert wallet.reads == 1 and funds.balance_sats == 0


async def test_before_it_says_no_it_asks() -> None:
    wallet = StubWallet(balance_msat=1_000_000)
    funds = SourceFunds(wallet, reserve_sats=0)
    assert await funds.take(600)
    assert not await funds.take(1001)
    assert wallet.reads == 2
    wallet.balance = 5_000_000  # the operator has topped it up
    funds.forget()
    assert await funds.take(4000)


async def test_payouts_that_wait_for_money_together_ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("dca_daemon.payouts.funds.now_seconds", lambda: now)
    wallet = StubWallet(balance_msat=1_000_000)
    funds = SourceFunds(wallet, reserve_sats=0)
    assert not any([await funds.covers(2000) for _ in range(50)])
    assert wallet.reads == 1
    wallet.balance, now = 5_000_000, now + 2
    assert all([await funds.covers(2000) for _ in range(50)])
    assert wallet.reads == 2


async def test_the_reserve_is_never_taken() -> None:
    funds = SourceFunds(StubWallet(balance_msat=1_000_999), reserve_sats=100)
    assert not await funds.take(901)
    assert await funds.take(900)
    assert funds.balance_sats == 100


async def test_after_a_refusal_it_asks_again() -> None:
    wallet = StubWallet(balance_msat=1_000_000)
    funds = SourceFunds(wallet, reserve_sats=0)
    await funds.refresh()
    wallet.balance = 0  # somebody else has spent it
    funds.forget()
    assert not await funds.take(1)


async def test_that_lnbits_does_not_tell_is_no_balance_of_nothing() -> None:
    funds = SourceFunds(StubWallet(refuses=WalletUnknownError("no answer")), reserve_sats=0)
    with pytest.raises(WalletUnknownError):
        await funds.take(1)


async def test_short_and_enough_are_told_once_with_what_is_missing() -> None:
    wallet = StubWallet(balance_msat=1_000_000)
    funds = SourceFunds(wallet, reserve_sats=100)
    await funds.refresh()
    with capture_logs() as logged:
        funds.tell(900)
        funds.tell(1500)
        funds.tell(2000)
        assert funds.short and funds.missing_sats == 1100
        wallet.balance = 5_000_000
        await funds.refresh()
        funds.tell(2000)
        funds.tell(2000)
    assert [(line["event"], line.get("missing_sats")) for line in logged] == [
        ("wallet.short", 600),
        ("wallet.enough", None),
    ]
    assert not funds.short and funds.missing_sats == 0
