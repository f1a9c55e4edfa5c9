"""A payout left the source wallet and never arrived: the house bears the loss, the client is paid anew."""

from datetime import datetime

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def payout_written_off(*, payout_id: str, amount_sats: int, happened_at: datetime, actor: str) -> Entry:
    """The source wallet has less, for nothing. What was in flight is owed again by an entry of its own."""
    return Entry(
        template="payout-written-off",
        key=f"payout:{payout_id}:written-off",
        happened_at=happened_at,
        actor=actor,
        cause=f"payout {payout_id}",
        lines=lines(
            (accounts.losses(), amount_sats * MSATS_PER_SAT),
            (accounts.coins_source(), -amount_sats * MSATS_PER_SAT),
        ),
    )
