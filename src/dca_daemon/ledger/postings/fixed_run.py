"""Fixed Mode clients buy at a set time: from the house, with the fiat that they have in."""

from collections.abc import Sequence
from datetime import datetime

from dca_daemon.domain.allocation import Share
from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def fixed_run(
    *,
    run_id: int,
    slot: str,
    pool_id: int,
    currency: str,
    shares: Sequence[Share],
    happened_at: datetime,
    actor: str,
) -> Entry:
    """The fiat becomes the house's, the house's sats are owed to the clients. `slot`: its date and time."""
    minor = sum(s.fiat_minor for s in shares)
    sats = sum(s.sats for s in shares)
    return Entry(
        template="fixed-run",
        key=f"fixed:{pool_id}:{slot}",
        happened_at=happened_at,
        actor=actor,
        cause=f"fixed run {run_id}",
        lines=lines(
            (accounts.house_fiat(pool_id, currency), -minor),
            (accounts.house_sats(), sats * MSATS_PER_SAT),
            *((accounts.client_fiat(s.client_id, pool_id, currency), s.fiat_minor) for s in shares),
            *((accounts.client_payable(s.client_id), -s.sats * MSATS_PER_SAT) for s in shares),
        ),
    )
