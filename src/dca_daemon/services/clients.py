"""Clients: who has cash in the machines, and where their sats go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.ledger.db import Database, constraint, execute, one, rows, scalar
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind, Wallet
from dca_daemon.services.audit import AuditEntry, audit
from dca_daemon.services.audit import list_all as list_audited
from dca_daemon.services.destinations import describe, save_destination

log = structlog.get_logger()

NAME_MAX_CHARS = 80


class Mode(StrEnum):
    """How a client buys: with each cash-out, or a fixed amount a day. A receiver only gets commission."""

    FLOW = "flow"
    FIXED = "fixed"
    COMMISSION = "commission"


class Status(StrEnum):
    """An inactive client takes no part in new cash-outs; what it is owed stays owed."""

    ACTIVE = "active"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class PoolBalance:
    """What a client has in one pool, in minor units of its currency."""

    pool_id: int
    pool: str
    currency: str
    balance_minor: int
    pending_minor: int
    deposited_minor: int


@dataclass(frozen=True, slots=True)
class ClientView:
    """A client with what it has in, is owed, and has received. The invoice key is never shown."""

    client_id: int
    name: str
    mode: Mode
    status: Status
    destination_kind: DestinationKind
    destination: str
    created_at: datetime
    balances: tuple[PoolBalance, ...]
    owed_sats: int
    in_payout_sats: int
    settled_sats: int
    credit_sats: int  # received ahead of the books: used up by what it is owed next
    records: int


async def add(
    db: Database,
    wallet: Wallet,
    keys: KeyRing,
    *,
    name: str,
    mode: Mode,
    destination: Destination,
    actor: str,
) -> tuple[ClientView, DestinationInfo]:
    """Adds a client after its destination has answered. Raises `InputError` or a `WalletError`."""
    name = checked_name(name)
    async with db.transaction() as conn:
        await _refuse_name_taken(conn, name)
    info = await wallet.check_destination(destination)

    async def work(conn: AsyncConnection) -> int:
        destination_id = await save_destination(conn, keys, destination, info)
        client_id: int = await scalar(
            conn,
            """INSERT INTO client (name, mode, destination_id) VALUES (:name, :mode, :destination)
               RETURNING id""",
            name=name,
            mode=mode,
            destination=destination_id,
        )
        shown = describe(destination.kind, destination.address, destination.wallet_id, info.name)
        await audit(
            conn,
            actor=actor,
            action="client.add",
            subject=f"client:{client_id}",
            after={"name": name, "mode": mode, "destination": shown},
        )
        return client_id

    try:
        client_id = await db.run(work)
    except IntegrityError as error:
        if constraint(error) == "client_name":
            raise _name_taken(name) from None
        raise
    log.info("client.added", client_id=client_id, mode=mode, destination=destination.kind)
    return await show(db, str(client_id)), info


def checked_name(name: str) -> str:
    """The name as it is kept. Raises `InputError` for one that a client can't have."""
    name = " ".join(name.split())
    if not name or len(name) > NAME_MAX_CHARS or not name.isprintable():
        raise InputError(f"a client's name has 1 to {NAME_MAX_CHARS} printable characters")
    if name.isdecimal():
        raise InputError(f"{name!r} is no name for a client", remedy="a number would be taken for a client's id")
    return name


def _name_taken(name: str) -> ConflictError:
    return ConflictError(f"there is a client named {name!r} already", remedy="choose a name of its own")


async def _refuse_name_taken(conn: AsyncConnection, name: str) -> None:
    if await one(conn, "SELECT 1 FROM client WHERE lower(name) = lower(:name)", name=name):
        raise _name_taken(name)


async def find(conn: AsyncConnection, reference: str) -> int:
    """The id of the client that a person named by id or by name. Raises `NotFoundError`."""
    found = await one(
        conn,
        "SELECT id FROM client WHERE id::text = :reference OR lower(name) = lower(:reference)",
        reference=reference.strip(),
    )
    if found is None:
        raise NotFoundError(f"there is no client {reference!r}", remedy="see: dca-daemon client list")
    return int(found.id)


async def refuse_receiver(conn: AsyncConnection, client_id: int, what: str) -> None:
    """Raises `InputError` for a wallet that only receives commission: it `what` (can have no deposit)."""
    found = await one(conn, "SELECT name, mode FROM client WHERE id = :id", id=client_id)
    if found.mode == Mode.COMMISSION:
        raise InputError(f"{found.name!r} only receives commission: it {what}")


async def set_mode(
    db: Database, reference: str, mode: Mode, *, actor: str, reason: str | None = None
) -> ClientView:
    """Changes how a client buys from now on."""
    if mode is Mode.COMMISSION:
        raise InputError("no client becomes a receiver", remedy="add one: dca-daemon commission add-receiver")
    async with db.transaction() as conn:
        await refuse_receiver(conn, await find(conn, reference), "has no other mode")
    return await _set(db, reference, "mode", mode, actor=actor, action="client.set-mode", reason=reason)


async def set_status(
    db: Database, reference: str, status: Status, *, actor: str, reason: str | None = None
) -> ClientView:
    """Activates or deactivates a client. What it is owed stays owed."""
    return await _set(db, reference, "status", status, actor=actor, action=f"client.set-{status}", reason=reason)


async def rename(db: Database, reference: str, name: str, *, actor: str, reason: str | None = None) -> ClientView:
    """Gives a client another name."""
    name = checked_name(name)
    try:
        return await _set(db, reference, "name", name, actor=actor, action="client.rename", reason=reason)
    except IntegrityError as error:
        if constraint(error) == "client_name":
            raise _name_taken(name) from None
        raise


async def _set(
    db: Database, reference: str, column: str, value: str, *, actor: str, action: str, reason: str | None
) -> ClientView:
    assert column in ("mode", "status", "name")

    async def work(conn: AsyncConnection) -> int:
        client_id = await find(conn, reference)
        before = await scalar(conn, f"SELECT {column} FROM client WHERE id = :id FOR UPDATE", id=client_id)  # noqa: S608
        if before == value:
            return client_id
        await execute(conn, f"UPDATE client SET {column} = :value WHERE id = :id", id=client_id, value=value)  # noqa: S608
        await audit(
            conn,
            actor=actor,
            action=action,
            subject=f"client:{client_id}",
            before={column: before},
            after={column: value},
            reason=reason,
        )
        return client_id

    return await show(db, str(await db.run(work)))


async def changes(db: Database, reference: str, *, limit: int = 50) -> list[AuditEntry]:
    """What was changed of a client, by whom and why; the newest first."""
    async with db.transaction() as conn:
        client_id = await find(conn, reference)
    return await list_audited(db, subject=f"client:{client_id}", limit=limit)


async def under_way_sats(db: Database, client_id: int) -> int:
    """What payouts that have been reserved will still pay to the destination that they were reserved for."""
    async with db.transaction() as conn:
        total = await scalar(
            conn,
            """SELECT coalesce(sum(amount_sats), 0) FROM payout
                WHERE client_id = :id AND state IN ('reserved', 'invoiced', 'submitted', 'unknown', 'held')""",
            id=client_id,
        )
        return int(total)


async def set_destination(
    db: Database,
    wallet: Wallet,
    keys: KeyRing,
    reference: str,
    destination: Destination,
    *,
    actor: str,
    reason: str | None = None,
) -> ClientView:
    """Pays a client elsewhere from the next payout on, after the new destination has answered.

    A payout that is under way keeps the destination that it was reserved for.
    """
    async with db.transaction() as conn:
        await find(conn, reference)
    info = await wallet.check_destination(destination)

    async def work(conn: AsyncConnection) -> int:
        client_id = await find(conn, reference)
        before = await one(
            conn,
            """SELECT d.kind, d.name, d.address, d.wallet_id
                 FROM client c JOIN destination d ON d.id = c.destination_id
                WHERE c.id = :id FOR UPDATE OF c""",
            id=client_id,
        )
        destination_id = await save_destination(conn, keys, destination, info)
        await execute(conn, "UPDATE client SET destination_id = :d WHERE id = :id", d=destination_id, id=client_id)
        await audit(
            conn,
            actor=actor,
            action="client.set-destination",
            subject=f"client:{client_id}",
            before={"destination": describe(before.kind, before.address, before.wallet_id, before.name)},
            after={
                "destination": describe(destination.kind, destination.address, destination.wallet_id, info.name)
            },
            reason=reason,
        )
        return client_id

    return await show(db, str(await db.run(work)))


_VIEW = """
    SELECT c.id, c.name, c.mode, c.status, c.created_at, d.kind, d.name AS destination_name, d.address,
           d.wallet_id,
           coalesce(r.owed, 0) AS owed, coalesce(r.in_payout, 0) AS in_payout,
           coalesce(r.settled, 0) AS settled, coalesce(r.records, 0) AS records,
           coalesce((SELECT a.balance / 1000 FROM account a
                      WHERE a.client_id = c.id AND a.purpose = 'client-credit'), 0) AS credit
      FROM client c JOIN destination d ON d.id = c.destination_id
      LEFT JOIN (SELECT client_id, count(*) AS records,
                        sum(sats) FILTER (WHERE state = 'owed') AS owed,
                        sum(sats) FILTER (WHERE state = 'in-payout') AS in_payout,
                        sum(sats) FILTER (WHERE state = 'settled') AS settled
                   FROM distribution_record
                  WHERE CAST(:id AS bigint) IS NULL OR client_id = :id GROUP BY client_id) r
        ON r.client_id = c.id
     WHERE CASE WHEN CAST(:id AS bigint) IS NULL THEN c.mode <> 'commission' ELSE c.id = :id END
     ORDER BY c.id
"""
_BALANCES = """
    SELECT c.id AS client_id, p.id AS pool_id, p.name AS pool, p.currency,
           coalesce(-a.balance, 0) AS balance,
           coalesce(d.pending, 0) AS pending, coalesce(d.confirmed, 0) AS confirmed
      FROM client c CROSS JOIN pool p
      LEFT JOIN account a ON a.client_id = c.id AND a.pool_id = p.id AND a.purpose = 'client-fiat'
      LEFT JOIN (SELECT client_id, pool_id, sum(amount_minor) FILTER (WHERE state = 'pending') AS pending,
                        sum(amount_minor) FILTER (WHERE state = 'confirmed') AS confirmed
                   FROM deposit GROUP BY client_id, pool_id) d
        ON d.client_id = c.id AND d.pool_id = p.id
     WHERE (CAST(:id AS bigint) IS NULL OR c.id = :id) AND (a.id IS NOT NULL OR d.client_id IS NOT NULL)
     ORDER BY c.id, p.id
"""


async def list_all(db: Database) -> list[ClientView]:
    """All clients, by id; not the wallets that only receive commission."""
    async with db.transaction() as conn:
        return await _views(conn, None)


async def show(db: Database, reference: str) -> ClientView:
    """One client, by id or name. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        return (await _views(conn, await find(conn, reference)))[0]


async def _views(conn: AsyncConnection, client_id: int | None) -> list[ClientView]:
    balances: dict[int, list[PoolBalance]] = {}
    for r in await rows(conn, _BALANCES, id=client_id):
        balance = PoolBalance(r.pool_id, r.pool, r.currency, r.balance, int(r.pending), int(r.confirmed))
        balances.setdefault(r.client_id, []).append(balance)
    return [
        ClientView(
            client_id=r.id,
            name=r.name,
            mode=Mode(r.mode),
            status=Status(r.status),
            destination_kind=DestinationKind(r.kind),
            destination=describe(r.kind, r.address, r.wallet_id, r.destination_name),
            created_at=r.created_at,
            balances=tuple(balances.get(r.id, ())),
            owed_sats=int(r.owed),
            in_payout_sats=int(r.in_payout),
            settled_sats=int(r.settled),
            credit_sats=r.credit,
            records=r.records,
        )
        for r in await rows(conn, _VIEW, id=client_id)
    ]


async def history(db: Database, reference: str, *, limit: int = 50) -> list[Mapping[str, Any]]:
    """The newest distribution records of a client, with the payout that paid each."""
    async with db.transaction() as conn:
        client_id = await find(conn, reference)
        found = await rows(
            conn,
            """SELECT r.id AS record_id, r.type, r.sats, r.fiat_minor, p.currency, r.state, d.booked_at,
                      d.happened_at, d.cash_out_id, CAST(pr.payout_id AS text) AS payout_id
                 FROM distribution_record r
                 JOIN distribution d ON d.id = r.distribution_id
                 JOIN pool p ON p.id = d.pool_id
                 LEFT JOIN payout_record pr ON pr.record_id = r.id AND pr.active
                WHERE r.client_id = :id ORDER BY r.id DESC LIMIT :limit""",
            id=client_id,
            limit=limit,
        )
        return [dict(r._mapping) for r in found]


def as_dict(view: ClientView) -> dict[str, Any]:
    """Plain data of a view."""
    return asdict(view)
