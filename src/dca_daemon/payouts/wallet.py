"""What the payer needs of a wallet service; `lnbits.py` is the real one.

Every adapter passes the same contract tests (tests/payouts/test_wallet_contract.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

TAG = "aio-dca"


class DestinationKind(StrEnum):
    """Where a receiver is paid."""

    LNBITS = "lnbits"  # a wallet on our LNbits, by its invoice key
    LIGHTNING_ADDRESS = "lightning-address"  # name@domain
    LNURL = "lnurl"  # an LNURL-pay code


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to pay. `invoice_key` (never shown) is set for an LNbits wallet, `address` for the others."""

    kind: DestinationKind
    address: str | None = None
    wallet_id: str | None = None
    invoice_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DestinationInfo:
    """What the destination answered when it was checked."""

    name: str
    min_sats: int = 1
    max_sats: int | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice, decoded and checked against what was asked: amount, hash and expiry are the bolt11's own."""

    bolt11: str
    payment_hash: str
    amount_sats: int
    expires_at: datetime
    wallet_id: str | None  # the receiver's wallet, where it is on our LNbits


class RecordStatus(StrEnum):
    """A wallet record's own status."""

    SUCCESS = "success"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WalletRecord:
    """One payment as one wallet has recorded it: `amount_msat` > 0 came in, < 0 went out."""

    payment_hash: str
    wallet_id: str
    amount_msat: int
    fee_msat: int  # ≥ 0
    status: RecordStatus
    internal: bool  # between two wallets of the same LNbits
    external_id: str | None
    tag: str | None
    time: datetime | None
    extra: Mapping[str, object] = field(default_factory=dict)
    bolt11: str | None = None


class PayHint(StrEnum):
    """What the answer to a pay request suggests. Only the wallets' records prove anything."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    ALREADY_PAID = "already-paid"
    INSUFFICIENT_BALANCE = "insufficient-balance"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PayAnswer:
    """A complete answer came back: the request is over on both ends. `text` is LNbits' own sentence."""

    hint: PayHint
    text: str
    http_status: int


class Wallet(Protocol):
    """A source wallet that pays, and its view of the receivers.

    Each call raises `WalletUnreachableError` (provably not sent), `WalletRateLimitedError` (not carried out),
    `WalletRefusedError` (understood and refused; from `pay` only for 401, 403, 404), `WalletReplyError` (the
    reply contradicts the request) or `WalletUnknownError` (anything else: nothing is proven).
    """

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
        """An invoice of exactly that amount at the destination. Never pays anything."""

    async def pay(self, bolt11: str, *, payout_id: str, extra: Mapping[str, object]) -> PayAnswer:
        """Submits the invoice once. The answer is a hint: look up afterwards."""

    async def sent(self, payment_hash: str) -> WalletRecord | None:
        """The source wallet's own outgoing record of that hash, if it has one."""

    async def received(self, destination: Destination, payment_hash: str) -> WalletRecord | None:
        """The receiver's incoming record. Only for an LNbits destination."""

    async def balance_msat(self) -> int:
        """The source wallet's balance."""

    async def check_destination(self, destination: Destination) -> DestinationInfo:
        """Proves that the destination exists and can be paid, without paying."""

    async def close(self) -> None:
        """Closes connections."""


class PaymentBook(Protocol):
    """What LNbits has recorded of our payments: reading only, in bounded parts. Raises as `Wallet` does."""

    async def records_by_hash(
        self, hashes: Sequence[str], destination: Destination | None = None
    ) -> dict[str, WalletRecord]:
        """The source's outgoing records of these payments, or that receiver's incoming ones, by payment hash.

        What has no record is left out. At most 100 hashes at once.
        """

    def payments_tagged(
        self, since: datetime, *, tag: str = TAG, destination: Destination | None = None
    ) -> AsyncIterator[WalletRecord]:
        """Every payment with our tag since then, oldest first, in and out: the source's, or that receiver's."""
