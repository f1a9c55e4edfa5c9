"""What the books say, read in one snapshot, for the agreement at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import MANUAL, CashOutState
from dca_daemon.domain.commission import allocate_commission
from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger.accounts import Account
from dca_daemon.ledger.db import Database, one, rows


@dataclass(frozen=True, slots=True)
class BooksSide:
    """Accounts of the journal (msat or minor units, debit > 0), records, payouts, what was entered by hand."""

    accounts: Mapping[str, int]
    # By client: settled sats, fiat and commission of its records; what it put in; what it had been paid ahead
    per_client: Mapping[int, Any]
    totals: Any
    states: Mapping[str, CashOutState]
    distributed: list[str]
    by_hand: Mapping[str, Any]  # distributed entries by hand, by reference
    commission_due: Mapping[int, int]  # sats by receiver: each commission shared anew by its version's percentages
    fixed: list[Any]  # each purchase of Fixed Mode: client, fiat, sats, rate

    def balance(self, account: Account) -> int:
        """What the journal keeps in an account; 0 where it was never used."""
        return self.accounts.get(account.name, 0)

    @property
    def moved_msat(self) -> int:
        """What the operator wrote down as moved into the source wallet."""
        return int(self.totals.moved) * MSATS_PER_SAT

    @property
    def move_fees_msat(self) -> int:
        """What that cost."""
        return int(self.totals.move_fees) * MSATS_PER_SAT


_PER_CLIENT = """
    SELECT c.id AS client_id,
           (SELECT coalesce(sum(sats), 0) FROM distribution_record r
             WHERE r.client_id = c.id AND r.state = 'settled') AS settled,
           (SELECT coalesce(sum(fiat_minor), 0) FROM distribution_record r
             WHERE r.client_id = c.id AND r.state <> 'reversed') AS fiat,
           (SELECT coalesce(sum(sats), 0) FROM distribution_record r
             WHERE r.client_id = c.id AND r.state <> 'reversed' AND r.type = 'commission') AS commission,
           (SELECT coalesce(sum(amount_minor), 0) FROM deposit d
             WHERE d.client_id = c.id AND d.state = 'confirmed')
           + (SELECT coalesce(sum(amount_minor), 0) FROM adjustment a WHERE a.client_id = c.id)
           - (SELECT coalesce(sum(amount_minor), 0) FROM cash_movement m WHERE m.client_id = c.id) AS put_in,
           (SELECT coalesce(sum(credit_sats), 0) FROM payout p
             WHERE p.client_id = c.id AND p.state = 'settled') AS credit_used
      FROM client c"""
_TOTALS = """
    SELECT (SELECT count(*) FROM distribution_record WHERE state <> 'reversed') AS records,
           (SELECT coalesce(sum(sats), 0) FROM distribution_record
             WHERE state IN ('gathered', 'owed', 'in-payout'))
           - (SELECT coalesce(sum(credit_sats), 0) FROM payout
               WHERE state IN ('reserved', 'invoiced', 'submitted', 'unknown', 'held')) AS owed,
           (SELECT coalesce(-sum(least(amount_sats, 0)), 0) FROM adjustment)
           - (SELECT coalesce(sum(credit_sats), 0) FROM payout
               WHERE state NOT IN ('failed', 'expired', 'void')) AS credit,
           (SELECT coalesce(sum(amount_minor), 0) FROM deposit WHERE state = 'confirmed')
           + (SELECT coalesce(sum(CASE kind WHEN 'refill' THEN amount_minor ELSE -amount_minor END), 0)
                FROM cash_movement) AS notes_in,
           (SELECT coalesce(sum(sats), 0) FROM treasury_move) AS moved,
           (SELECT coalesce(sum(fee_sats), 0) FROM treasury_move) AS move_fees,
           count(*) AS payouts, coalesce(sum(amount_sats), 0) AS paid, coalesce(sum(fee_msat), 0) AS fee_msat
      FROM payout WHERE state = 'settled'"""
_DISTRIBUTED = """
    SELECT c.source, c.external_id, c.fiat, c.crypto_atoms
      FROM distribution d JOIN cash_out c ON c.id = d.cash_out_id WHERE d.reversed_at IS NULL"""
_FIXED = """
    SELECT r.client_id, r.fiat_minor, r.sats, d.rate_fiat
      FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
     WHERE r.type = 'fixed' AND r.state <> 'reversed'"""
_COMMISSIONS = """
    SELECT d.commission_sats, array_agg(s.client_id ORDER BY s.client_id) AS receivers,
           array_agg(s.basis_points ORDER BY s.client_id) AS basis_points
      FROM distribution d JOIN commission_share s ON s.version_id = d.commission_version_id AND s.active
     WHERE d.reversed_at IS NULL GROUP BY d.id"""


async def read_books(db: Database) -> BooksSide:
    """All of it, as it was at one moment."""
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        distributed = await rows(conn, _DISTRIBUTED)
        return BooksSide(
            accounts={r.name: int(r.balance) for r in await rows(conn, "SELECT name, balance FROM account")},
            per_client={r.client_id: r for r in await rows(conn, _PER_CLIENT)},
            totals=await one(conn, _TOTALS),
            states={
                r.external_id: CashOutState(r.state)
                for r in await rows(conn, "SELECT external_id, state FROM cash_out")
            },
            distributed=[r.external_id for r in distributed],
            by_hand={r.external_id: r for r in distributed if r.source == MANUAL},
            commission_due=await _commission_due(conn),
            fixed=await rows(conn, _FIXED),
        )


async def _commission_due(conn: AsyncConnection) -> dict[int, int]:
    due: defaultdict[int, int] = defaultdict(int)
    for d in await rows(conn, _COMMISSIONS):
        shares = dict(zip(d.receivers, d.basis_points, strict=True))
        for part in allocate_commission(d.commission_sats, shares).parts:
            due[part.client_id] += part.sats
    return dict(due)
