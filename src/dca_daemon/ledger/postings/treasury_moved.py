"""The operator moved sats between the ATM's own wallet and the source wallet."""

from datetime import datetime

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger import accounts
from dca_daemon.ledger.journal import Entry, lines


def treasury_moved(*, move_id: int, sats: int, fee_sats: int, happened_at: datetime, actor: str) -> Entry:
    """The source wallet has `sats` more (< 0: less), the ATM's own wallet less by that and the fee."""
    return Entry(
        template="treasury-moved",
        key=f"treasury-move:{move_id}",
        happened_at=happened_at,
        actor=actor,
        cause=f"treasury move {move_id}",
        lines=lines(
            (accounts.coins_source(), sats * MSATS_PER_SAT),
            (accounts.fees(), fee_sats * MSATS_PER_SAT),
            (accounts.coins_received(), -(sats + fee_sats) * MSATS_PER_SAT),
        ),
    )
