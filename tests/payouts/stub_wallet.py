"""A wallet that answers what a test puts into it, for tests that need no LNbits."""

from __future__ import annotations

from collections.abc import Mapping

from dca_daemon.domain.errors import WalletError
from dca_daemon.payouts.wallet import Destination, DestinationInfo, Invoice, PayAnswer, WalletRecord


class StubWallet:
    """Knows a balance and whether destinations answer. It pays nothing."""

    def __init__(self, *, balance_msat: int = 0, refuses: WalletError | None = None) -> None:
        self.balance = balance_msat
        self.refuses = refuses
        self.reads = 0
        self.checked: list[Destination] = []

    async def create_invoice(
        self,
        destination: Destination,
        *,
        amount_sats: int,
        memo: str,
        expiry_seconds: int,
        payout_id: str,
        extra: Mapping[str, object],
    ) -> Invoice:
        raise AssertionError("no invoice is wanted here")

    async def pay(self, bolt11: str, *, payout_id: str, extra: Mapping[str, object]) -> PayAnswer:
        raise AssertionError("nothing is paid here")

    async def sent(self, payment_hash: str) -> WalletRecord | None:
        raise AssertionError("nothing is looked up here")

    async def received(self, destination: Destination, payment_hash: str) -> WalletRecord | None:
        raise AssertionError("nothing is looked up here")

    async def balance_msat(self) -> int:
        self.reads += 1
        if self.refuses is not None:
            raise self.refuses
        return self.balance

    async def check_destination(self, destination: Destination) -> DestinationInfo:
        if self.refuses is not None:
            raise self.refuses
        self.checked.append(destination)
        return DestinationInfo("a wallet")

    async def close(self) -> None:
        pass
