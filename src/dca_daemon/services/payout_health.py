"""What the payouts of late say about the wallet that they are paid from."""

from __future__ import annotations

from dataclasses import dataclass

from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, rows

_NEWEST = 5_000  # rows of the payouts' log that are looked through
_LATELY = "7 days"


@dataclass(frozen=True, slots=True)
class LastSettled:
    """The payout that was settled last by a payment, and how many are under way."""

    payout_id: str
    payment_hash: str
    open_count: int


async def last_settled(db: Database) -> LastSettled | None:
    """None before the first."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            """SELECT CAST(p.id AS text) AS payout_id, p.payment_hash,
                      (SELECT count(*) FROM payout
                        WHERE state IN ('invoiced', 'submitted', 'unknown')) AS open_count
                 FROM payout p WHERE p.state = 'settled' AND p.payment_hash IS NOT NULL
                ORDER BY p.created_at DESC LIMIT 1""",
        )
    return LastSettled(found[0].payout_id, found[0].payment_hash, found[0].open_count) if found else None


async def refused_for_a_limit(db: Database) -> list[str]:
    """What LNbits said, of each payout that it refused for a limit lately, the newest first."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            f"""SELECT DISTINCT ON (l.payout_id) l.payout_id, l.id, l.detail ->> 'reason' AS reason
                  FROM (SELECT * FROM payout_log ORDER BY id DESC LIMIT {_NEWEST}) l
                 WHERE l.at > now() - interval '{_LATELY}' AND l.detail ->> 'reason' ~* '\\mlimits?\\M'
                   AND l.detail ->> 'reason' !~* 'rate limit'
                 ORDER BY l.payout_id, l.id DESC""",  # noqa: S608 - constants
        )
    return [plain(each.reason, 200) for each in sorted(found, key=lambda each: -each.id)]
