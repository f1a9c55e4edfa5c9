"""The queries of the clients' reports: sets, never a statement per client.

One client's and all clients' are the same but for what they read: a client's own never touches others' rows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(micros: int) -> datetime:
    """A time from its microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


_IN = """(CAST(:since AS timestamptz) IS NULL OR {at} >= :since)
     AND (CAST(:until AS timestamptz) IS NULL OR {at} < :until)"""
_BEFORE = "{at} < CAST(:since AS timestamptz)"
_MICROS = "CAST(extract(epoch FROM d.happened_at) * 1000000 AS bigint)"


def _within(at: str) -> str:
    return _IN.format(at=at)


def _before(at: str) -> str:
    return _BEFORE.format(at=at)


# Of the beginning until now, as client_total keeps it.
_KEPT = """
        SELECT x.client_id, p.currency, sum(x.converted_minor) AS converted, sum(x.bought_sats) AS bought_sats,
               sum(x.purchases) AS purchases, 0 AS converted_before, sum(x.adjusted_sats) AS adjusted_sats
          FROM client_total x JOIN pool p ON p.id = x.pool_id
         WHERE (x.purchases > 0 OR x.adjusted_sats > 0) {where}
         GROUP BY x.client_id, p.currency"""


def _summed(where: str) -> str:
    within = _within("d.happened_at")
    bought = f"d.reversed_at IS NULL AND d.kind <> 'adjustment' AND {within}"
    priced = f"{bought} AND x.fiat_minor > 0"
    taken_back = f"d.reversed_at IS NOT NULL AND {within}"
    earlier = f"d.reversed_at IS NULL AND {_before('d.happened_at')}"
    return f"""
        SELECT x.client_id, p.currency,
               sum(x.fiat_minor) FILTER (WHERE {bought}) AS converted,
               sum(x.sats) FILTER (WHERE {bought}) AS bought_sats,
               count(*) FILTER (WHERE {bought}) AS purchases,
               sum(x.fiat_minor) FILTER (WHERE {earlier}) AS converted_before,
               sum(x.sats) FILTER (
                   WHERE d.reversed_at IS NULL AND d.kind = 'adjustment' AND {within}) AS adjusted_sats,
               count(*) FILTER (WHERE {taken_back}) AS reversed_records,
               sum(x.sats) FILTER (WHERE {taken_back}) AS reversed_sats,
               max(ARRAY[x.fiat_minor, x.sats, x.id, {_MICROS}]) FILTER (WHERE {priced}) AS largest,
               max(ARRAY[{_MICROS}, x.id, x.sats, x.fiat_minor]) FILTER (WHERE {priced}) AS last
          FROM distribution_record x JOIN distribution d ON d.id = x.distribution_id
          JOIN pool p ON p.id = d.pool_id
         WHERE x.type <> 'commission' {where}
         GROUP BY x.client_id, p.currency"""  # noqa: S608 - every part stands here


_ONLY_SUMMED = """,
           coalesce(reversed_records, 0) AS reversed_records, coalesce(reversed_sats, 0) AS reversed_sats,
           largest, last"""


def _query(only: str, *, kept: bool = False) -> str:
    """`only`: a condition on `x.client_id`, or nothing. `kept`: the records as they are kept, not summed up."""
    where = f"AND x.client_id = {only}" if only else ""
    records, more = (_KEPT.format(where=where), "") if kept else (_summed(where), _ONLY_SUMMED)
    return f"""
    WITH records AS ({records}),
    deposits AS (
        SELECT x.client_id, p.currency,
               sum(x.amount_minor) FILTER (
                   WHERE x.state = 'confirmed' AND {_within("x.confirmed_at")}) AS deposited,
               sum(x.amount_minor) FILTER (
                   WHERE x.state = 'confirmed' AND {_before("x.confirmed_at")}) AS deposited_before,
               sum(x.amount_minor) FILTER (WHERE x.state = 'pending') AS pending
          FROM deposit x JOIN pool p ON p.id = x.pool_id WHERE true {where} GROUP BY x.client_id, p.currency),
    given_back AS (
        SELECT x.client_id, p.currency,
               sum(x.amount_minor) FILTER (WHERE {_within("x.at")}) AS given_back,
               sum(x.amount_minor) FILTER (WHERE {_before("x.at")}) AS given_back_before
          FROM cash_movement x JOIN pool p ON p.id = x.pool_id
         WHERE x.client_id IS NOT NULL {where} GROUP BY x.client_id, p.currency),
    adjusted AS (
        SELECT x.client_id, p.currency,
               sum(x.amount_minor) FILTER (WHERE {_within("x.at")}) AS adjusted,
               sum(x.amount_minor) FILTER (WHERE {_before("x.at")}) AS adjusted_before
          FROM adjustment x JOIN pool p ON p.id = x.pool_id
         WHERE x.amount_minor IS NOT NULL {where} GROUP BY x.client_id, p.currency),
    opening AS (  -- only in a report that goes back to the beginning
        SELECT x.client_id, p.currency, x.deposited_minor, x.converted_minor, x.received_sats,
               CASE WHEN x.deposit_id IS NULL THEN 0 ELSE x.left_minor END AS left_minor
          FROM client_opening x JOIN pool p ON p.id = x.pool_id
         WHERE CAST(:since AS timestamptz) IS NULL {where}),
    every AS (
        SELECT client_id, currency FROM records UNION SELECT client_id, currency FROM deposits
        UNION SELECT client_id, currency FROM given_back UNION SELECT client_id, currency FROM adjusted
        UNION SELECT client_id, currency FROM opening)
    SELECT c.id AS client_id, c.name AS client, c.mode, c.status, e.currency,
           coalesce(deposited, 0) AS deposited, coalesce(pending, 0) AS pending,
           coalesce(given_back, 0) AS given_back, coalesce(adjusted, 0) AS adjusted,
           coalesce(converted, 0) AS converted, coalesce(bought_sats, 0) AS bought_sats,
           coalesce(adjusted_sats, 0) AS adjusted_sats, coalesce(purchases, 0) AS purchases,
           coalesce(deposited_before, 0) + coalesce(adjusted_before, 0) - coalesce(given_back_before, 0)
               - coalesce(converted_before, 0) AS before,
           coalesce(o.deposited_minor, 0) AS opening_deposited,
           coalesce(o.converted_minor, 0) AS opening_converted,
           coalesce(o.left_minor, 0) AS opening_left, coalesce(o.received_sats, 0) AS opening_sats{more}
      FROM every e JOIN client c ON c.id = e.client_id
      LEFT JOIN records USING (client_id, currency) LEFT JOIN deposits USING (client_id, currency)
      LEFT JOIN given_back USING (client_id, currency) LEFT JOIN adjusted USING (client_id, currency)
      LEFT JOIN opening o USING (client_id, currency)
     WHERE c.mode <> 'commission'
     ORDER BY c.id, e.currency"""  # noqa: S608 - every part stands here


@cache
def one_clients() -> str:
    """For `:client`."""
    return _query(":client")


@cache
def one_clients_kept() -> str:
    """The same of all time, at once however long that is; without what only the records tell. `:since` is null."""
    return _query(":client", kept=True)


@cache
def all_clients() -> str:
    """For everyone."""
    return _query("")


RECORDS = f"""
    SELECT r.id AS record_id, d.happened_at, d.booked_at, r.type, d.kind, d.cash_out_id, r.sats, r.fiat_minor,
           p.currency, r.state, d.reversed_at, CAST(pr.payout_id AS text) AS payout_id
      FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id JOIN pool p ON p.id = d.pool_id
      LEFT JOIN payout_record pr ON pr.record_id = r.id AND pr.active
     WHERE r.client_id = :client AND {_within("d.happened_at")}
     ORDER BY r.id DESC LIMIT CAST(:limit AS bigint)"""  # noqa: S608 - the part stands here

# What is settled is all that is kept, less what is not yet: of that there is little.
SATS = """
    WITH waiting AS (
        SELECT type, state, sats FROM distribution_record WHERE client_id = :client AND state = 'owed'
        UNION ALL
        SELECT type, state, sats FROM distribution_record WHERE client_id = :client AND state = 'gathered'
        UNION ALL
        SELECT r.type, 'in-payout', r.sats
          FROM payout p JOIN payout_record pr ON pr.payout_id = p.id AND pr.active
          JOIN distribution_record r ON r.id = pr.record_id
         WHERE p.client_id = :client AND p.state IN ('reserved', 'invoiced', 'submitted', 'unknown', 'held')),
    sums AS (
        SELECT type = 'commission' AS is_commission,
               coalesce(sum(sats) FILTER (WHERE state = 'gathered'), 0) AS gathered,
               coalesce(sum(sats) FILTER (WHERE state = 'owed'), 0) AS owed,
               coalesce(sum(sats) FILTER (WHERE state = 'in-payout'), 0) AS in_payout, sum(sats) AS waiting
          FROM waiting GROUP BY 1),
    kept AS (
        SELECT false AS is_commission, sum(bought_sats + adjusted_sats) AS sats
          FROM client_total WHERE client_id = :client
         UNION ALL SELECT true, sum(commission_sats) FROM client_total WHERE client_id = :client),
    found AS (
        SELECT is_commission, coalesce(gathered, 0) AS gathered, coalesce(owed, 0) AS owed,
               coalesce(in_payout, 0) AS in_payout, coalesce(sats, 0) - coalesce(waiting, 0) AS settled
          FROM kept LEFT JOIN sums USING (is_commission))
    SELECT f.owed AS owed_sats, f.in_payout AS in_payout_sats, f.settled AS settled_sats,
           c.gathered AS commission_gathered_sats, c.owed AS commission_owed_sats,
           c.in_payout AS commission_in_payout_sats, c.settled AS commission_settled_sats,
           coalesce((SELECT balance / 1000 FROM account
                      WHERE client_id = :client AND purpose = 'client-credit'), 0) AS credit_sats
      FROM found f, found c WHERE NOT f.is_commission AND c.is_commission"""

BALANCES = """
    SELECT client_id, unit AS currency, -sum(balance) AS minor FROM account
     WHERE purpose = 'client-fiat' GROUP BY client_id, unit"""
BALANCES_OF_ONE = """
    SELECT client_id, unit AS currency, -sum(balance) AS minor FROM account
     WHERE client_id = :client AND purpose = 'client-fiat' GROUP BY client_id, unit"""
