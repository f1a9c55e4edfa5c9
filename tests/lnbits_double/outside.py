"""The world outside of LNbits: the node behind it, and invoices of nodes elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dca_daemon.payouts.wallet import RecordStatus


@dataclass(frozen=True, slots=True)
class Route:
    """What becomes of a payment to an invoice outside, once LNbits has handed it to its node."""

    settles: bool = True  # False: the money comes back
    after_seconds: float = 0.0  # so long it is under way, by the double's clock
    fee_msat: int = 0
    # LNbits writes "failed" at once, because its own connection to the node broke; the node goes on.
    called_failed: bool = False


@dataclass(frozen=True, slots=True)
class OutsideInvoice:
    """An invoice of somebody elsewhere. `route` is None where nobody knows it: its payment is refused."""

    bolt11: str
    payment_hash: str
    amount_msat: int
    route: Route | None


@dataclass(frozen=True, slots=True)
class _Sent:
    route: Route
    ends_at: datetime


class Node:
    """The node behind LNbits. It outlives LNbits, and pays one hash at most once."""

    def __init__(self) -> None:
        self.invoices: dict[str, OutsideInvoice] = {}  # by bolt11
        self._sent: dict[str, _Sent] = {}

    def send(self, invoice: OutsideInvoice, now: datetime) -> datetime:
        """Begins to pay; when it will be over."""
        assert invoice.route is not None
        assert invoice.payment_hash not in self._sent, "LNbits gives one hash to its node once"
        ends_at = now + timedelta(seconds=invoice.route.after_seconds)
        self._sent[invoice.payment_hash] = _Sent(invoice.route, ends_at)
        return ends_at

    def status(self, payment_hash: str, now: datetime) -> RecordStatus | None:
        """The truth; None for a payment that it was never given."""
        sent = self._sent.get(payment_hash)
        if sent is None:
            return None
        if now < sent.ends_at:
            return RecordStatus.PENDING
        return RecordStatus.SUCCESS if sent.route.settles else RecordStatus.FAILED
