"""Owed sats are set aside for one payout."""

from datetime import datetime

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def payout_reserved(
    *, payout_id: str, client_id: int, amount_sats: int, credit_sats: int, happened_at: datetime, actor: str
) -> Entry:
    """What was owed to the client is in flight, less what its credit covers."""
    return Entry(
        template="payout-reserved",
        key=f"payout:{payout_id}:reserved",
        happened_at=happened_at,
        actor=actor,
        cause=f"payout {payout_id}",
        lines=lines(
            (accounts.client_payable(client_id), (amount_sats + credit_sats) * MSATS_PER_SAT),
            (accounts.client_credit(client_id), -credit_sats * MSATS_PER_SAT),
            (accounts.payouts_in_flight(), -amount_sats * MSATS_PER_SAT),
        ),
    )
