"""Pools: machines whose cash is shared, in one currency. A cash-out is shared within its machine's pool only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import ConfigError, ConflictError, InputError, NotFoundError, at_field
from dca_daemon.domain.money import minor_digits
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, execute, lock_pool, one, rows
from dca_daemon.services.audit import audit

log = structlog.get_logger()

DEFAULT_POOL_ID = 1
MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class Pool:
    """Machines whose cash is shared, in one currency."""

    pool_id: int
    name: str
    currency: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a machine stands. `awaiting`: nobody has decided yet whether that is right."""

    pool: Pool
    awaiting: bool = False


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


async def add(db: Database, *, name: str, currency: str, actor: str) -> Pool:
    """Opens another pool. Raises `InputError` for a name that is taken or none, and an unknown currency."""
    name, currency = clean_name(name, "the pool"), currency.strip().upper()
    with at_field("currency"):
        minor_digits(currency)
    if name.isdigit():
        raise InputError("a pool's name can't be a number: it would be taken for another pool's id", field="name")

    async def work(conn: AsyncConnection) -> Pool:
        await pool(conn, DEFAULT_POOL_ID)
        # The default pool was given its id, so the sequence knows nothing of it.
        await execute(conn, "LOCK TABLE pool IN SHARE ROW EXCLUSIVE MODE")
        if await one(conn, "SELECT id FROM pool WHERE lower(name) = lower(:name)", name=name) is not None:
            raise ConflictError(
                f"there is a pool {name!r} already", remedy="see: dca-daemon pool list", field="name"
            )
        added = await one(
            conn,
            """INSERT INTO pool (id, name, currency) SELECT max(id) + 1, :name, :currency FROM pool
               RETURNING id, name, currency""",
            name=name,
            currency=currency,
        )
        await audit(
            conn,
            actor=actor,
            action="pool.add",
            subject=f"pool:{added.id}",
            after={"name": name, "currency": currency},
        )
        return Pool(added.id, added.name, added.currency)

    added = await db.run(work)
    log.info("pool.added", pool_id=added.pool_id, name=added.name, currency=added.currency)
    return added


def clean_name(text: str, what: str) -> str:
    """A name as a person typed it, on one line. Raises `InputError` for none, and one that is too long."""
    name = " ".join(text.split())
    if not name or not name.isprintable() or len(name) > MAX_NAME:
        remedy = f"use 1 to {MAX_NAME} characters"
        raise InputError(f"{plain(text)!r} is no name for {what}", remedy=remedy, field="name")
    return name


async def pool(conn: AsyncConnection, pool_id: int) -> Pool:
    """One pool. Raises `ConfigError` when the default pool has not been opened yet."""
    found = await one(conn, "SELECT id, name, currency FROM pool WHERE id = :id", id=pool_id)
    if found is None:
        raise ConfigError(
            "the books have no pool yet", remedy="set pool.currency, then run: dca-daemon db upgrade"
        )
    return Pool(found.id, found.name, found.currency)


async def find(conn: AsyncConnection, reference: str | None) -> Pool:
    """The pool that a person named, by id or name; None is the default pool. Raises `NotFoundError`."""
    if reference is None:
        return await pool(conn, DEFAULT_POOL_ID)
    found = await one(
        conn,
        """SELECT id, name, currency FROM pool WHERE id::text = :text OR lower(name) = lower(:text)
            ORDER BY id::text <> :text LIMIT 1""",
        text=" ".join(reference.split()),
    )
    if found is None:
        raise NotFoundError(
            f"there is no pool {plain(reference)!r}", remedy="see: dca-daemon pool list", field="pool"
        )
    return Pool(found.id, found.name, found.currency)


async def require_currency(conn: AsyncConnection, where: Pool, currency: str | None) -> None:
    """Raises `InputError`, which names the pools in that currency, unless the pool is in it."""
    wanted = where.currency if currency is None else currency.strip().upper()
    if wanted == where.currency:
        return
    others = await rows(conn, "SELECT name FROM pool WHERE currency = :code ORDER BY id", code=wanted)
    names = ", ".join(repr(r.name) for r in others)
    raise InputError(
        f"the pool {where.name!r} is in {where.currency}, not in {plain(wanted)}",
        remedy=f"pools in {wanted}: {names} (--pool)" if names else f"no pool is in {plain(wanted)}",
        field="currency",
    )


async def find_machine(conn: AsyncConnection, reference: str) -> str:
    """The device id of the machine that a person named, by name, or by that id or the beginning of it.

    Raises `NotFoundError`, and `ConflictError` where several are called so.
    """
    text = " ".join(reference.split())
    found = await rows(
        conn,
        """SELECT device_id FROM machine
            WHERE device_id = :text OR lower(name) = lower(:text)
               OR (length(:text) >= 6 AND starts_with(device_id, :text)) ORDER BY device_id LIMIT 2""",
        text=text,
    )
    if not found:
        raise NotFoundError(
            f"there is no machine {plain(reference)!r}", remedy="see: dca-daemon machine list", field="machine"
        )
    if len(found) > 1:
        remedy = "give more of the device id: machine list"
        raise ConflictError(f"several machines are called {plain(reference)!r}", remedy=remedy, field="machine")
    return str(found[0].device_id)


def require_decided(place: Place, device_id: str) -> None:
    """Raises `ConflictError` for a machine whose pool nobody has decided yet."""
    if place.awaiting:
        raise ConflictError(
            f"the machine {plain(device_id)} is new, and nobody has decided on its pool yet",
            remedy="dca-daemon machine accept, or machine move",
        )


async def lock_place(conn: AsyncConnection, device_id: str) -> Place:
    """Where a machine stands: it stays there, and its pool's balances stand still, until the transaction ends."""
    found = await _lock_machines(conn, [device_id])
    r = found[device_id]
    await lock_pool(conn, r.id)
    return Place(Pool(r.id, r.name, r.currency), r.awaiting_pool)


async def pools_of_machines(
    conn: AsyncConnection, source_rows: Iterable[SourceRow], *, new_wait: bool = False
) -> Mapping[str, Place]:
    """Where each row's machine stands, by device id. Machines that are new, or renamed, are recorded.

    With `new_wait` a new machine waits for a decision. None of them moves until this transaction ends. Comes
    before the pools' locks: who moves a machine takes both in that order too.
    """
    machines = {row.device_id: row for row in source_rows}
    known = await _lock_machines(conn, list(machines))
    stale = [
        row
        for device_id, row in sorted(machines.items())
        if device_id not in known
        or (row.machine_name or known[device_id].machine) != known[device_id].machine
        or (row.machine_version or known[device_id].version) != known[device_id].version
    ]
    if stale:
        await _record_machines(conn, stale, new_wait)
        known = await _lock_machines(conn, list(machines))
    return {device_id: Place(Pool(r.id, r.name, r.currency), r.awaiting_pool) for device_id, r in known.items()}


async def _lock_machines(conn: AsyncConnection, device_ids: list[str]) -> dict[str, Any]:
    found = await rows(
        conn,
        # Locked apart from the join: after a wait the join would be with the pool of before.
        """WITH m AS (SELECT device_id, name, version, pool_id, awaiting_pool FROM machine
                       WHERE device_id = ANY(:ids) ORDER BY device_id FOR KEY SHARE)
           SELECT m.device_id, m.name AS machine, m.version, m.awaiting_pool, p.id, p.name, p.currency
             FROM m JOIN pool p ON p.id = m.pool_id""",
        ids=device_ids,
    )
    return {r.device_id: r for r in found}


async def _record_machines(conn: AsyncConnection, machines: list[SourceRow], new_wait: bool) -> None:
    await pool(conn, DEFAULT_POOL_ID)
    await execute(
        conn,
        """INSERT INTO machine (device_id, name, version, pool_id, awaiting_pool)
           SELECT id, name, version, :pool, :awaiting
             FROM unnest(CAST(:ids AS text[]), CAST(:names AS text[]), CAST(:versions AS text[]))
                  AS m (id, name, version)
           ON CONFLICT (device_id) DO UPDATE
              SET name = coalesce(excluded.name, machine.name),
                  version = coalesce(excluded.version, machine.version)""",
        pool=DEFAULT_POOL_ID,
        awaiting=new_wait,
        ids=[m.device_id for m in machines],
        names=[m.machine_name for m in machines],
        versions=[m.machine_version for m in machines],
    )
