"""A client got back part of what it still had in."""

from datetime import datetime

from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def fiat_given_back(
    *,
    movement_id: int,
    client_id: int,
    pool_id: int,
    currency: str,
    amount_minor: int,
    happened_at: datetime,
    actor: str,
) -> Entry:
    """The pool holds less cash, and owes the client so much less."""
    return Entry(
        template="fiat-given-back",
        key=f"cash-movement:{movement_id}",
        happened_at=happened_at,
        actor=actor,
        cause=f"cash movement {movement_id}",
        lines=lines(
            (accounts.client_fiat(client_id, pool_id, currency), amount_minor),
            (accounts.cash(pool_id, currency), -amount_minor),
        ),
    )
