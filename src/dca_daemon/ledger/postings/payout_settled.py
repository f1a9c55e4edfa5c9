"""A payout is proven to have arrived."""

from datetime import datetime

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def payout_settled(*, payout_id: str, amount_sats: int, fee_msat: int, happened_at: datetime, actor: str) -> Entry:
    """The source wallet has less, by the amount and the routing fee; nothing is in flight any more."""
    return Entry(
        template="payout-settled",
        key=f"payout:{payout_id}:settled",
        happened_at=happened_at,
        actor=actor,
        cause=f"payout {payout_id}",
        lines=lines(
            (accounts.payouts_in_flight(), amount_sats * MSATS_PER_SAT),
            (accounts.fees(), fee_msat),
            (accounts.coins_source(), -(amount_sats * MSATS_PER_SAT + fee_msat)),
        ),
    )
