"""How commission is shared now, and what each receiver is owed and has received of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dca_daemon.domain.schedule import DailyTimes
from dca_daemon.ledger.db import Database, rows, scalar
from dca_daemon.services.commission import Version, in_force
from dca_daemon.services.destinations import describe


@dataclass(frozen=True, slots=True)
class ReceiverView:
    """A receiver, its share in force (None: it has none), and what of commission it has got so far, in sats."""

    client_id: int
    name: str
    mode: str
    status: str
    destination: str
    basis_points: int | None
    share_active: bool
    gathered_sats: int
    owed_sats: int
    in_payout_sats: int
    settled_sats: int


@dataclass(frozen=True, slots=True)
class Overview:
    """How commission is shared now, and what became of it so far."""

    version: Version
    receivers: tuple[ReceiverView, ...]
    next_release_at: datetime | None
    house_sats: int  # commission that stayed with the house, in all


_RECEIVERS = """
    SELECT c.id AS client_id, c.name, c.mode, c.status, d.kind, d.address, d.wallet_id, d.name AS answered,
           s.basis_points, coalesce(s.active, false) AS share_active,
           coalesce(r.gathered, 0)::bigint AS gathered_sats, coalesce(r.owed, 0)::bigint AS owed_sats,
           coalesce(r.in_payout, 0)::bigint AS in_payout_sats, coalesce(r.settled, 0)::bigint AS settled_sats
      FROM client c JOIN destination d ON d.id = c.destination_id
      LEFT JOIN commission_share s ON s.client_id = c.id AND s.version_id = :version
      LEFT JOIN (SELECT client_id, sum(sats) FILTER (WHERE state = 'gathered') AS gathered,
                        sum(sats) FILTER (WHERE state = 'owed') AS owed,
                        sum(sats) FILTER (WHERE state = 'in-payout') AS in_payout,
                        sum(sats) FILTER (WHERE state = 'settled') AS settled
                   FROM distribution_record WHERE type = 'commission' GROUP BY client_id) r
        ON r.client_id = c.id
     WHERE c.mode = 'commission' OR s.client_id IS NOT NULL OR r.client_id IS NOT NULL
     ORDER BY c.id"""


async def show(db: Database) -> Overview:
    """The shares in force, every receiver, and what it is owed and has received of commission."""
    async with db.transaction() as conn:
        version = await in_force(conn)
        rule = version.rule
        found = await rows(conn, _RECEIVERS, version=version.version_id)
        house_sats = await scalar(
            conn,
            """SELECT coalesce(sum(commission_sats - commission_shared_sats), 0)::bigint
                 FROM distribution WHERE kind = 'cash-out' AND reversed_at IS NULL""",
        )
        now: datetime = await scalar(conn, "SELECT now()")
    next_at = None if rule.zone is None else DailyTimes(rule.zone, rule.times).next_after(now)[0].due_at
    return Overview(version, tuple(_receiver_view(r) for r in found), next_at, house_sats)


def _receiver_view(r: Any) -> ReceiverView:
    return ReceiverView(
        client_id=r.client_id,
        name=r.name,
        mode=r.mode,
        status=r.status,
        destination=describe(r.kind, r.address, r.wallet_id, r.answered),
        basis_points=r.basis_points,
        share_active=r.share_active,
        gathered_sats=r.gathered_sats,
        owed_sats=r.owed_sats,
        in_payout_sats=r.in_payout_sats,
        settled_sats=r.settled_sats,
    )
