"""What the double keeps: wallets, payment records, and what has really moved. No HTTP, no waiting."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from dca_daemon.demo.lnbits_admin import WalletKeys
from dca_daemon.payouts.wallet import RecordStatus

INTERNAL = "internal_"  # how LNbits' checking_id of a payment within it begins
COUNTED_OUT = (RecordStatus.SUCCESS, RecordStatus.PENDING)  # what reduces a balance


@dataclass(slots=True)
class Wallet:
    """A wallet, perhaps deleted: its records stay, its keys are unknown."""

    keys: WalletKeys
    name: str
    deleted: bool = False


@dataclass(slots=True, eq=False)
class Record:
    """One row of LNbits' table of payments, under its column names; amount > 0 came in."""

    checking_id: str
    payment_hash: str
    wallet_id: str
    amount: int  # msat
    bolt11: str
    time: datetime
    expiry: datetime
    status: RecordStatus = RecordStatus.PENDING
    fee: int = 0  # msat, never above 0
    memo: str = ""
    preimage: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    external_id: str | None = None
    hidden_until: datetime | None = None  # a lie: look-ups do not know of it before

    @property
    def tag(self) -> str | None:
        tag = self.extra.get("tag")
        return tag if isinstance(tag, str) else None

    @property
    def internal(self) -> bool:
        return self.checking_id.startswith(INTERNAL)

    def shown(self) -> dict[str, Any]:
        """As LNbits' API shows it."""
        time = self.time.isoformat()
        return {
            "checking_id": self.checking_id,
            "payment_hash": self.payment_hash,
            "wallet_id": self.wallet_id,
            "amount": self.amount,
            "fee": self.fee,
            "bolt11": self.bolt11,
            "payment_request": self.bolt11,
            "fiat_provider": None,
            "status": str(self.status),
            "memo": self.memo,
            "expiry": self.expiry.isoformat(),
            "webhook": None,
            "webhook_status": None,
            "preimage": self.preimage,
            "tag": self.tag,
            "extension": None,
            "time": time,
            "created_at": time,
            "updated_at": time,
            "labels": [],
            "extra": self.extra,
            "external_id": self.external_id,
        }


class Direction(StrEnum):
    """Which way money moved, as seen from our LNbits' wallets."""

    LEFT = "left"  # a wallet's balance shrank for good
    ARRIVED = "arrived"  # a receiver, here or outside, has it


@dataclass(frozen=True, slots=True)
class Move:
    """Money that really moved, whatever is answered or recorded about it."""

    direction: Direction
    payment_hash: str
    amount_msat: int  # > 0, without the fee
    wallet_id: str | None  # None: somebody outside
    external_id: str | None  # what the payer called the payment: our payout's id
    extra: dict[str, Any]
    at: datetime


class Table:
    """The wallets and records of one LNbits; what it loses at a kill is not in here."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.wallets: dict[str, Wallet] = {}
        self._by_key: dict[str, Wallet] = {}
        self.records: list[Record] = []
        self.by_wallet: defaultdict[str, list[Record]] = defaultdict(list)
        self.by_hash: defaultdict[str, list[Record]] = defaultdict(list)
        self._invoices: dict[str, Record] = {}  # incoming records by bolt11
        self.moves: list[Move] = []
        self.on_money_moved: list[Callable[[Move], None]] = []

    def new_id(self) -> str:
        return f"{self._rng.getrandbits(128):032x}"

    def create_wallet(self, name: str) -> WalletKeys:
        keys = WalletKeys(self.new_id(), self.new_id(), self.new_id(), None, self.new_id())
        wallet = Wallet(keys, name)
        self.wallets[keys.id] = wallet
        self._by_key[keys.adminkey] = self._by_key[keys.inkey] = wallet
        return keys

    def of_key(self, key: str | None) -> Wallet | None:
        """The wallet that a key opens, unless it was deleted."""
        wallet = self._by_key.get(key or "")
        return None if wallet is None or wallet.deleted else wallet

    def add(self, record: Record) -> Record:
        # A copy, as a database would keep it: what a caller does to its own is none of ours.
        record.extra = json.loads(json.dumps(record.extra))
        self.records.append(record)
        self.by_wallet[record.wallet_id].append(record)
        self.by_hash[record.payment_hash].append(record)
        if record.amount > 0:
            self._invoices[record.bolt11] = record
        return record

    def remove(self, record: Record) -> None:
        for rows in (self.records, self.by_wallet[record.wallet_id], self.by_hash[record.payment_hash]):
            rows.remove(record)
        self._invoices.pop(record.bolt11, None)

    def balance_msat(self, wallet_id: str) -> int:
        """As LNbits sums it: what came in, less what went out or may still go, and its fees."""
        return sum(
            row.amount - abs(row.fee)
            for row in self.by_wallet[wallet_id]
            if (row.status is RecordStatus.SUCCESS if row.amount > 0 else row.status in COUNTED_OUT)
        )

    def invoice(self, bolt11: str) -> Record | None:
        """The incoming record of exactly that invoice."""
        return self._invoices.get(bolt11)

    def incoming(self, payment_hash: str) -> Record | None:
        return next((row for row in self.by_hash.get(payment_hash, ()) if row.amount > 0), None)

    def outgoing(self, payment_hash: str) -> Record | None:
        return next((row for row in self.by_hash.get(payment_hash, ()) if row.amount < 0), None)

    def moved(self, move: Move) -> None:
        self.moves.append(move)
        for callback in self.on_money_moved:
            callback(move)
