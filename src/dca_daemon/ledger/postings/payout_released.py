"""A payout ended without paying: failed, expired or void."""

from datetime import datetime

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def payout_released(
    *,
    payout_id: str,
    client_id: int,
    amount_sats: int,
    credit_sats: int,
    adopted: bool,
    happened_at: datetime,
    actor: str,
    outcome: str,
) -> Entry:
    """What was in flight is owed again, and the credit that it used is there again. An adopted one gave the
    client a credit, which is taken back."""
    owed_again_sats = 0 if adopted else amount_sats + credit_sats
    credit_again_sats = -amount_sats if adopted else credit_sats
    return Entry(
        template=f"payout-{outcome}",
        key=f"payout:{payout_id}:released",
        happened_at=happened_at,
        actor=actor,
        cause=f"payout {payout_id}",
        lines=lines(
            (accounts.payouts_in_flight(), amount_sats * MSATS_PER_SAT),
            (accounts.client_credit(client_id), credit_again_sats * MSATS_PER_SAT),
            (accounts.client_payable(client_id), -owed_again_sats * MSATS_PER_SAT),
        ),
    )
