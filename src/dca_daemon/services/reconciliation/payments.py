"""The books against the source wallet: what was settled was paid so, and what was paid is known."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from dca_daemon.domain.money import MSATS_PER_SAT, sats_text
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.wallet import PaymentBook, RecordStatus, WalletRecord
from dca_daemon.services.reconciliation import books
from dca_daemon.services.reconciliation.books import KnownPayout, Settled, known_payouts, settled_pages
from dca_daemon.services.reconciliation.findings import Findings, Kind, NoteKind

T = TypeVar("T")
Differing = tuple[Settled, Kind, str]  # a settled payout, how it differs, and in words
_UNKNOWN_MAX = 1_000  # payouts that the books do not know: so many are remembered, to see one paid twice


async def settled_was_paid(
    db: Database, book: PaymentBook, findings: Findings, *, since: datetime, page_rows: int
) -> None:
    """Every settled payout has a successful record at the source, of the same amount and fee.

    The books are read first: what is settled in them has been paid before.
    """
    async for page in settled_pages(db, since, page_rows=page_rows):
        records = await book.records_by_hash([payout.payment_hash for payout in page])
        differing: list[Differing] = []
        for payout in page:
            findings.compared["settled_payouts"] += 1
            findings.compared["settled_sats"] += payout.amount_sats
            findings.compared["settled_fees_msat"] += payout.fee_msat
            differing += _compare(payout, records.get(payout.payment_hash), findings)
        await tell(db, differing, findings)


def _compare(payout: Settled, sent: WalletRecord | None, findings: Findings) -> Iterator[Differing]:
    if sent is None or sent.status is not RecordStatus.SUCCESS:
        text = f"{in_words(payout)} is settled, but the source wallet has {record_in_words(sent)}"
        yield payout, Kind.PAYMENT_MISSING, text
        return
    findings.compared["source_paid"] += 1
    findings.compared["source_paid_msat"] -= sent.amount_msat
    booked_msat = payout.amount_sats * MSATS_PER_SAT
    if (-sent.amount_msat, sent.fee_msat) != (booked_msat, payout.fee_msat):
        text = (
            f"{in_words(payout)} is booked with {booked_msat:,} + {payout.fee_msat:,} msat of fee, "
            f"the source wallet paid {-sent.amount_msat:,} + {sent.fee_msat:,} msat"
        )
        yield payout, Kind.PAYMENT_AMOUNT, text


def in_words(payout: Settled) -> str:
    """A payout in a sentence."""
    return f"payout {payout.payout_id} of {sats_text(payout.amount_sats)} to client {payout.client_id}"


def record_in_words(record: WalletRecord | None) -> str:
    """What a wallet has of a payment, in a sentence."""
    return "no record of it" if record is None else f"a record that is {record.status}"


async def tell(db: Database, differing: Sequence[Differing], findings: Findings) -> None:
    """Differences of settled payouts; but what a person called settled had its reasons, and is named only."""
    by_hand = await books.by_hand(db, [payout.payout_id for payout, _, _ in differing]) if differing else set()
    for payout, kind, text in differing:
        if payout.payout_id in by_hand:
            findings.note(NoteKind.BY_HAND, payout.payout_id)
        else:
            findings.differs(
                kind,
                text,
                payout_id=payout.payout_id,
                payment_hash=payout.payment_hash,
                client_id=payout.client_id,
            )


async def paid_is_known(
    db: Database, book: PaymentBook, findings: Findings, *, installation: str, since: datetime, page_rows: int
) -> None:
    """The books know every payment of ours that left the source, and none of them as one that did not.

    LNbits is read first: a payout is stored before it is paid, so what LNbits shows must be in the books.
    """
    unknown: set[str] = set()
    async for batch in batches(book.payments_tagged(since), page_rows):
        sent = [r for r in batch if r.amount_msat < 0 and r.status is not RecordStatus.FAILED]
        ours = only_ours(sent, installation, findings)
        known = Known(await known_payouts(db, payout_ids(ours), [r.payment_hash for r in ours]))
        for record in ours:
            if record.status is RecordStatus.SUCCESS:
                findings.compared["source_listed"] += 1
                findings.compared["source_listed_msat"] -= record.amount_msat
            _judge(record, known, unknown, findings)


def _judge(record: WalletRecord, known: Known, unknown: set[str], findings: Findings) -> None:
    payout = known.by_hash.get(record.payment_hash)
    what = f"{-record.amount_msat:,} msat for payout {payout_id_of(record)}"
    success = record.status is RecordStatus.SUCCESS
    if payout is not None:
        if success and payout.released and not payout.written_off:
            text = f"the source wallet paid {what}, which the books ended as {payout.state}"
            _differs(Kind.PAYMENT_RELEASED, text, record, findings)
        return
    paid = "paid" if success else "is paying"
    named = known.by_id.get(payout_id_of(record) or "")
    if named is not None and named.settled:
        text = f"the source wallet {paid} {what} by another invoice than the one that settled it"
        _differs(Kind.PAYMENT_TWICE, text, record, findings)
    elif payout_id_of(record) in unknown:
        text = f"the source wallet {paid} {what} more than once, and the books know none of it"
        _differs(Kind.PAYMENT_TWICE, text, record, findings)
    else:
        text = f"the source wallet {paid} {what}, which the books do not know"
        _differs(Kind.PAYMENT_UNKNOWN, text, record, findings)
        payout_id = payout_id_of(record)
        if payout_id is not None and len(unknown) < _UNKNOWN_MAX:
            unknown.add(payout_id)


def _differs(kind: Kind, text: str, record: WalletRecord, findings: Findings) -> None:
    findings.differs(
        kind,
        text,
        payout_id=payout_id_of(record),
        payment_hash=record.payment_hash,
        client_id=client_id_of(record),
    )


class Known:
    """Payouts of the books, by what LNbits' records name."""

    def __init__(self, payouts: Sequence[KnownPayout]) -> None:
        self.by_id = {payout.payout_id: payout for payout in payouts}
        self.by_hash = {p.payment_hash: p for p in payouts if p.payment_hash is not None}


def only_ours(records: Sequence[WalletRecord], installation: str, findings: Findings) -> list[WalletRecord]:
    """Without the payments of another installation on the same LNbits, which are counted."""
    ours = [record for record in records if record.extra.get("installation") == installation]
    if len(ours) < len(records):
        findings.note(NoteKind.OTHERS_PAYMENTS, count=len(records) - len(ours))
    return ours


def payout_id_of(record: WalletRecord) -> str | None:
    """The payout that a record says it pays; None for what is no id of ours."""
    named = record.extra.get("payout_id") or record.external_id
    try:
        return str(uuid.UUID(named)) if isinstance(named, str) else None
    except ValueError:
        return None


def payout_ids(records: Sequence[WalletRecord]) -> list[str]:
    """Those of several records."""
    return [payout_id for payout_id in map(payout_id_of, records) if payout_id is not None]


def client_id_of(record: WalletRecord) -> int | None:
    """The client that a record says it pays."""
    named = record.extra.get("client")
    return named if isinstance(named, int) and not isinstance(named, bool) else None


async def batches(items: AsyncIterator[T], size: int) -> AsyncIterator[list[T]]:
    """The same items, so many at a time."""
    batch: list[T] = []
    async for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
