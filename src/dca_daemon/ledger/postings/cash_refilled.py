"""The operator put notes of its own into the machines."""

from datetime import datetime

from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def cash_refilled(
    *, movement_id: int, pool_id: int, currency: str, amount_minor: int, happened_at: datetime, actor: str
) -> Entry:
    """The pool holds more cash, and it is the house's."""
    return Entry(
        template="cash-refilled",
        key=f"cash-movement:{movement_id}",
        happened_at=happened_at,
        actor=actor,
        cause=f"cash movement {movement_id}",
        lines=lines(
            (accounts.cash(pool_id, currency), amount_minor),
            (accounts.house_fiat(pool_id, currency), -amount_minor),
        ),
    )
