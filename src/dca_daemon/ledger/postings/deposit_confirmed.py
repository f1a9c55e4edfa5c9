"""A client's notes are in the machine."""

from datetime import datetime

from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def deposit_confirmed(
    *,
    deposit_id: int,
    client_id: int,
    pool_id: int,
    currency: str,
    amount_minor: int,
    happened_at: datetime,
    actor: str,
) -> Entry:
    """The pool holds more cash, and owes it to the client."""
    return Entry(
        template="deposit-confirmed",
        key=f"deposit:{deposit_id}:confirmed",
        happened_at=happened_at,
        actor=actor,
        cause=f"deposit {deposit_id}",
        lines=lines(
            (accounts.cash(pool_id, currency), amount_minor),
            (accounts.client_fiat(client_id, pool_id, currency), -amount_minor),
        ),
    )
