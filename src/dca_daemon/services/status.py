"""How things stand, in a few cheap queries: for /status, the metrics and the overview."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger.accounts import coins_source, fees, losses
from dca_daemon.ledger.db import Database, one, rows, scalar


@dataclass(frozen=True, slots=True)
class BooksStatus:
    """Counts by state and sums in sats."""

    cash_outs: dict[str, int]
    payouts: dict[str, int]
    duplicates: int
    owed_sats: int
    gathered_sats: int  # commission that is owed, and not payable yet
    in_payout_sats: int
    settled_sats: int
    held_sats: int
    oldest_owed_seconds: int | None  # of records that are not paid yet, but for held payouts


async def status(db: Database) -> BooksStatus:
    """Reads the counts. Raises `DatabaseError`.

    What is settled is the ledger's: what left the source wallet, less fees, losses, and what was moved in.
    """
    async with db.transaction() as conn:
        cash_outs = await rows(conn, "SELECT state, count(*) AS n FROM cash_out GROUP BY state ORDER BY state")
        payouts = await rows(
            conn,
            "SELECT state, count(*) AS n FROM payout GROUP BY state ORDER BY state",
        )
        unpaid = await rows(
            conn,
            """SELECT state, sum(amount_sats) AS sats FROM payout
                WHERE state IN ('reserved', 'invoiced', 'submitted', 'unknown', 'held') GROUP BY state""",
        )
        settled_msat = await scalar(
            conn,
            """SELECT CAST((SELECT coalesce(sum(sats + fee_sats), 0) * 1000 FROM treasury_move)
                           - coalesce(sum(balance), 0) AS bigint)
                 FROM account WHERE name = ANY(:names)""",
            names=[coins_source().name, fees().name, losses().name],
        )
        more = await one(
            conn,
            """SELECT (SELECT coalesce(sum(duplicates), 0) FROM cash_out WHERE duplicates > 0) AS duplicates,
                      (SELECT coalesce(sum(sats), 0) FROM distribution_record WHERE state = 'owed') AS owed,
                      (SELECT coalesce(sum(sats), 0) FROM distribution_record
                        WHERE state = 'gathered') AS gathered,
                      -- What was gathered has waited to be paid since it was released only.
                      (SELECT CAST(extract(epoch FROM now() - min(
                                  CASE r.type WHEN 'commission' THEN greatest(d.booked_at, released.at)
                                       ELSE d.booked_at END)) AS bigint)
                         FROM (SELECT id FROM distribution_record WHERE state = 'owed'
                                UNION ALL
                               SELECT pr.record_id FROM payout p JOIN payout_record pr ON pr.payout_id = p.id
                                WHERE p.state IN ('reserved', 'invoiced', 'submitted', 'unknown') AND pr.active
                              ) AS waits
                         JOIN distribution_record r ON r.id = waits.id
                         JOIN distribution d ON d.id = r.distribution_id
                         LEFT JOIN (SELECT max(at) AS at FROM commission_release) released ON true) AS oldest""",
        )
    sats = {r.state: int(r.sats) for r in unpaid}
    return BooksStatus(
        cash_outs={r.state: r.n for r in cash_outs},
        payouts={r.state: r.n for r in payouts},
        duplicates=int(more.duplicates),
        owed_sats=int(more.owed),
        gathered_sats=int(more.gathered),
        in_payout_sats=sum(sats.get(s, 0) for s in ("reserved", "invoiced", "submitted", "unknown")),
        settled_sats=settled_msat // MSATS_PER_SAT,
        held_sats=sats.get("held", 0),
        oldest_owed_seconds=more.oldest,
    )


@dataclass(frozen=True, slots=True)
class StuckPayouts:
    """Payouts whose outcome is not known for long; the one that has waited longest."""

    number: int
    oldest_seconds: int | None
    oldest_id: str | None


async def stuck_payouts(db: Database, *, older_seconds: float) -> StuckPayouts:
    """Those that were first submitted so long ago, or adopted, and are still looked up. Raises `DatabaseError`."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            """SELECT id, CAST(extract(epoch FROM now() - since) AS bigint) AS seconds
                 FROM (SELECT p.id, coalesce((SELECT min(l.at) FROM payout_log l
                                               WHERE l.payout_id = p.id AND l.event = 'submitted'),
                                             p.created_at) AS since
                         FROM payout p WHERE p.state IN ('submitted', 'unknown')) AS waits
                WHERE since < now() - make_interval(secs => :older)
                ORDER BY since, id""",
            older=older_seconds,
        )
    if not found:
        return StuckPayouts(0, None, None)
    return StuckPayouts(len(found), int(found[0].seconds), str(found[0].id))


async def database_now(db: Database) -> datetime:
    """The time by the clock of our database. Raises `DatabaseError`."""
    async with db.transaction() as conn:
        moment: datetime = await scalar(conn, "SELECT clock_timestamp()")
        return moment
