"""What all calls share: the table, the node, invoices, and what happens by itself as time goes by."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dca_daemon.domain.errors import WalletReplyError
from dca_daemon.payouts import bolt11
from dca_daemon.payouts.wallet import RecordStatus
from tests.fixtures.invoices import make_invoice
from tests.lnbits_double.model import Direction, Move, Record, Table
from tests.lnbits_double.outside import Node, OutsideInvoice, Route

DEFAULT_EXPIRY_SECONDS = 3_600
ASKED_AT_START = 10  # pending records that LNbits asks its node about when it starts


@dataclass(order=True)
class _Later:
    at: datetime
    number: int
    what: Callable[[], None] = field(compare=False)
    outlives_kill: bool = field(compare=False)


class Core:
    """One LNbits with its node. `clock` is its only time, `rng` its only chance."""

    def __init__(self, rng: random.Random, clock: Callable[[], datetime]) -> None:
        self.table = Table(rng)
        self.node = Node()
        self.clock = clock
        self.known: set[str] = set()  # FakeWallet's own memory of invoices: gone at a restart
        self.database = asyncio.Lock()  # LNbits does one thing at a time
        self._rng = rng
        self._later: list[_Later] = []
        self._numbers = 0

    def later(self, seconds: float, what: Callable[[], None], *, outlives_kill: bool) -> None:
        """`what` happens at that time: as far as anybody can see it, since it does when somebody looks."""
        self._numbers += 1
        at = self.clock() + timedelta(seconds=seconds)
        heapq.heappush(self._later, _Later(at, self._numbers, what, outlives_kill))

    def catch_up(self) -> None:
        """Does what was to happen until now."""
        now = self.clock()
        while self._later and self._later[0].at <= now:
            heapq.heappop(self._later).what()

    def killed(self) -> None:
        """What LNbits had still in mind is lost; the node goes on."""
        self.catch_up()
        self._later = [one for one in self._later if one.outlives_kill]
        heapq.heapify(self._later)
        self.database = asyncio.Lock()

    def restarted(self) -> None:
        """FakeWallet has forgotten its invoices; LNbits asks it about the newest pending ones: failed."""
        self.catch_up()
        self.known.clear()
        pending = [row for row in self.table.records if row.status is RecordStatus.PENDING and not row.internal]
        for row in sorted(pending, key=lambda row: row.time, reverse=True)[:ASKED_AT_START]:
            if row.amount > 0:
                row.status = RecordStatus.FAILED

    def new_invoice(
        self,
        wallet_id: str,
        amount_msat: int,
        *,
        memo: str = "",
        expiry_seconds: int = DEFAULT_EXPIRY_SECONDS,
        created_ago_seconds: int = 0,
        extra: dict[str, Any] | None = None,
        external_id: str | None = None,
    ) -> Record:
        """An invoice of that wallet, and its pending record."""
        now = self.clock()
        preimage = self._rng.randbytes(32)
        payment_hash = hashlib.sha256(preimage).hexdigest()
        created = now - timedelta(seconds=created_ago_seconds)
        self.known.add(payment_hash)
        return self.table.add(
            Record(
                checking_id=payment_hash,
                payment_hash=payment_hash,
                wallet_id=wallet_id,
                amount=amount_msat,
                bolt11=self._bolt11(amount_msat, payment_hash, created, expiry_seconds, description=memo),
                time=now,
                expiry=created + timedelta(seconds=expiry_seconds),
                memo=memo,
                preimage=preimage.hex(),
                extra=extra or {},
                external_id=external_id,
            )
        )

    def outside_invoice(
        self, amount_sats: int, route: Route, *, expiry_seconds: int, description_hash: str | None
    ) -> OutsideInvoice:
        """An invoice of somebody elsewhere, whose payment goes that way."""
        now, amount_msat = self.clock(), amount_sats * 1_000
        payment_hash = hashlib.sha256(self._rng.randbytes(32)).hexdigest()
        text = self._bolt11(amount_msat, payment_hash, now, expiry_seconds, description_hash=description_hash)
        invoice = OutsideInvoice(text, payment_hash, amount_msat, route)
        self.node.invoices[text] = invoice
        return invoice

    def read(self, text: str) -> OutsideInvoice | None:
        """What an invoice says, whoever gave it; None where it is none. Signatures are not looked at."""
        found = self.node.invoices.get(text)
        if found is not None:
            return found
        try:
            decoded = bolt11.decode(text)
        except WalletReplyError:
            return None
        return OutsideInvoice(text, decoded.payment_hash, decoded.amount_sats * 1_000, route=None)

    def moved(self, direction: Direction, row: Record, wallet_id: str | None) -> None:
        """Notes what really moved. `row` is the payer's record."""
        self.table.moved(
            Move(direction, row.payment_hash, -row.amount, wallet_id, row.external_id, row.extra, self.clock())
        )

    def _bolt11(
        self,
        amount_msat: int,
        payment_hash: str,
        created: datetime,
        expiry_seconds: int,
        *,
        description: str | None = None,
        description_hash: str | None = None,
    ) -> str:
        return make_invoice(
            amount_msat,
            payment_hash=payment_hash,
            created_at=int(created.timestamp()),
            expiry_seconds=expiry_seconds,
            description=description,
            description_hash=description_hash,
            rng=self._rng,
        )
