"""What a transaction has done to the books, seen before it ends: for previews."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import rows, scalar


@dataclass(frozen=True, slots=True)
class Moved:
    """One account that is moved. Amounts in the unit's smallest part (msat, minor units), signed as people read
    them: what a liability grows by is positive."""

    account: str
    unit: str
    purpose: str
    client_id: int | None
    client: str | None
    pool: str | None
    amount: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Effect:
    """All accounts that are moved. `fingerprint`: the same for the same movements, whatever the balances."""

    moved: tuple[Moved, ...]
    fingerprint: str


async def mark(conn: AsyncConnection) -> int:
    """Where the journal stands now: to be given to `since`."""
    return int(
        await scalar(conn, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM journal_entry_id_seq")
    )


async def since(conn: AsyncConnection, begun: int) -> Effect:
    """What this transaction has booked since the mark."""
    found = await rows(
        conn,
        """SELECT a.name AS account, a.unit, a.purpose, a.client_id, c.name AS client, p.name AS pool,
                  CASE WHEN a.kind IN ('asset', 'expense') THEN 1 ELSE -1 END AS sign,
                  sum(x.amount)::bigint AS amount, a.balance AS after,
                  array_agg(e.template || ' ' || x.amount ORDER BY e.id) AS lines
             FROM journal_entry e
             JOIN posting x ON x.entry_id = e.id
             JOIN account a ON a.id = x.account_id
             LEFT JOIN client c ON c.id = a.client_id
             LEFT JOIN pool p ON p.id = a.pool_id
            WHERE e.id > :begun AND e.xact_id = pg_current_xact_id()
            GROUP BY a.id, c.name, p.name ORDER BY a.unit, a.name""",
        begun=begun,
    )
    moved = tuple(
        Moved(
            account=r.account,
            unit=r.unit,
            purpose=r.purpose,
            client_id=r.client_id,
            client=r.client,
            pool=r.pool,
            amount=r.sign * r.amount,
            before=r.sign * (r.after - r.amount),
            after=r.sign * r.after,
        )
        for r in found
    )
    content = json.dumps([[r.account, *r.lines] for r in found])
    return Effect(moved, hashlib.sha256(content.encode()).hexdigest())
