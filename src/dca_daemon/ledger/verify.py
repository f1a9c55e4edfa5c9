"""Sums the books again, and compares: what is kept must be what was posted."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import Database, rows


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold. `findings` names what does not, at most twenty of each."""

    name: str
    text: str
    findings: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


_CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "entries-balance",
        "every journal entry balances in every unit",
        """SELECT 'entry ' || p.entry_id || ' is off by ' || sum(p.amount) || ' ' || a.unit
             FROM posting p JOIN account a ON a.id = p.account_id
            GROUP BY p.entry_id, a.unit HAVING sum(p.amount) <> 0 LIMIT 20""",
    ),
    (
        "balances-kept",
        "every account's balance and version are the sum and the number of its postings",
        """SELECT a.name || ' keeps ' || a.balance || ', its postings come to ' || coalesce(s.total, 0)
             FROM account a LEFT JOIN (SELECT account_id, sum(amount) AS total, count(*) AS n
                                         FROM posting GROUP BY account_id) s ON s.account_id = a.id
            WHERE a.balance <> coalesce(s.total, 0) OR a.version <> coalesce(s.n, 0) LIMIT 20""",
    ),
    (
        "chains-unbroken",
        "every posting continues the balance that the one before left",
        """SELECT 'account ' || account_id || ' breaks at version ' || account_version
             FROM (SELECT account_id, account_version, amount, balance_after,
                          lag(balance_after, 1, 0::bigint) OVER w AS before,
                          row_number() OVER w AS n
                     FROM posting WINDOW w AS (PARTITION BY account_id ORDER BY account_version)) c
            WHERE balance_after <> before + amount OR account_version <> n LIMIT 20""",
    ),
    (
        "distributions-add-up",
        "every sat is somewhere: clients, commission and house add up, for a cash-out to crypto_atoms",
        """SELECT 'distribution ' || d.id || coalesce(' of cash-out ' || d.cash_out_id, '') || ' does not add up'
             FROM distribution d LEFT JOIN cash_out c ON c.id = d.cash_out_id AND d.reversed_at IS NULL
             LEFT JOIN (SELECT distribution_id, sum(sats) FILTER (WHERE type <> 'commission') AS sats,
                               sum(sats) FILTER (WHERE type = 'commission') AS commission,
                               sum(fiat_minor) AS minor
                          FROM distribution_record GROUP BY distribution_id) r ON r.distribution_id = d.id
            WHERE coalesce(r.sats, 0) + d.uncovered_sats <> d.principal_sats
               OR coalesce(r.commission, 0) <> d.commission_shared_sats
               OR d.principal_sats + d.commission_sats <> d.total_sats
               OR coalesce(r.minor, 0) + d.uncovered_minor <> d.charge_minor
               OR d.total_sats <> c.crypto_atoms LIMIT 20""",
    ),
    (
        "distributions-booked",
        "what each distribution's records give its receivers is what its journal entry owes them",
        """SELECT 'distribution ' || d.id || ' gives client ' || coalesce(r.client_id, p.client_id) || ' '
                  || coalesce(r.sats, 0) || ' sats, its entry owes ' || coalesce(p.msat, 0) || ' msat'
             FROM (SELECT d.entry_id, r.client_id, sum(r.sats) AS sats
                     FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
                    GROUP BY d.entry_id, r.client_id) r
             FULL JOIN (SELECT p.entry_id, a.client_id, -sum(p.amount) AS msat
                          FROM posting p JOIN account a ON a.id = p.account_id AND a.purpose = 'client-payable'
                          JOIN distribution d ON d.entry_id = p.entry_id
                         GROUP BY p.entry_id, a.client_id) p
               ON p.entry_id = r.entry_id AND p.client_id = r.client_id
             JOIN distribution d ON d.entry_id = coalesce(r.entry_id, p.entry_id)
            WHERE coalesce(r.sats, 0) * 1000 <> coalesce(p.msat, 0) LIMIT 20""",
    ),
    (
        "commission-by-version",
        "every commission record is its receiver's share, by the version that its distribution names",
        """SELECT 'record ' || r.id || ' of ' || r.sats || ' sats is not ' || coalesce(s.basis_points, 0)
                  || ' basis points of ' || d.commission_sats
             FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
             LEFT JOIN commission_share s
               ON s.version_id = d.commission_version_id AND s.client_id = r.client_id AND s.active
            WHERE r.type = 'commission' AND (s.client_id IS NULL
               OR abs(r.sats::numeric * 10000 - d.commission_sats::numeric * s.basis_points) >= 10000) LIMIT 20""",
    ),
    (
        "gathered-is-commission",
        "only commission is gathered",
        """SELECT 'record ' || id || ' of type ' || type || ' is gathered' FROM distribution_record
            WHERE state = 'gathered' AND type <> 'commission' LIMIT 20""",
    ),
    (
        "distributed-once",
        "every distributed cash-out has its distribution, and no other has one that was not reversed",
        """SELECT 'cash-out ' || c.id || ' is ' || c.state || ' with ' || count(d.id) || ' distributions'
             FROM cash_out c LEFT JOIN distribution d ON d.cash_out_id = c.id AND d.reversed_at IS NULL
            GROUP BY c.id HAVING count(d.id) <> (c.state = 'distributed')::integer LIMIT 20""",
    ),
    (
        "reversed-wholly",
        "a distribution is reversed with all its records, by an entry that undoes its own, or not at all",
        """SELECT 'distribution ' || d.id || ' is reversed in part'
             FROM distribution d
            WHERE EXISTS (SELECT FROM distribution_record r WHERE r.distribution_id = d.id
                             AND (r.state = 'reversed') <> (d.reversed_at IS NOT NULL))
               OR d.reversed_at IS NOT NULL AND NOT EXISTS (
                   SELECT FROM journal_entry e
                    WHERE e.id = d.reversal_entry_id AND e.corrects_entry_id = d.entry_id)
               OR d.reversed_at IS NOT NULL AND EXISTS (
                   SELECT FROM posting p WHERE p.entry_id IN (d.entry_id, d.reversal_entry_id)
                    GROUP BY p.account_id HAVING sum(p.amount) <> 0) LIMIT 20""",
    ),
    (
        "fixed-runs-once",
        "every fixed run that bought something has its distribution, and no other has one",
        """SELECT 'fixed run ' || u.id || ' is ' || u.state || ' and has ' || count(d.id) || ' distributions'
             FROM fixed_run u LEFT JOIN distribution d ON d.fixed_run_id = u.id
            GROUP BY u.id HAVING (u.state = 'done') <> (count(d.id) > 0) LIMIT 20""",
    ),
    (
        "owed-is-payable",
        "what each client is owed by its records, gathered or not, is what the books owe it",
        """SELECT 'client ' || c.id || ' is owed ' || coalesce(r.sats, 0) || ' sats by its records, '
                  || (-coalesce(a.balance, 0)) || ' msat by the books'
             FROM client c
             LEFT JOIN account a ON a.client_id = c.id AND a.purpose = 'client-payable'
             LEFT JOIN (SELECT client_id, sum(sats) AS sats FROM distribution_record
                         WHERE state IN ('owed', 'gathered') GROUP BY client_id) r ON r.client_id = c.id
            WHERE coalesce(r.sats, 0) * 1000 <> -coalesce(a.balance, 0) LIMIT 20""",
    ),
    (
        "in-flight-is-reserved",
        "what is in flight is the sum of the payouts that are not ended",
        """SELECT 'payouts reserve ' || p.sats || ' sats, in flight are ' || a.msat || ' msat'
             FROM (SELECT coalesce(sum(amount_sats), 0) AS sats FROM payout
                    WHERE state IN ('reserved', 'invoiced', 'submitted', 'unknown', 'held')) p,
                  (SELECT coalesce(-sum(balance), 0) AS msat FROM account
                    WHERE purpose = 'payouts-in-flight') a
            WHERE p.sats * 1000 <> a.msat""",
    ),
    (
        "payouts-add-up",
        "every payout, with the credit that it uses, is the sum of its records, and they stand where it stands",
        """SELECT 'payout ' || p.id || ' (' || p.state || ') of ' || p.amount_sats || ' + ' || p.credit_sats
                  || ' sats has records of ' || coalesce(sum(r.sats), 0)
             FROM payout p LEFT JOIN payout_record pr ON pr.payout_id = p.id
             LEFT JOIN distribution_record r ON r.id = pr.record_id
            GROUP BY p.id HAVING coalesce(sum(r.sats), 0)
                                 <> CASE WHEN p.adopted_at IS NULL THEN p.amount_sats + p.credit_sats ELSE 0 END
               OR bool_or(p.state = 'settled' AND r.state <> 'settled')
               OR bool_or(p.state IN ('reserved', 'invoiced', 'submitted', 'unknown', 'held')
                          AND r.state <> 'in-payout') LIMIT 20""",
    ),
    (
        "credits-add-up",
        "each client's credit is what adopted payouts and corrections gave it, less what payouts used of it",
        """SELECT 'client ' || coalesce(p.client_id, a.client_id) || ' has a credit of '
                  || coalesce(a.balance, 0) || ' msat, its payouts and corrections come to '
                  || coalesce(p.sats, 0) || ' sats'
             FROM (SELECT client_id, sum(sats) AS sats FROM (
                       SELECT client_id,
                              CASE WHEN adopted_at IS NULL THEN -credit_sats ELSE amount_sats END AS sats
                         FROM payout WHERE state NOT IN ('failed', 'expired', 'void')
                          AND (adopted_at IS NOT NULL OR credit_sats > 0)
                       UNION ALL
                       SELECT client_id, -amount_sats FROM adjustment WHERE amount_sats < 0) u
                    GROUP BY client_id) p
             FULL JOIN (SELECT client_id, balance FROM account WHERE purpose = 'client-credit') a
               ON a.client_id = p.client_id
            WHERE coalesce(p.sats, 0) * 1000 <> coalesce(a.balance, 0) LIMIT 20""",
    ),
    (
        "adjustments-booked",
        "every adjustment is booked with its amount, on its client's account",
        """SELECT 'adjustment ' || j.id || ' is not what entry ' || j.entry_id || ' books'
             FROM adjustment j
             LEFT JOIN (SELECT p.entry_id, a.client_id, a.pool_id, a.purpose, p.amount
                          FROM posting p JOIN account a ON a.id = p.account_id
                         WHERE a.client_id IS NOT NULL) b
               ON b.entry_id = j.entry_id AND b.client_id = j.client_id
              AND b.purpose = CASE WHEN j.amount_minor IS NOT NULL THEN 'client-fiat'
                                   WHEN j.amount_sats > 0 THEN 'client-payable' ELSE 'client-credit' END
              AND b.pool_id IS NOT DISTINCT FROM j.pool_id
            WHERE b.amount IS DISTINCT FROM -coalesce(j.amount_minor, j.amount_sats * 1000)
               OR j.distribution_id IS NOT NULL AND NOT EXISTS (
                   SELECT FROM distribution d WHERE d.id = j.distribution_id AND d.kind = 'adjustment'
                      AND d.total_sats = j.amount_sats AND d.entry_id = j.entry_id) LIMIT 20""",
    ),
    (
        "settled-once",
        "every settled record is in one settled payout, every reserved one in one that is under way",
        """SELECT 'record ' || r.id || ' is ' || r.state || ' without the payout for it'
             FROM distribution_record r
            WHERE r.state IN ('settled', 'in-payout')
              AND (SELECT count(*) FROM payout_record pr JOIN payout p ON p.id = pr.payout_id
                    WHERE pr.record_id = r.id AND pr.active
                      AND (p.state = 'settled') = (r.state = 'settled')) <> 1 LIMIT 20""",
    ),
    (
        "nobody-below-zero",
        "no client's fiat balance is negative",
        """SELECT name || ' stands at ' || -balance FROM account
            WHERE purpose = 'client-fiat' AND balance > 0 LIMIT 20""",
    ),
    (
        "totals-kept",
        "what is kept of each client's purchases and commission is the sum of its records",
        """SELECT 'client ' || coalesce(t.client_id, r.client_id) || ' in pool ' || coalesce(t.pool_id, r.pool_id)
                  || ' keeps ' || coalesce(t.bought_sats, 0) || ' sats for ' || coalesce(t.converted_minor, 0)
                  || ' in ' || coalesce(t.purchases, 0) || ' purchases, its records come to '
                  || coalesce(r.bought_sats, 0) || ' for ' || coalesce(r.converted_minor, 0)
                  || ' in ' || coalesce(r.purchases, 0)
             FROM client_total t
             FULL JOIN (SELECT r.client_id, d.pool_id,
                               count(*) FILTER (WHERE r.type <> 'commission' AND d.kind <> 'adjustment')
                                   AS purchases,
                               sum(r.sats) FILTER (WHERE r.type <> 'commission' AND d.kind <> 'adjustment')
                                   AS bought_sats,
                               sum(r.fiat_minor) FILTER (WHERE r.type <> 'commission') AS converted_minor,
                               sum(r.sats) FILTER (WHERE r.type <> 'commission' AND d.kind = 'adjustment')
                                   AS adjusted_sats,
                               sum(r.sats) FILTER (WHERE r.type = 'commission') AS commission_sats
                          FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
                         WHERE r.state <> 'reversed' GROUP BY r.client_id, d.pool_id) r
               ON r.client_id = t.client_id AND r.pool_id = t.pool_id
            WHERE coalesce(t.purchases, 0) <> coalesce(r.purchases, 0)
               OR coalesce(t.bought_sats, 0) <> coalesce(r.bought_sats, 0)
               OR coalesce(t.converted_minor, 0) <> coalesce(r.converted_minor, 0)
               OR coalesce(t.adjusted_sats, 0) <> coalesce(r.adjusted_sats, 0)
               OR coalesce(t.commission_sats, 0) <> coalesce(r.commission_sats, 0) LIMIT 20""",
    ),
    (
        "cash-adds-up",
        "the cash of each pool is its deposits and refills, less what was dispensed, removed and given back",
        """SELECT 'pool ' || p.id || ' holds ' || coalesce(a.balance, 0) || ', its notes come to '
                  || coalesce(m.minor, 0)
             FROM pool p LEFT JOIN account a ON a.pool_id = p.id AND a.purpose = 'cash'
             LEFT JOIN (SELECT pool_id, sum(minor) AS minor FROM (
                           SELECT pool_id, amount_minor AS minor FROM deposit WHERE state = 'confirmed'
                            UNION ALL
                           SELECT pool_id, CASE kind WHEN 'refill' THEN amount_minor ELSE -amount_minor END
                             FROM cash_movement
                            UNION ALL
                           SELECT pool_id, -fiat_minor FROM distribution
                            WHERE kind = 'cash-out' AND reversed_at IS NULL) moved
                         GROUP BY pool_id) m ON m.pool_id = p.id
            WHERE coalesce(a.balance, 0) <> coalesce(m.minor, 0) LIMIT 20""",
    ),
    (
        "settled-by-hand",
        "what was settled by hand is named by exactly one entry, and nothing of it was distributed",
        """SELECT 'cash-out ' || c.id || ' is ' || c.state FROM cash_out c
             LEFT JOIN cash_out s ON s.settles_id = c.id
            WHERE (c.state = 'settled-by-hand') <> (s.id IS NOT NULL) LIMIT 20""",
    ),
)


async def verify(db: Database) -> list[Check]:
    """Runs every check in one consistent snapshot of the books."""
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return [await _check(conn, *check) for check in _CHECKS]


async def _check(conn: AsyncConnection, name: str, text: str, sql: str) -> Check:
    return Check(name, text, tuple(str(r[0]) for r in await rows(conn, sql)))
