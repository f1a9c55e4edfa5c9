"""The real wallet with scripted faults around single calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dca_daemon.payouts.wallet import Destination, DestinationInfo, Invoice, PayAnswer, Wallet, WalletRecord


@dataclass
class Fault:
    """Raises `error` in place of a call, or after it was carried out."""

    error: BaseException
    after: bool = False


@dataclass
class FaultyWallet:
    """Passes every call on, except where a fault is scripted for its name; each fault is used once."""

    real: Wallet
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def script(self, call: str, error: BaseException, *, after: bool = False) -> None:
        self.faults.setdefault(call, []).append(Fault(error, after))

    def _next(self, call: str) -> Fault | None:
        self.calls.append(call)
        waiting = self.faults.get(call)
        return waiting.pop(0) if waiting else None

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
        fault = self._next("create_invoice")
        if fault and not fault.after:
            raise fault.error
        invoice = await self.real.create_invoice(
            destination,
            amount_sats=amount_sats,
            memo=memo,
            expiry_seconds=expiry_seconds,
            payout_id=payout_id,
            extra=extra,
        )
        if fault:
            raise fault.error
        return invoice

    async def pay(self, bolt11: str, *, payout_id: str, extra: Mapping[str, object]) -> PayAnswer:
        fault = self._next("pay")
        if fault and not fault.after:
            raise fault.error
        answer = await self.real.pay(bolt11, payout_id=payout_id, extra=extra)
        if fault:
            raise fault.error
        return answer

    async def sent(self, payment_hash: str) -> WalletRecord | None:
        fault = self._next("sent")
        if fault:
            raise fault.error
        return await self.real.sent(payment_hash)

    async def received(self, destination: Destination, payment_hash: str) -> WalletRecord | None:
        fault = self._next("received")
        if fault:
            raise fault.error
        return await self.real.received(destination, payment_hash)

    async def balance_msat(self) -> int:
        fault = self._next("balance_msat")
        if fault:
            raise fault.error
        return await self.real.balance_msat()

    async def check_destination(self, destination: Destination) -> DestinationInfo:
        return await self.real.check_destination(destination)

    async def close(self) -> None:
        await self.real.close()


class Killed(BaseException):
    """Stands for a process that ends here: nothing catches it."""
