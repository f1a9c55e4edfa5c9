"""Clients and balances as our books have them. Only ever read: open the books with `scratch.read_only`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConfigError
from dca_daemon.ledger.db import Database, int_array, rows
from dca_daemon.services.pools import Pool
from dca_daemon.services.shadow.opening import (
    Account,
    Change,
    Machine,
    Member,
    Opening,
    ShareOfCommission,
)

# The id of the cash-out of Lamassu's that moved a client's fiat, or that was taken back; null of all else. What
# was entered by hand is no row of Lamassu's.
_LAMASSU_ID = """
    CASE WHEN o.template = 'cash-out-distributed' AND o.idempotency_key LIKE 'cash-out:lamassu:%'
         THEN split_part(o.idempotency_key, ':', 3) END
"""
_POSTINGS = """
    posting p JOIN journal_entry e ON e.id = p.entry_id
              JOIN journal_entry o ON o.id = coalesce(e.corrects_entry_id, e.id)
"""


class BooksClients:
    """See `Clients`."""

    origin = "the books"
    follows_books = True

    def __init__(self, books: Database) -> None:
        self._books = books

    async def look(self, marks: Mapping[Account, int] | None, known: Mapping[str, int]) -> Opening:
        async with self._books.transaction() as conn:
            await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            changes, read = await (_balances(conn) if marks is None else _changes(conn, marks))
            return await _opening(conn, changes, read)

    async def history(self, since: datetime) -> Opening:
        async with self._books.transaction() as conn:
            await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            found = await rows(
                conn,
                f"""SELECT a.client_id, a.pool_id, NULL AS at, -sum(p.amount) AS minor, 0 AS n
                     FROM account a JOIN posting p ON p.account_id = a.id JOIN journal_entry e ON e.id = p.entry_id
                    WHERE a.purpose = 'client-fiat' AND e.happened_at < :since
                    GROUP BY a.client_id, a.pool_id
                   UNION ALL
                   SELECT a.client_id, a.pool_id, e.happened_at, -p.amount, e.id
                     FROM {_POSTINGS} JOIN account a ON a.id = p.account_id
                    WHERE a.purpose = 'client-fiat' AND e.happened_at >= :since AND {_LAMASSU_ID} IS NULL
                    ORDER BY at NULLS FIRST, n, client_id, pool_id""",  # noqa: S608 - our own constant
                since=since,
            )
            changes = [Change((r.client_id, r.pool_id), int(r.minor), r.at) for r in found if r.minor]
            return await _opening(conn, changes, {})


async def _balances(conn: AsyncConnection) -> tuple[list[Change], dict[Account, int]]:
    found = await rows(
        conn,
        """SELECT client_id, pool_id, -balance AS minor, version FROM account
            WHERE purpose = 'client-fiat' ORDER BY client_id, pool_id""",
    )
    changes = [Change((r.client_id, r.pool_id), r.minor) for r in found if r.minor]
    return changes, {(r.client_id, r.pool_id): r.version for r in found}


async def _changes(conn: AsyncConnection, marks: Mapping[Account, int]) -> tuple[list[Change], dict[Account, int]]:
    """By each account's own count of postings: unlike ids and times, it has no gap that is filled later."""
    accounts = list(marks)
    found = await rows(
        conn,
        f"""SELECT a.client_id, a.pool_id, a.version, x.lamassu_id, x.minor
             FROM account a
             LEFT JOIN unnest(CAST(:clients AS bigint[]), CAST(:pools AS bigint[]), CAST(:versions AS bigint[]))
                    AS m (client_id, pool_id, version) ON m.client_id = a.client_id AND m.pool_id = a.pool_id
            CROSS JOIN LATERAL
                  (SELECT {_LAMASSU_ID} AS lamassu_id, -sum(p.amount) AS minor FROM {_POSTINGS}
                    WHERE p.account_id = a.id AND p.account_version > coalesce(m.version, 0) GROUP BY 1) x
            WHERE a.purpose = 'client-fiat' AND a.version > coalesce(m.version, 0)
            ORDER BY a.client_id, a.pool_id""",  # noqa: S608 - our own constants
        clients=int_array(client_id for client_id, _ in accounts),
        pools=int_array(pool_id for _, pool_id in accounts),
        versions=int_array(marks.values()),
    )
    changes = [Change((r.client_id, r.pool_id), int(r.minor), cash_out=r.lamassu_id) for r in found if r.minor]
    return changes, {**marks, **{(r.client_id, r.pool_id): r.version for r in found}}


async def _opening(conn: AsyncConnection, changes: list[Change], marks: Mapping[Account, int]) -> Opening:
    shares = await rows(
        conn,
        """SELECT client_id, basis_points, active FROM commission_share
            WHERE version_id = (SELECT max(id) FROM commission_version) ORDER BY client_id""",
    )
    pools = await rows(conn, "SELECT id, name, currency FROM pool ORDER BY id")
    if not pools:
        raise ConfigError(
            "the books have no pool yet", remedy="set pool.currency, then run: dca-daemon db upgrade"
        )
    members = await rows(conn, "SELECT id, name, mode, status FROM client ORDER BY id")
    machines = await rows(conn, "SELECT device_id, name, pool_id, awaiting_pool FROM machine ORDER BY device_id")
    filters = await rows(conn, "SELECT id, kind, value FROM intake_filter WHERE removed_at IS NULL ORDER BY id")
    return Opening(
        pools=tuple(Pool(*r) for r in pools),
        members=tuple(Member(*r) for r in members),
        changes=tuple(changes),
        shares=tuple(ShareOfCommission(*r) for r in shares),
        machines=tuple(Machine(*r) for r in machines),
        filters=tuple((r.id, r.kind, r.value) for r in filters),
        marks=marks,
    )
