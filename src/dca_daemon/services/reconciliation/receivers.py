"""The books against the receivers' wallets, where these are on our LNbits: what was settled has arrived."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from dca_daemon.domain.errors import ConfigError, WalletRefusedError
from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Destination, DestinationKind, PaymentBook, RecordStatus, WalletRecord
from dca_daemon.services.reconciliation.books import (
    ReceiverWallet,
    Settled,
    known_payouts,
    receiver_wallets,
    settled_pages,
)
from dca_daemon.services.reconciliation.findings import Findings, Kind, NoteKind
from dca_daemon.services.reconciliation.payments import (
    Differing,
    Known,
    batches,
    client_id_of,
    in_words,
    only_ours,
    payout_id_of,
    payout_ids,
    record_in_words,
    tell,
)

_NO_SUCH_KEY = (401, 403, 404)


@dataclass(frozen=True, slots=True)
class Receivers:
    """Compares each receiver's wallet in turn. `page_rows` payments are looked up at once."""

    db: Database
    book: PaymentBook
    keys: KeyRing
    findings: Findings
    installation: str
    since: datetime
    page_rows: int

    async def compare(self) -> None:
        """Both directions for each wallet. One that can't be seen is noted, and no difference."""
        listed: set[bytes] = set()  # a client who was given the same wallet twice has two destinations
        async for page in receiver_wallets(self.db, page_rows=self.page_rows):
            for wallet in page:
                try:
                    key = self.keys.decrypt(wallet.sealed)
                    destination = Destination(DestinationKind.LNBITS, wallet_id=wallet.wallet_id, invoice_key=key)
                    await self._settled_has_arrived(wallet, destination)
                    fingerprint = hashlib.sha256(key.encode()).digest()
                    if fingerprint not in listed:
                        listed.add(fingerprint)
                        await self._arrived_is_known(wallet, destination)
                        self.findings.compared["receiver_wallets"] += 1
                except (WalletRefusedError, ConfigError) as error:
                    if isinstance(error, WalletRefusedError) and error.status not in _NO_SUCH_KEY:
                        raise
                    self.findings.note(NoteKind.RECEIVER_UNSEEN, f"client {wallet.client_id}: {error.message}")

    async def _settled_has_arrived(self, wallet: ReceiverWallet, destination: Destination) -> None:
        pages = settled_pages(self.db, self.since, destination_id=wallet.destination_id, page_rows=self.page_rows)
        async for page in pages:
            records = await self.book.records_by_hash([payout.payment_hash for payout in page], destination)
            differing: list[Differing] = []
            for payout in page:
                differing += self._compare(payout, records.get(payout.payment_hash))
            await tell(self.db, differing, self.findings)

    def _compare(self, payout: Settled, received: WalletRecord | None) -> Iterator[Differing]:
        if received is None or received.status is not RecordStatus.SUCCESS:
            text = f"{in_words(payout)} is settled, but the receiver's wallet has {record_in_words(received)}"
            yield payout, Kind.PAYMENT_NOT_RECEIVED, text
            return
        self.findings.compared["received"] += 1
        self.findings.compared["received_msat"] += received.amount_msat
        if received.amount_msat != payout.amount_sats * MSATS_PER_SAT:
            text = f"{in_words(payout)} is settled, but the receiver's wallet got {received.amount_msat:,} msat"
            yield payout, Kind.PAYMENT_AMOUNT, text

    async def _arrived_is_known(self, wallet: ReceiverWallet, destination: Destination) -> None:
        """As with the source, LNbits is read first and the books after it."""
        async for batch in batches(self.book.payments_tagged(self.since, destination=destination), self.page_rows):
            arrived = [r for r in batch if r.amount_msat > 0 and r.status is RecordStatus.SUCCESS]
            ours = only_ours(arrived, self.installation, self.findings)
            self.findings.compared["received_listed"] += len(ours)
            payouts = Known(await known_payouts(self.db, payout_ids(ours), [r.payment_hash for r in ours])).by_hash
            doubtful = []
            for record in ours:
                payout = payouts.get(record.payment_hash)
                if payout is None:
                    doubtful.append((record, "which neither the books nor the source wallet know"))
                elif payout.written_off:
                    self._differs(Kind.RECEIVED_WRITTEN_OFF, wallet, record, "which the books wrote off as lost")
                elif payout.released:
                    doubtful.append((record, f"which the books ended as {payout.state}"))
            # What the source wallet paid is found, and told, by comparing that one.
            sent = await self.book.records_by_hash([record.payment_hash for record, _ in doubtful])
            for record, text in doubtful:
                if record.payment_hash not in sent or sent[record.payment_hash].status is RecordStatus.FAILED:
                    self._differs(Kind.RECEIVED_UNKNOWN, wallet, record, text)

    def _differs(self, kind: Kind, wallet: ReceiverWallet, record: WalletRecord, text: str) -> None:
        payout_id = payout_id_of(record)
        self.findings.differs(
            kind,
            f"client {wallet.client_id} received {record.amount_msat:,} msat for payout {payout_id}, {text}",
            payout_id=payout_id,
            payment_hash=record.payment_hash,
            client_id=client_id_of(record) or wallet.client_id,
        )
