"""What lists of clients read: which are on a page, what they have in and got, and their records; by index.

What has been paid is summed up from payouts, which are fewer than the records that they pay.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import rows
from dca_daemon.ledger.pages import Conditions, anchor


class ClientOrder(StrEnum):
    """By what a list of clients is sorted."""

    ID = "id"
    NAME = "name"


async def page_ids(
    conn: AsyncConnection,
    *,
    text: str | None,
    mode: str | None,
    status: str | None,
    order: ClientOrder,
    limit: int | None,
    after: int | None,
) -> list[int]:
    """The ids of a page of clients, in their order; never of a wallet that only receives commission."""
    conditions = Conditions()
    conditions.always("mode <> 'commission'")
    conditions.given("strpos(lower(name), lower(:text)) > 0", text=text)
    conditions.given("mode = :mode", mode=mode)
    conditions.given("status = :status", status=status)
    if after is not None:
        at = await anchor(conn, "client", "SELECT id, lower(name) AS name FROM client WHERE id = :after", after)
        if order is ClientOrder.ID:
            conditions.always("id > :after", after=at.id)
        else:
            conditions.always("lower(name) > :after", after=at.name)
    by = "id" if order is ClientOrder.ID else "lower(name)"
    query = f"SELECT id FROM client {conditions.where} ORDER BY {by} LIMIT CAST(:limit AS bigint)"  # noqa: S608
    return [int(r.id) for r in await rows(conn, query, limit=limit, **conditions.values)]


VIEW = """
    SELECT c.id, c.name, c.mode, c.status, c.created_at, c.erased_at, d.kind, d.name AS destination_name,
           d.address, d.wallet_id,
           (SELECT coalesce(sum(r.sats), 0) FROM distribution_record r
             WHERE r.client_id = c.id AND r.state = 'owed') AS owed,
           (SELECT coalesce(sum(p.amount_sats + p.credit_sats), 0) FROM payout p
             WHERE p.client_id = c.id AND p.adopted_at IS NULL
               AND p.state IN ('reserved', 'invoiced', 'submitted', 'unknown', 'held')) AS in_payout,
           (SELECT coalesce(sum(p.amount_sats + p.credit_sats), 0) FROM payout p
             WHERE p.client_id = c.id AND p.adopted_at IS NULL AND p.state = 'settled') AS settled,
           (SELECT count(*) FROM distribution_record r WHERE r.client_id = c.id) AS records,
           coalesce((SELECT a.balance / 1000 FROM account a
                      WHERE a.client_id = c.id AND a.purpose = 'client-credit'), 0) AS credit
      FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY wanted (id, place)
      JOIN client c ON c.id = wanted.id JOIN destination d ON d.id = c.destination_id
     ORDER BY wanted.place
"""
BALANCES = """
    SELECT c.id AS client_id, p.id AS pool_id, p.name AS pool, p.currency,
           coalesce(-a.balance, 0) AS balance,
           coalesce(d.pending, 0) AS pending, coalesce(d.confirmed, 0) AS confirmed
      FROM unnest(CAST(:ids AS bigint[])) c (id) CROSS JOIN pool p
      LEFT JOIN account a ON a.client_id = c.id AND a.pool_id = p.id AND a.purpose = 'client-fiat'
      LEFT JOIN (SELECT client_id, pool_id, sum(amount_minor) FILTER (WHERE state = 'pending') AS pending,
                        sum(amount_minor) FILTER (WHERE state = 'confirmed') AS confirmed
                   FROM deposit WHERE client_id = ANY(CAST(:ids AS bigint[])) GROUP BY client_id, pool_id) d
        ON d.client_id = c.id AND d.pool_id = p.id
     WHERE a.id IS NOT NULL OR d.client_id IS NOT NULL
     ORDER BY c.id, p.id
"""


async def records(
    conn: AsyncConnection, client_id: int, *, limit: int, after: int | None
) -> list[Mapping[str, Any]]:
    """The newest records of a client first. Raises `NotFoundError` for an `after` that is none."""
    conditions = Conditions()
    conditions.given("r.id < :after", after=after)
    if after is not None:
        await anchor(conn, "record", "SELECT id FROM distribution_record WHERE id = :after", after)
    found = await rows(
        conn,
        f"""SELECT r.id AS record_id, r.type, r.sats, r.fiat_minor, p.currency, r.state, d.booked_at,
                   d.happened_at, d.cash_out_id, CAST(pr.payout_id AS text) AS payout_id
              FROM distribution_record r
              JOIN distribution d ON d.id = r.distribution_id
              JOIN pool p ON p.id = d.pool_id
              LEFT JOIN payout_record pr ON pr.record_id = r.id AND pr.active
             WHERE r.client_id = :client AND {conditions.all}
             ORDER BY r.id DESC LIMIT :limit""",  # noqa: S608 - every part stands here
        client=client_id,
        limit=limit,
        **conditions.values,
    )
    return [dict(r._mapping) for r in found]
