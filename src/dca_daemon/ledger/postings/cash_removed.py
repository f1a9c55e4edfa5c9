"""The operator took notes out of the machines."""

from datetime import datetime

from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def cash_removed(
    *, movement_id: int, pool_id: int, currency: str, amount_minor: int, happened_at: datetime, actor: str
) -> Entry:
    """The pool holds less cash, and what is missing was the house's."""
    return Entry(
        template="cash-removed",
        key=f"cash-movement:{movement_id}",
        happened_at=happened_at,
        actor=actor,
        cause=f"cash movement {movement_id}",
        lines=lines(
            (accounts.house_fiat(pool_id, currency), amount_minor),
            (accounts.cash(pool_id, currency), -amount_minor),
        ),
    )
