"""`payouts.books.PayoutBooks` on books in memory, for the simulation.

Passes the same contract tests as the real ones (test_books_contract.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from dca_daemon.domain.errors import NotFoundError
from dca_daemon.domain.payout import NEVER_SUBMITTED_STATES, OPEN_STATES, PayoutState, check_move
from dca_daemon.fault_points import CommitStep
from dca_daemon.payouts.agenda import SHORT_OF_FUNDS
from dca_daemon.payouts.books import InvoiceReusedError, Waiting
from dca_daemon.payouts.store import RECORDS_PER_PAYOUT_MAX, Payout, SupersededError
from dca_daemon.payouts.wallet import DestinationKind, Invoice
from tests.simulation.session import Session, Transaction
from tests.simulation.tables import Client, PayoutRow, Record, now_seconds, seconds_of

T = TypeVar("T")
INSTALLATION = "simulation"
_SUBMITTED = (PayoutState.SUBMITTED, PayoutState.UNKNOWN)


class MemoryPayoutBooks:
    """See `payouts.books.PayoutBooks`."""

    def __init__(self, session: Session, random: Random) -> None:
        self._session = session
        self._tables = session.tables
        self._random = random

    async def waiting(self, limit: int) -> Waiting:
        await self._session.weather.statement()
        now = now_seconds()
        due = sorted(
            (p for p in self._tables.payouts.values() if p.open and p.next_attempt_seconds <= now),
            key=lambda p: (p.next_attempt_seconds, p.payout_id),
        )
        oldest = {c: min(r.record_id for r in self._owed(c)) for c in self._tables.clients if self._may_be_paid(c)}
        owed = sorted(oldest, key=lambda client_id: oldest[client_id])
        return Waiting([p.payout_id for p in due[:limit]], owed[:limit])

    def _owed(self, client_id: int) -> list[Record]:
        records = self._tables.records.values()
        return [r for r in records if r.client_id == client_id and r.state == "owed"]

    def _may_be_paid(self, client_id: int) -> bool:
        client, owed = self._tables.clients[client_id], self._owed(client_id)
        if not owed or sum(r.sats for r in owed) < client.min_sats:
            return False
        mine = [p for p in self._tables.payouts.values() if p.client_id == client_id]
        if any(p.open or p.held_from in NEVER_SUBMITTED_STATES for p in mine):
            return False
        failed = [p for p in mine if p.state is PayoutState.FAILED and owed[0].record_id in p.record_ids]
        if not failed:
            return True
        rest_seconds: float = min(3600, 5 * 2 ** min(len(failed), 10))
        latest = max(p.next_attempt_seconds for p in failed)
        return latest <= now_seconds() - rest_seconds

    async def seconds_to_next(self) -> float | None:
        await self._session.weather.statement()
        waits = [p.next_attempt_seconds - now_seconds() for p in self._tables.payouts.values() if p.open]
        return max(0.0, min(waits)) if waits else None

    async def unpaid_sats(self) -> int:
        await self._session.weather.statement()
        owed = sum(r.sats for r in self._tables.records.values() if r.state == "owed")
        return owed + sum(p.amount_sats for p in self._tables.payouts.values() if _is_unpaid(p))

    async def load(self, payout_id: str) -> Payout:
        await self._session.weather.statement()
        row = self._tables.payouts.get(payout_id)
        if row is None:
            raise NotFoundError(f"there is no payout {payout_id}")
        return _payout(row, self._tables.clients[row.client_id])

    async def reserve(self, client_id: int, *, max_sats: int) -> tuple[str, list[int]] | None:
        payout_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        return await self._step("payout.reserve", lambda: self._reserve(payout_id, client_id, max_sats))

    def _reserve(self, payout_id: str, client_id: int, max_sats: int) -> tuple[str, list[int]] | None:
        if any(p.open and p.client_id == client_id for p in self._tables.payouts.values()):
            return None
        chosen = self._choose(self._owed(client_id), max_sats)
        if not chosen:
            return None
        self._take(payout_id, client_id, chosen)
        return payout_id, [r.record_id for r in chosen]

    @staticmethod
    def _choose(owed: list[Record], max_sats: int) -> list[Record]:
        chosen: list[Record] = []
        for record in owed[:RECORDS_PER_PAYOUT_MAX]:
            if chosen and sum(r.sats for r in chosen) + record.sats > max_sats:
                break
            chosen.append(record)
        return chosen

    def _take(self, payout_id: str, client_id: int, chosen: list[Record]) -> None:
        for record in chosen:
            record.state = "in-payout"
        self._tables.payouts[payout_id] = PayoutRow(
            payout_id=payout_id,
            client_id=client_id,
            amount_sats=sum(r.sats for r in chosen),
            record_ids=[r.record_id for r in chosen],
            created_seconds=now_seconds(),
            next_attempt_seconds=now_seconds(),
        )

    async def invoiced(self, payout: Payout, invoice: Invoice) -> None:
        def apply() -> None:
            if any(p.payment_hash == invoice.payment_hash for p in self._tables.payouts.values()):
                raise InvoiceReusedError("the destination gave an invoice that it had given before")
            row = self._move(payout, PayoutState.INVOICED)
            ends_seconds = seconds_of(invoice.expires_at)
            row.submit_until_seconds = ends_seconds - min(3600, (ends_seconds - now_seconds()) / 4)
            row.bolt11, row.payment_hash, row.wallet_id = invoice.bolt11, invoice.payment_hash, invoice.wallet_id
            client = self._tables.clients[row.client_id]
            client.wallet_id = client.wallet_id or invoice.wallet_id

        await self._step("payout.invoiced", apply)

    async def submitting(self, payout: Payout) -> None:
        def apply() -> None:
            if payout.state is PayoutState.INVOICED:
                self._move(payout, PayoutState.SUBMITTED)
            row = self._tables.payouts[payout.payout_id]
            if row.state not in _SUBMITTED:
                raise SupersededError(f"payout {payout.payout_id} is no longer to be submitted")
            row.last_submit_seconds, row.submits = now_seconds(), payout.submits + 1

        await self._step("payout.submitting", apply)

    async def unanswered(self, payout: Payout) -> None:
        def apply() -> None:
            row = self._tables.payouts[payout.payout_id]
            if row.state in _SUBMITTED:
                row.last_submit_seconds = now_seconds()

        await self._step("payout.unanswered", apply)

    async def unknown(self, payout: Payout, *, reason: str) -> None:
        await self._step("payout.unknown", lambda: self._move(payout, PayoutState.UNKNOWN))

    async def settle(self, payout: Payout, *, fee_msat: int, evidence: dict[str, Any]) -> None:
        def apply() -> None:
            row = self._move(payout, PayoutState.SETTLED)
            row.fee_msat = fee_msat
            self._set_records(row, "settled")

        await self._step("payout.settle", apply)

    async def release(self, payout: Payout, outcome: PayoutState, *, reason: str) -> None:
        def apply() -> None:
            row = self._move(payout, outcome)
            row.reason = reason
            self._set_records(row, "owed")

        await self._step("payout.release", apply)

    async def hold(self, payout: Payout, *, reason: str, detail: dict[str, Any]) -> None:
        def apply() -> None:
            row = self._move(payout, PayoutState.HELD)
            row.reason, row.held_from = reason, payout.state

        await self._step("payout.hold", apply)

    async def postpone(self, payout: Payout, *, seconds: float, reason: str, failed: bool = True) -> None:
        def apply() -> None:
            row = self._tables.payouts[payout.payout_id]
            if row.open and row.state is payout.state:
                row.failures += failed
                row.reason, row.next_attempt_seconds = reason, now_seconds() + seconds

        await self._step("payout.postpone", apply)

    def _move(self, payout: Payout, new: PayoutState) -> PayoutRow:
        check_move(payout.state, new)
        row = self._tables.payouts[payout.payout_id]
        if row.state is not payout.state:
            raise SupersededError(f"payout {payout.payout_id} is no longer {payout.state}")
        row.state, row.failures, row.next_attempt_seconds = new, 0, now_seconds()
        return row

    def _set_records(self, row: PayoutRow, state: str) -> None:
        for record_id in row.record_ids:
            self._tables.records[record_id].state = state

    async def _step(self, step: CommitStep, apply: Callable[[], T]) -> T:
        result: list[T] = []

        async def work(transaction: Transaction) -> None:
            await transaction.statement()
            transaction.at_commit(lambda: result.append(apply()))

        await self._session.run(work, step=step)
        return result[0]


def _is_unpaid(row: PayoutRow) -> bool:
    never = row.state in NEVER_SUBMITTED_STATES
    return never or (row.state in OPEN_STATES and row.reason == SHORT_OF_FUNDS)


def _payout(row: PayoutRow, client: Client) -> Payout:
    ago = None if row.last_submit_seconds is None else int(now_seconds() - row.last_submit_seconds)
    return Payout(
        payout_id=row.payout_id,
        client_id=row.client_id,
        amount_sats=row.amount_sats,
        state=row.state,
        memo="DCA",
        bolt11=row.bolt11,
        payment_hash=row.payment_hash,
        failures=row.failures,
        submits=row.submits,
        submitted_ago_seconds=ago,
        expiring=row.submit_until_seconds is not None and row.submit_until_seconds <= now_seconds(),
        destination_kind=DestinationKind.LNBITS,
        address=None,
        wallet_id=row.wallet_id or client.wallet_id,
        invoice_key_sealed=client.invoice_key.encode(),
        installation=INSTALLATION,
    )
