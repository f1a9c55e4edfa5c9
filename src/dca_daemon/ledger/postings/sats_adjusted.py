"""What a client is owed, or was paid too much, is corrected by hand."""

from datetime import datetime

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def sats_adjusted(
    *, adjustment_id: int, client_id: int, amount_sats: int, happened_at: datetime, actor: str
) -> Entry:
    """Above zero it is owed more. Below, it was paid too much: a credit, used up by what it is owed next."""
    account = accounts.client_payable(client_id) if amount_sats > 0 else accounts.client_credit(client_id)
    return Entry(
        template="sats-adjusted",
        key=f"adjustment:{adjustment_id}",
        happened_at=happened_at,
        actor=actor,
        cause=f"adjustment {adjustment_id}",
        lines=lines(
            (accounts.house_sats(), amount_sats * MSATS_PER_SAT),
            (account, -amount_sats * MSATS_PER_SAT),
        ),
    )
