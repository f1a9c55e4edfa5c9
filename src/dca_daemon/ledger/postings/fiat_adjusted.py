"""A client's fiat balance is corrected by hand."""

from datetime import datetime

from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def fiat_adjusted(
    *,
    adjustment_id: int,
    client_id: int,
    pool_id: int,
    currency: str,
    amount_minor: int,
    happened_at: datetime,
    actor: str,
) -> Entry:
    """The client has `amount_minor` more in (less, where it is below zero), at the house's cost."""
    return Entry(
        template="fiat-adjusted",
        key=f"adjustment:{adjustment_id}",
        happened_at=happened_at,
        actor=actor,
        cause=f"adjustment {adjustment_id}",
        lines=lines(
            (accounts.house_fiat(pool_id, currency), amount_minor),
            (accounts.client_fiat(client_id, pool_id, currency), -amount_minor),
        ),
    )
