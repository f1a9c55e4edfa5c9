"""Pools and machines: whose cash stands where. Until there are more, one default pool holds every machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import ConfigError
from dca_daemon.domain.money import minor_digits
from dca_daemon.ledger.db import Database, execute, one, rows

DEFAULT_POOL_ID = 1


@dataclass(frozen=True, slots=True)
class Pool:
    """Machines whose cash is shared, in one currency."""

    pool_id: int
    name: str
    currency: str


async def ensure_default_pool(db: Database, *, name: str, currency: str) -> Pool:
    """Opens the default pool, once. Raises `ConfigError` when it stands there in another currency."""
    minor_digits(currency)

    async def work(conn: AsyncConnection) -> Pool:
        await execute(
            conn,
            """INSERT INTO pool (id, name, currency) VALUES (:id, :name, :currency)
               ON CONFLICT (id) DO NOTHING""",
            id=DEFAULT_POOL_ID,
            name=name,
            currency=currency,
        )
        return await pool(conn, DEFAULT_POOL_ID)

    found = await db.run(work)
    if found.currency != currency:
        raise ConfigError(
            f"pool.currency is {currency}, but the books of pool {found.name!r} are in {found.currency}",
            remedy=f'set pool.currency = "{found.currency}"',
        )
    return found


async def pool(conn: AsyncConnection, pool_id: int) -> Pool:
    """One pool. Raises `ConfigError` when the default pool has not been opened yet."""
    found = await one(conn, "SELECT id, name, currency FROM pool WHERE id = :id", id=pool_id)
    if found is None:
        raise ConfigError(
            "the books have no pool yet", remedy="set pool.currency, then run: dca-daemon db upgrade"
        )
    return Pool(found.id, found.name, found.currency)


async def pools_of_machines(conn: AsyncConnection, source_rows: Iterable[SourceRow]) -> Mapping[str, Pool]:
    """The pool of each row's machine, by device id. Machines that are new, or renamed, are recorded."""
    machines = {row.device_id: row for row in source_rows}
    sql = """SELECT m.device_id, m.name AS machine, m.version, p.id, p.name, p.currency
             FROM machine m JOIN pool p ON p.id = m.pool_id WHERE m.device_id = ANY(:ids)"""
    known = {r.device_id: r for r in await rows(conn, sql, ids=list(machines))}
    stale = [
        row
        for device_id, row in sorted(machines.items())
        if device_id not in known
        or (row.machine_name or known[device_id].machine) != known[device_id].machine
        or (row.machine_version or known[device_id].version) != known[device_id].version
    ]
    if stale:
        await _record_machines(conn, stale)
        known = {r.device_id: r for r in await rows(conn, sql, ids=list(machines))}
    return {device_id: Pool(r.id, r.name, r.currency) for device_id, r in known.items()}


async def _record_machines(conn: AsyncConnection, machines: list[SourceRow]) -> None:
    await pool(conn, DEFAULT_POOL_ID)
    await execute(
        conn,
        """INSERT INTO machine (device_id, name, version, pool_id)
           SELECT id, name, version, :pool
             FROM unnest(CAST(:ids AS text[]), CAST(:names AS text[]), CAST(:versions AS text[]))
                  AS m (id, name, version)
           ON CONFLICT (device_id) DO UPDATE
              SET name = coalesce(excluded.name, machine.name),
                  version = coalesce(excluded.version, machine.version)""",
        pool=DEFAULT_POOL_ID,
        ids=[m.device_id for m in machines],
        names=[m.machine_name for m in machines],
        versions=[m.machine_version for m in machines],
    )
