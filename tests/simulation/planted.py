"""Bugs on purpose: a simulation that would not find them proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.payout import PayoutState
from dca_daemon.payouts import payout_steps
from dca_daemon.payouts.store import Payout
from dca_daemon.payouts.verdict import Evidence, Judgement, Verdict, judge
from dca_daemon.payouts.wallet import Invoice, RecordStatus
from dca_daemon.services.mirror import Known
from tests.simulation.memory_booking import MemoryBooking
from tests.simulation.memory_payouts import MemoryPayoutBooks
from tests.simulation.tables import PayoutRow, Record

Judge = Callable[[Evidence], Judgement]


@dataclass(frozen=True)
class Bug:
    """What is wrong, and where it is put in."""

    payout_books: type[MemoryPayoutBooks] = MemoryPayoutBooks
    booking: type[MemoryBooking] = MemoryBooking
    judge: Judge = judge
    first_seed: int = 0  # rare ones are found sooner from here on

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Replaces what stands on no port."""
        with patch.object(payout_steps, "judge", self.judge):
            yield


class _InvoiceNotStored(MemoryPayoutBooks):
    """The payment is made first, and written down when there is time."""

    async def invoiced(self, payout: Payout, invoice: Invoice) -> None:
        self._unstored = invoice

    async def load(self, payout_id: str) -> Payout:
        payout = await super().load(payout_id)
        invoice: Invoice | None = getattr(self, "_unstored", None)
        if invoice is None or payout.state is not PayoutState.RESERVED:
            return payout
        return replace(
            payout, state=PayoutState.INVOICED, bolt11=invoice.bolt11, payment_hash=invoice.payment_hash
        )

    async def submitting(self, payout: Payout) -> None:
        """Only afterwards."""

    async def unanswered(self, payout: Payout) -> None:
        """Nothing to note."""


def _error_is_failure(evidence: Evidence) -> Judgement:
    """What is not known to have left has failed."""
    found = judge(evidence)
    if found.verdict is Verdict.SUBMIT or (found.verdict is Verdict.WAIT and evidence.sent is None):
        return Judgement(Verdict.FAILED, "no success was seen")
    return found


def _one_sided(evidence: Evidence) -> Judgement:
    """Only the source wallet is looked at."""
    return judge(replace(evidence, receiver_visible=False, received=None))


def _failed_is_final(evidence: Evidence) -> Judgement:
    """The receiver's failed record is proof enough, whatever the source says."""
    if evidence.received is not None and evidence.received.status is RecordStatus.FAILED:
        return Judgement(Verdict.FAILED, "the receiver's invoice is void")
    return judge(evidence)


class _NoPoolLock(MemoryBooking):
    """Balances are read while somebody else changes them."""

    async def lock_pool(self, pool_id: int) -> None:
        await self._tx.statement()


class _NoMemory(MemoryBooking):
    """Every row is new."""

    async def known(self, source_rows: Sequence[SourceRow]) -> Mapping[str, Known]:
        await self._tx.statement()
        return {}


class _NoRecordLock(MemoryPayoutBooks):
    """What is owed is read first, and taken later, whoever took it meanwhile."""

    async def reserve(self, client_id: int, *, max_sats: int) -> tuple[str, list[int]] | None:
        self._seen = self._choose(self._owed(client_id), max_sats)
        return await super().reserve(client_id, max_sats=max_sats)

    def _reserve(self, payout_id: str, client_id: int, max_sats: int) -> tuple[str, list[int]] | None:
        chosen: list[Record] = self._seen
        if not chosen:
            return None
        self._take(payout_id, client_id, chosen)
        return payout_id, [r.record_id for r in chosen]


class _AnyState(MemoryPayoutBooks):
    """A step is taken whatever the payout has become meanwhile."""

    def _move(self, payout: Payout, new: PayoutState) -> PayoutRow:
        row = self._tables.payouts[payout.payout_id]
        row.state, row.failures = new, 0
        return row


BUGS = {
    "pay before persisting": Bug(payout_books=_InvoiceNotStored),
    "take an error for a failure": Bug(judge=_error_is_failure),
    "look at the source wallet only": Bug(judge=_one_sided),
    "believe the receiver's record alone": Bug(judge=_failed_is_final, first_seed=230),
    "forget the pool's lock": Bug(booking=_NoPoolLock),
    "forget what is booked": Bug(booking=_NoMemory),
    "forget the records' lock": Bug(payout_books=_NoRecordLock),
    "forget the state that is expected": Bug(payout_books=_AnyState),
}
