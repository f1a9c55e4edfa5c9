"""What a comparison finds: differences, each of a kind with its remedy, and notes that are none. Bounded.

docs/reconcile.md explains every kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

DETAILS_MAX = 100  # of each kind; beyond it they are only counted
EXAMPLES_MAX = 20
COMPARED = (  # the numbers of what was compared, by name
    "settled_payouts",  # in the books …
    "settled_sats",
    "settled_fees_msat",
    "source_paid",  # … and those that the source wallet has paid
    "source_paid_msat",
    "source_listed",  # our payments in the source wallet's own list
    "source_listed_msat",
    "receiver_wallets",
    "received",  # settled payouts that have arrived in one of these
    "received_msat",
    "received_listed",  # our payments in these wallets' own lists
    "successful_cash_outs",  # at Lamassu
    "booked_cash_outs",
    "booked_sats",
    "known_to_lamassu",  # booked ones that Lamassu has
    "checks",  # of the books by themselves
)


class Kind(StrEnum):
    """Kinds of difference; the names are stable."""

    PAYMENT_MISSING = "payment-missing"
    PAYMENT_AMOUNT = "payment-amount"
    PAYMENT_NOT_RECEIVED = "payment-not-received"
    PAYMENT_UNKNOWN = "payment-unknown"
    PAYMENT_TWICE = "payment-twice"
    PAYMENT_RELEASED = "payment-released"
    RECEIVED_UNKNOWN = "received-unknown"
    RECEIVED_WRITTEN_OFF = "received-written-off"
    CASH_OUT_MISSING = "cash-out-missing"
    CASH_OUT_UNKNOWN = "cash-out-unknown"
    CASH_OUT_CHANGED = "cash-out-changed"
    BOOKS_BROKEN = "books-broken"


_FIND = "find the payment hash in LNbits; dca-daemon payout show"
REMEDIES: dict[Kind, str] = {
    Kind.PAYMENT_MISSING: f"was LNbits restored from a backup, or the source wallet changed? {_FIND}",
    Kind.PAYMENT_AMOUNT: f"something is wrong with LNbits' records or with the books: {_FIND}",
    Kind.PAYMENT_NOT_RECEIVED: "show LNbits' operator the payment hash; the receiver is owed until it has arrived",
    Kind.PAYMENT_UNKNOWN: "see dca-daemon recover --dry-run; the daemon does the same at its start",
    Kind.PAYMENT_TWICE: "stop the daemon; agree with the receiver; keep both payment hashes, and report it",
    Kind.PAYMENT_RELEASED: "stop the daemon before it is paid again; dca-daemon payout show tells who ended it",
    Kind.RECEIVED_UNKNOWN: "somebody else paid our invoice, or the source wallet was changed: find it in LNbits",
    Kind.RECEIVED_WRITTEN_OFF: "it was found again after all, and paid twice: agree with the receiver",
    Kind.CASH_OUT_MISSING: "does the daemon run? see its scanner.… and intake.… events; it books it when it can",
    Kind.CASH_OUT_UNKNOWN: "was Lamassu's database restored or cleaned? see the machine's own records",
    Kind.CASH_OUT_CHANGED: "dca-daemon cash-out show, then the machine's records: who has the cash?",
    Kind.BOOKS_BROKEN: "stop the daemon, keep the database as it is, and find out what changed it",
}


class NoteKind(StrEnum):
    """What is no difference, yet worth knowing."""

    UNDER_WAY = "under-way"
    HELD = "held"
    BY_HAND = "settled-by-hand"
    IN_REVIEW = "cash-outs-in-review"
    RECEIVER_UNSEEN = "receiver-unseen"
    OTHERS_PAYMENTS = "payments-of-others"
    NO_BASELINE = "no-baseline"


NOTES: dict[NoteKind, str] = {
    NoteKind.UNDER_WAY: "payouts under way, compared once they have ended",
    NoteKind.HELD: "held payouts, which wait for a person",
    NoteKind.BY_HAND: "payouts that a person called settled, which LNbits' records do not show so",
    NoteKind.IN_REVIEW: "successful cash-outs in review, which wait for a person",
    NoteKind.RECEIVER_UNSEEN: "wallets of receivers that can't be seen: the key is refused, or can't be decrypted",
    NoteKind.OTHERS_PAYMENTS: "payments with our tag of another installation, or of none",
    NoteKind.NO_BASELINE: "no baseline is set yet: no cash-out counts before the daemon's first look",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: a sentence for people, and the ids that it is about."""

    kind: Kind
    text: str
    payout_id: str | None = None
    payment_hash: str | None = None
    client_id: int | None = None
    external_id: str | None = None  # of a cash-out

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.kind]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is no difference: how many, with at most twenty examples."""

    kind: NoteKind
    count: int
    examples: tuple[str, ...]

    @property
    def text(self) -> str:
        """What there are `count` of."""
        return NOTES[self.kind]


@dataclass(slots=True)
class Findings:
    """Collects, in bounded memory, whatever there is to find."""

    compared: Counter[str] = field(default_factory=Counter)
    counts: Counter[Kind] = field(default_factory=Counter)
    details: list[Difference] = field(default_factory=list)
    _notes: dict[NoteKind, tuple[int, list[str]]] = field(default_factory=dict)

    def differs(
        self,
        kind: Kind,
        text: str,
        *,
        payout_id: str | None = None,
        payment_hash: str | None = None,
        client_id: int | None = None,
        external_id: str | None = None,
    ) -> None:
        """Notes a difference."""
        self.counts[kind] += 1
        if self.counts[kind] <= DETAILS_MAX:
            self.details.append(Difference(kind, text, payout_id, payment_hash, client_id, external_id))

    def note(self, kind: NoteKind, example: str | None = None, *, count: int = 1) -> None:
        """Notes what is no difference."""
        before, examples = self._notes.get(kind, (0, []))
        if example is not None and len(examples) < EXAMPLES_MAX:
            examples.append(example)
        self._notes[kind] = (before + count, examples)

    @property
    def notes(self) -> tuple[Note, ...]:
        """All notes, in the order of their kinds."""
        return tuple(Note(kind, *_frozen(self._notes[kind])) for kind in NoteKind if kind in self._notes)


def _frozen(note: tuple[int, list[str]]) -> tuple[int, tuple[str, ...]]:
    return note[0], tuple(note[1])


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a comparison came to. `not_compared`: part → why it could not be, with what it had found before."""

    began_at: datetime
    since: datetime | None  # nothing before it was compared; None: everything was
    compared: Mapping[str, int]
    counts: Mapping[Kind, int]
    differences: tuple[Difference, ...]  # in detail, at most 100 of each kind
    notes: tuple[Note, ...]
    not_compared: Mapping[str, str]

    @property
    def complete(self) -> bool:
        """Whether every part could be compared."""
        return not self.not_compared

    @property
    def agrees(self) -> bool:
        """Whether every part was compared, and nothing differs."""
        return self.complete and not self.counts
