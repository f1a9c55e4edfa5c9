"""All clients as a file, of one moment."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.wording import fiat_json
from dca_daemon.ledger.db import Database, rows, scalar
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services.transfer.document import FORMAT, VERSION

_CLIENTS = """
    SELECT c.id, c.name, c.mode, c.status, d.kind, d.address, d.wallet_id, d.invoice_key_encrypted AS sealed,
           coalesce(m.may_switch_mode, false) AS may_switch_mode,
           coalesce(m.may_change_amount, false) AS may_change_amount
      FROM client c JOIN destination d ON d.id = c.destination_id
      LEFT JOIN client_permission m ON m.client_id = c.id
     WHERE c.mode <> 'commission' AND c.erased_at IS NULL ORDER BY c.id"""

# What was bought before an import counts with what was bought here; adjustments were not bought.
_POOLS = """
    WITH left_in AS (
        SELECT client_id, pool_id, -balance AS minor FROM account WHERE purpose = 'client-fiat'),
    bought AS (
        SELECT r.client_id, d.pool_id, sum(r.fiat_minor) AS minor, sum(r.sats) AS sats
          FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
         WHERE r.type <> 'commission' AND d.kind <> 'adjustment' AND d.reversed_at IS NULL
         GROUP BY r.client_id, d.pool_id),
    fixed AS (
        SELECT DISTINCT ON (client_id, pool_id) client_id, pool_id, daily_minor, max_minor
          FROM fixed_amount ORDER BY client_id, pool_id, id DESC),
    every AS (
        SELECT client_id, pool_id FROM left_in UNION SELECT client_id, pool_id FROM bought
        UNION SELECT client_id, pool_id FROM fixed UNION SELECT client_id, pool_id FROM client_opening
        UNION SELECT client_id, pool_id FROM deposit WHERE state = 'pending')
    SELECT e.client_id, e.pool_id, p.name AS pool, p.currency, coalesce(l.minor, 0) AS left_minor,
           CAST(coalesce(b.minor, 0) + coalesce(o.converted_minor, 0) AS bigint) AS converted_minor,
           CAST(coalesce(b.sats, 0) + coalesce(o.received_sats, 0) AS bigint) AS received_sats,
           f.daily_minor, f.max_minor
      FROM every e JOIN pool p ON p.id = e.pool_id
      LEFT JOIN left_in l USING (client_id, pool_id) LEFT JOIN bought b USING (client_id, pool_id)
      LEFT JOIN fixed f USING (client_id, pool_id) LEFT JOIN client_opening o USING (client_id, pool_id)
     ORDER BY e.client_id, e.pool_id"""

_PENDING = "SELECT client_id, pool_id, amount_minor, note FROM deposit WHERE state = 'pending' ORDER BY id"


async def export(db: Database, keys: KeyRing | None) -> dict[str, Any]:
    """The document. `keys`: opens the invoice keys, which then stand in it; None: they are left out.

    Raises `ConfigError` for a key that can't be opened.
    """
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        pools = await _pools(conn)
        return {
            "format": FORMAT,
            "version": VERSION,
            "exported_at": (await scalar(conn, "SELECT now()")).isoformat(),
            "installation": str(await scalar(conn, "SELECT id FROM installation")),
            "clients": [
                {
                    "id": r.id,
                    "name": r.name,
                    "mode": r.mode,
                    "status": r.status,
                    "destination": _destination(r, keys),
                    "may_switch_mode": r.may_switch_mode,
                    "may_change_amount": r.may_change_amount,
                    "pools": pools.get(r.id, []),
                }
                for r in await rows(conn, _CLIENTS)
            ],
        }


def _destination(r: Any, keys: KeyRing | None) -> dict[str, Any]:
    if r.sealed is None:
        return {"kind": r.kind, "address": r.address}
    told = {"kind": r.kind, "wallet_id": r.wallet_id}
    return told if keys is None else {**told, "invoice_key": keys.decrypt(bytes(r.sealed))}


async def _pools(conn: AsyncConnection) -> dict[int, list[dict[str, Any]]]:
    pending: dict[tuple[int, int], list[tuple[int, str | None]]] = defaultdict(list)
    for r in await rows(conn, _PENDING):
        pending[r.client_id, r.pool_id].append((r.amount_minor, r.note))
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for r in await rows(conn, _POOLS):
        waiting = pending.get((r.client_id, r.pool_id), [])
        if not (waiting or r.left_minor or r.converted_minor or r.received_sats) and r.daily_minor is None:
            continue
        found[r.client_id].append(
            {
                "pool": r.pool,
                "currency": r.currency,
                "balance": fiat_json(r.left_minor, r.currency),
                "converted": fiat_json(r.converted_minor, r.currency),
                "received_sats": r.received_sats,
                "per_day": None if r.daily_minor is None else fiat_json(r.daily_minor, r.currency),
                "max_per_day": None if r.max_minor is None else fiat_json(r.max_minor, r.currency),
                "pending": [{"amount": fiat_json(m, r.currency), "note": note} for m, note in waiting],
            }
        )
    return found
