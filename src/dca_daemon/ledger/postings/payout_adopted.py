"""A payment that LNbits knows and the books had forgotten."""

from datetime import datetime

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def payout_adopted(
    *, payout_id: str, client_id: int, amount_sats: int, happened_at: datetime, actor: str
) -> Entry:
    """It is in flight until a look-up decides, and the client has a credit for it."""
    return Entry(
        template="payout-adopted",
        key=f"payout:{payout_id}:adopted",
        happened_at=happened_at,
        actor=actor,
        cause=f"payout {payout_id}",
        lines=lines(
            (accounts.client_credit(client_id), amount_sats * MSATS_PER_SAT),
            (accounts.payouts_in_flight(), -amount_sats * MSATS_PER_SAT),
        ),
    )
