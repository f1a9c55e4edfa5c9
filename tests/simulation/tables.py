"""The books in memory: what the database would hold, and nothing of what it would refuse.

Amounts as in the real tables: whole sats, fiat in minor units. Times are seconds of the event loop's clock.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dca_daemon.domain.cash_out import CashOutState, SourceRow
from dca_daemon.domain.commission import NOTHING_SHARED, Terms
from dca_daemon.domain.payout import OPEN_STATES, PayoutState
from dca_daemon.services.distributions import Distributed
from dca_daemon.services.mirror import Known
from dca_daemon.services.pools import Pool

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
POOL = Pool(1, "default", "GTQ")


def now_seconds() -> float:
    """The event loop's clock."""
    return asyncio.get_running_loop().time()


def moment(seconds: float) -> datetime:
    """That second of the simulation as a date."""
    return EPOCH + timedelta(seconds=seconds)


def seconds_of(at: datetime) -> float:
    """The reverse of `moment`."""
    return (at - EPOCH).total_seconds()


@dataclass
class Client:
    client_id: int
    balance_minor: int
    invoice_key: str = ""
    wallet_id: str | None = None
    min_sats: int = 1
    active: bool = True


@dataclass
class Record:
    record_id: int
    client_id: int
    sats: int
    fiat_minor: int
    state: str  # gathered, owed, in-payout, settled, nothing


@dataclass
class PayoutRow:
    payout_id: str
    client_id: int
    amount_sats: int
    record_ids: list[int]
    created_seconds: float
    next_attempt_seconds: float
    state: PayoutState = PayoutState.RESERVED
    held_from: PayoutState | None = None
    reason: str | None = None
    bolt11: str | None = None
    payment_hash: str | None = None
    wallet_id: str | None = None
    submit_until_seconds: float | None = None
    fee_msat: int | None = None
    submits: int = 0
    failures: int = 0
    last_submit_seconds: float | None = None

    @property
    def open(self) -> bool:
        return self.state in OPEN_STATES


@dataclass
class CashOut:
    cash_out_id: int
    row: SourceRow
    state: CashOutState
    reason: str
    text: str
    happened_at: datetime
    duplicates: int = 0

    @property
    def known(self) -> Known:
        row = self.row
        return Known(
            cash_out_id=self.cash_out_id,
            state=self.state,
            digest=row.digest,
            reason=self.reason,
            reason_text=self.text,
            amounts=(row.crypto_atoms, row.fiat, row.fiat_code),
            dispensed=row.dispense_confirmed is True,
        )


@dataclass
class Tables:
    """All that is committed."""

    clients: dict[int, Client] = field(default_factory=dict)
    cash_outs: dict[str, CashOut] = field(default_factory=dict)
    distributions: list[Distributed] = field(default_factory=list)
    records: dict[int, Record] = field(default_factory=dict)
    commission: Terms = NOTHING_SHARED
    payouts: dict[str, PayoutRow] = field(default_factory=dict)
    pool_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def add_client(self, balance_minor: int, **more: object) -> Client:
        client = Client(len(self.clients) + 1, balance_minor, **more)  # type: ignore[arg-type]
        self.clients[client.client_id] = client
        return client

    def owed_sats(self, client_id: int) -> int:
        return sum(r.sats for r in self.records.values() if r.client_id == client_id and r.state == "owed")
