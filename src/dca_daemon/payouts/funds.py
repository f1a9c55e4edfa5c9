"""Whether the source wallet can pay the next payout, without asking LNbits each time."""

from __future__ import annotations

import structlog

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.fault_points import around_call
from dca_daemon.payouts.clock import now_seconds
from dca_daemon.payouts.wallet import Wallet

log = structlog.get_logger()

_FRESH_SECONDS = 10.0
_ASKED_SECONDS = 1.0  # many payouts that wait for money ask at the same time: one reading answers them all


class SourceFunds:
    """Keeps the last known balance, less what was submitted since. Only a forecast: LNbits decides."""

    def __init__(self, wallet: Wallet, *, reserve_sats: int) -> None:
        self._wallet = wallet
        self._reserve_msat = reserve_sats * MSATS_PER_SAT
        self._balance_msat = 0
        self._read_at = float("-inf")
        self._taken = False  # since it was read
        self._short = False
        self.missing_sats = 0

    @property
    def balance_sats(self) -> int | None:
        """The last known balance in whole sats; None before the first reading."""
        return None if self._read_at == float("-inf") else self._balance_msat // MSATS_PER_SAT

    async def refresh(self) -> int:
        """Reads the balance now, in msat. Raises a `WalletError` when LNbits does not tell."""
        async with around_call("wallet.balance"):
            self._balance_msat = await self._wallet.balance_msat()
        self._read_at = now_seconds()
        self._taken = False
        return self._balance_msat

    async def covers(self, amount_sats: int) -> bool:
        """Whether there is enough for this amount. Before it says no, it asks, unless it has just asked."""
        amount_msat = amount_sats * MSATS_PER_SAT
        age_seconds = now_seconds() - self._read_at
        enough = self._balance_msat - self._reserve_msat >= amount_msat
        if age_seconds > _FRESH_SECONDS or (not enough and (self._taken or age_seconds > _ASKED_SECONDS)):
            await self.refresh()
        return self._balance_msat - self._reserve_msat >= amount_msat

    async def take(self, amount_sats: int) -> bool:
        """Whether there is enough for this amount; if so, it is counted as spent."""
        if not await self.covers(amount_sats):
            return False
        self._balance_msat -= amount_sats * MSATS_PER_SAT
        self._taken = True
        return True

    def forget(self) -> None:
        """LNbits refused for lack of money: read again before the next try."""
        self._read_at = float("-inf")

    def tell(self, unpaid_sats: int) -> None:
        """Compares with what is still to be paid; logs once when it gets short, and once when it is well."""
        available_sats = (self._balance_msat - self._reserve_msat) // MSATS_PER_SAT  # below 0: into the reserve
        short = unpaid_sats > available_sats
        balance_sats = self._balance_msat // MSATS_PER_SAT
        if short and not self._short:
            missing_sats = unpaid_sats - available_sats
            log.error(
                "wallet.short", balance_sats=balance_sats, unpaid_sats=unpaid_sats, missing_sats=missing_sats
            )
        elif self._short and not short:
            log.info("wallet.enough", balance_sats=balance_sats, unpaid_sats=unpaid_sats)
        self._short = short
        self.missing_sats = max(0, unpaid_sats - available_sats)

    @property
    def short(self) -> bool:
        """Whether payouts wait for money at the moment."""
        return self._short
