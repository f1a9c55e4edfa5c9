"""Everything that is kept of one client, for itself: docs/client-data.md tells the keys.

What is told is what stands under the client's number. No secret is in it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncResult

from dca_daemon.domain.wording import fiat_json
from dca_daemon.ledger.db import Database, rows, scalar, statement
from dca_daemon.services import clients, erasing_places

FORMAT, VERSION = "dca-daemon client", 1

# By key of the document. An amount `x_minor` is told as `x`, in the row's currency.
_SECTIONS: Mapping[str, str] = {
    "client": "SELECT id, name, mode, status, created_at, erased_at FROM client WHERE id = :id",
    "destinations": """SELECT d.kind, d.name, d.address, d.wallet_id, d.created_at,
               d.id = (SELECT destination_id FROM client WHERE id = :id) AS in_use
          FROM destination d WHERE d.id IN (SELECT destination_id FROM client WHERE id = :id
                                             UNION SELECT destination_id FROM payout WHERE client_id = :id)
         ORDER BY d.id""",
    "permissions": "SELECT may_switch_mode, may_change_amount FROM client_permission WHERE client_id = :id",
    "personal_links": """SELECT created_by, created_at, last_used_at, revoked_at FROM client_link
         WHERE client_id = :id ORDER BY id""",
    "tokens": """SELECT name, created_by, created_at, expires_at, last_used_at, revoked_at FROM api_token
         WHERE client_id = :id ORDER BY id""",
    "balances": """SELECT p.name AS pool, a.unit AS currency, -a.balance AS balance_minor
          FROM account a JOIN pool p ON p.id = a.pool_id
         WHERE a.client_id = :id AND a.purpose = 'client-fiat' ORDER BY a.id""",
    "opening": """SELECT o.source, o.external_id, p.name AS pool, p.currency, o.deposited_minor, o.converted_minor,
               o.left_minor, o.received_sats, r.at
          FROM client_opening o JOIN pool p ON p.id = o.pool_id JOIN import_run r ON r.id = o.import_id
         WHERE o.client_id = :id""",
    "deposits": """SELECT d.id, p.name AS pool, p.currency, d.amount_minor, d.state, d.note, d.device_id,
               d.recorded_at, d.confirmed_at, d.voided_at, d.void_reason
          FROM deposit d JOIN pool p ON p.id = d.pool_id WHERE d.client_id = :id ORDER BY d.id""",
    "given_back": """SELECT m.id, p.name AS pool, p.currency, m.amount_minor, m.reason, m.at
          FROM cash_movement m JOIN pool p ON p.id = m.pool_id WHERE m.client_id = :id ORDER BY m.id""",
    "adjustments": """SELECT a.id, p.name AS pool, p.currency, a.amount_minor, a.amount_sats, a.reason, a.corrects,
               a.at
          FROM adjustment a LEFT JOIN pool p ON p.id = a.pool_id WHERE a.client_id = :id ORDER BY a.id""",
    "fixed_amounts": """SELECT p.name AS pool, p.currency, f.daily_minor AS per_day_minor,
               f.max_minor AS max_per_day_minor, f.created_at AS since
          FROM fixed_amount f JOIN pool p ON p.id = f.pool_id WHERE f.client_id = :id ORDER BY f.id""",
    "commission_shares": """SELECT v.created_at AS since, s.basis_points, s.active FROM commission_share s
          JOIN commission_version v ON v.id = s.version_id WHERE s.client_id = :id ORDER BY v.id""",
    "records": """SELECT r.id, r.distribution_id, d.kind, d.cash_out_id, r.type, r.sats, r.fiat_minor, p.currency,
               r.state, d.happened_at, d.booked_at, d.reversed_at
          FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
          JOIN pool p ON p.id = d.pool_id WHERE r.client_id = :id ORDER BY r.id""",
    "payouts": """SELECT CAST(id AS text) AS id, state, amount_sats, credit_sats, fee_msat, memo, reason, bolt11,
               payment_hash, receiver_wallet_id, created_at, settled_at, adopted_at
          FROM payout WHERE client_id = :id ORDER BY created_at, id""",
    "changes": """SELECT at, actor, action, subject, before, after, reason FROM audit_log
         WHERE subject = ANY(:subjects) ORDER BY id""",
}
_SINGLE = ("client", "permissions", "opening")
_PART_ROWS = 500


async def everything(db: Database, reference: str) -> dict[str, Any]:
    """All of one client, of one moment. Times are ISO 8601, amounts decimal strings. Raises `NotFoundError`."""
    found: dict[str, Any] = json.loads("".join([piece async for piece in document(db, reference)]))
    return found


async def document(db: Database, reference: str) -> AsyncIterator[str]:
    """The same as JSON, piece by piece as it is read: there may be very much of it."""
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '1h'")
        client_id = await clients.find(conn, reference)
        at = (await scalar(conn, "SELECT now()")).isoformat()
        yield json.dumps({"format": FORMAT, "version": VERSION, "exported_at": at}).removesuffix("}")
        for key, query in _SECTIONS.items():
            yield f', "{key}": '
            given = await _given(conn, query, client_id)
            if key in _SINGLE:
                told = [_told(dict(r._mapping)) for r in await rows(conn, query, **given)]
                yield json.dumps(next(iter(told), None))
                continue
            before = "["
            async for part in (await _stream(conn, query, given)).partitions():
                yield before + ", ".join([json.dumps(_told(dict(r._mapping))) for r in part])
                before = ", "
            yield "]" if before == ", " else "[]"
        yield "}"


async def _given(conn: AsyncConnection, query: str, client_id: int) -> dict[str, Any]:
    if ":subjects" in query:
        return {"subjects": await erasing_places.own_subjects(conn, client_id)}
    return {"id": client_id}


async def _stream(conn: AsyncConnection, query: str, given: Mapping[str, Any]) -> AsyncResult[Any]:
    return await conn.stream(statement(query), given, execution_options={"yield_per": _PART_ROWS})


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {}
    for key, value in row.items():
        if key.endswith("_minor"):
            told[key.removesuffix("_minor")] = None if value is None else fiat_json(value, row["currency"])
        else:
            told[key] = value.isoformat() if isinstance(value, datetime) else value
    return told
