"""A cash-out: notes left, coins came, and both are shared."""

from collections import Counter
from datetime import datetime

from dca_daemon.domain.allocation import Allocation
from dca_daemon.domain.commission import CommissionAllocation
from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def cash_out_distributed(
    *,
    cash_out_id: int,
    source: str,
    external_id: str,
    times_reversed: int,
    pool_id: int,
    currency: str,
    total_sats: int,
    fiat_minor: int,
    allocation: Allocation,
    commission: CommissionAllocation,
    happened_at: datetime,
    actor: str,
) -> Entry:
    """Clients' fiat turns into sats owed to them, commission is owed to its receivers; the rest is the house's.

    `fiat_minor` is the notes that left. What the clients are not charged of it, the house put in. Each
    distribution of a cash-out that was taken back before is an event of its own.
    """
    client_minor = sum(s.fiat_minor for s in allocation.shares)
    owed_sats = Counter({s.client_id: s.sats for s in allocation.shares})
    for part in commission.parts:
        owed_sats[part.client_id] += part.sats
    again = f":{times_reversed}" if times_reversed else ""
    return Entry(
        template="cash-out-distributed",
        key=f"cash-out:{source}:{external_id}{again}",
        happened_at=happened_at,
        actor=actor,
        cause=f"cash-out {cash_out_id}",
        lines=lines(
            (accounts.cash(pool_id, currency), -fiat_minor),
            (accounts.house_fiat(pool_id, currency), fiat_minor - client_minor),
            (accounts.coins_received(), total_sats * MSATS_PER_SAT),
            (accounts.house_sats(), -(total_sats - owed_sats.total()) * MSATS_PER_SAT),
            *((accounts.client_fiat(s.client_id, pool_id, currency), s.fiat_minor) for s in allocation.shares),
            *((accounts.client_payable(c), -sats * MSATS_PER_SAT) for c, sats in owed_sats.items()),
        ),
    )
