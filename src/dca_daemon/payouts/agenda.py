"""What is to be paid now, and next: the questions that the payer asks the books."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import rows, scalar

# Nothing is ever put off for longer (LNbits' rate limit: ten minutes). A time further ahead was written before the
# database's clock was set back, and would hold a payout up for as long as that.
LONGEST_WAIT_SECONDS = 660
SHORT_OF_FUNDS = "the source wallet is short"  # the reason of payouts that wait for money


async def owed_clients(conn: AsyncConnection, limit: int) -> list[int]:
    """Clients with owed records and nothing in the way, the longest waiting first.

    A client whose last payout is held before its invoice was ever submitted waits for the operator: a new
    one would meet the same obstacle. One with an adopted payment waits until that is certain: its credit
    depends on it. One that is owed less than its destination takes waits for more. After payouts that failed,
    the next waits ever longer, up to an hour.
    """
    found = await rows(
        conn,
        # From client to client by the index: one look-up each, however many records it is owed.
        # A failed payout's next_attempt_at is the time when it failed; one still to come is of a clock set back.
        """WITH RECURSIVE owed AS (
               (SELECT client_id, id FROM distribution_record WHERE state = 'owed'
                 ORDER BY client_id, id LIMIT 1)
               UNION ALL
               SELECT n.client_id, n.id FROM owed o CROSS JOIN LATERAL (
                   SELECT r.client_id, r.id FROM distribution_record r
                    WHERE r.state = 'owed' AND r.client_id > o.client_id
                    ORDER BY r.client_id, r.id LIMIT 1) n)
           SELECT o.client_id FROM owed o
            WHERE NOT EXISTS (SELECT FROM payout p WHERE p.client_id = o.client_id
                               AND p.state IN ('reserved', 'invoiced', 'submitted', 'unknown'))
              AND NOT EXISTS (SELECT FROM payout p WHERE p.client_id = o.client_id
                               AND p.state = 'held'
                               AND (p.held_from IN ('reserved', 'invoiced') OR p.adopted_at IS NOT NULL))
              AND NOT EXISTS (SELECT FROM client c JOIN destination d ON d.id = c.destination_id
                               WHERE c.id = o.client_id AND d.min_sats > 1 AND
                                     (SELECT sum(sats) FROM distribution_record r
                                       WHERE r.client_id = o.client_id AND r.state = 'owed')
                                     - coalesce((SELECT a.balance / 1000 FROM account a
                                         WHERE a.client_id = o.client_id AND a.purpose = 'client-credit'), 0)
                                     BETWEEN 1 AND d.min_sats - 1
                              OFFSET 0)  -- client by client: joined as a whole, it would read all clients
              AND NOT EXISTS (SELECT FROM payout_record pr JOIN payout p ON p.id = pr.payout_id
                               WHERE pr.record_id = o.id AND p.state = 'failed'
                              HAVING max(p.next_attempt_at) FILTER
                                         (WHERE p.next_attempt_at <= clock_timestamp()) > clock_timestamp()
                                     - make_interval(secs => least(3600, 5 * 2 ^ least(count(*), 10))))
            ORDER BY o.id LIMIT :limit""",
        limit=limit,
    )
    return [r.client_id for r in found]


async def due(conn: AsyncConnection, limit: int) -> list[str]:
    """Open payouts whose time has come, the oldest first."""
    found = await rows(
        conn,
        """SELECT CAST(id AS text) AS id FROM payout
            WHERE state IN ('reserved', 'invoiced', 'submitted', 'unknown')
              AND (next_attempt_at <= clock_timestamp()
                   OR next_attempt_at > clock_timestamp() + make_interval(secs => :longest))
            ORDER BY next_attempt_at, id LIMIT :limit""",
        limit=limit,
        longest=LONGEST_WAIT_SECONDS,
    )
    return [r.id for r in found]


async def seconds_to_next(conn: AsyncConnection) -> float | None:
    """How long until the next open payout is due; None without one."""
    wait = await scalar(
        conn,
        """SELECT extract(epoch FROM min(next_attempt_at) - clock_timestamp()) FROM payout
            WHERE state IN ('reserved', 'invoiced', 'submitted', 'unknown')""",
    )
    return None if wait is None else max(0.0, float(wait))


async def unpaid_sats(conn: AsyncConnection) -> int:
    """What is still to leave the source wallet: owed beyond the clients' credits, reserved, invoiced, or sent
    back for lack of funds."""
    total: int = await scalar(
        conn,
        """SELECT coalesce((SELECT sum(sats) FROM distribution_record WHERE state = 'owed'), 0)
                - coalesce((SELECT sum(least(a.balance / 1000,
                                             (SELECT sum(sats) FROM distribution_record r
                                               WHERE r.client_id = a.client_id AND r.state = 'owed')))
                             FROM account a WHERE a.purpose = 'client-credit' AND a.balance > 0), 0)
                + coalesce((SELECT sum(amount_sats) FROM payout
                             WHERE state IN ('reserved', 'invoiced')
                                OR state IN ('submitted', 'unknown') AND reason = :short), 0)""",
        short=SHORT_OF_FUNDS,
    )
    return int(total)
