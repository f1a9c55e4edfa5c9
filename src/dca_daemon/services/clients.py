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
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, constraint, execute, int_array, one, rows, scalar
from dca_daemon.ledger.pages import as_id
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind, Wallet
from dca_daemon.services import client_lists
from dca_daemon.services.audit import AuditEntry, audit
from dca_daemon.services.audit import list_all as list_audited
from dca_daemon.services.client_lists import ClientOrder
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
    erased_at: datetime | None = None  # since when it is history, without its personal data


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
    info = await check_new(db, wallet, name, destination)
    added = await add_checked(db, keys, name=name, mode=mode, destination=destination, info=info, actor=actor)
    return added, info


async def check_new(db: Database, wallet: Wallet, name: str, destination: Destination) -> DestinationInfo:
    """What the destination of a client to be answers; no transaction is open meanwhile. Raises as `add` does."""
    name = checked_name(name)
    async with db.transaction() as conn:
        await _refuse_name_taken(conn, name)
    return await wallet.check_destination(destination)


async def add_checked(
    db: Database,
    keys: KeyRing,
    *,
    name: str,
    mode: Mode,
    destination: Destination,
    info: DestinationInfo,
    actor: str,
) -> ClientView:
    """Adds a client whose destination has answered with `info`. Raises `InputError`."""
    name = checked_name(name)

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
    return await show(db, str(client_id))


def checked_name(name: str) -> str:
    """The name as it is kept. Raises `InputError` for one that a client can't have."""
    name = " ".join(name.split())
    if not name or len(name) > NAME_MAX_CHARS or not name.isprintable():
        raise InputError(f"a client's name has 1 to {NAME_MAX_CHARS} printable characters", field="name")
    if name.isdecimal():
        remedy = "a number would be taken for a client's id"
        raise InputError(f"{name!r} is no name for a client", remedy=remedy, field="name")
    return name


def _name_taken(name: str) -> ConflictError:
    text = f"there is a client named {name!r} already"
    return ConflictError(text, remedy="choose a name of its own", field="name")


async def _refuse_name_taken(conn: AsyncConnection, name: str) -> None:
    if await one(conn, "SELECT 1 FROM client WHERE lower(name) = lower(:name)", name=name):
        raise _name_taken(name)


async def find(conn: AsyncConnection, reference: str) -> int:
    """The id of the client that a person named by id or by name. Raises `NotFoundError`."""
    text = reference.strip()
    found = await one(
        conn,
        """SELECT id FROM client WHERE id = CAST(:number AS bigint)
            UNION SELECT id FROM client WHERE lower(name) = lower(:name)""",
        number=as_id(text),
        name=text,
    )
    if found is None:
        raise NotFoundError(
            f"there is no client {plain(reference)!r}", remedy="see: dca-daemon client list", field="client"
        )
    return int(found.id)


async def refuse_erased(conn: AsyncConnection, client_id: int) -> None:
    """Raises `ConflictError` for a client whose personal data were erased: nothing of it changes any more."""
    erased_at = await scalar(conn, "SELECT erased_at FROM client WHERE id = :id", id=client_id)
    if erased_at is not None:
        raise ConflictError(
            f"client {client_id} was erased on {erased_at:%Y-%m-%d}: it is history",
            remedy="somebody who comes back is a new client: dca-daemon client add",
            field="client",
        )


async def refuse_receiver(conn: AsyncConnection, client_id: int, what: str) -> None:
    """Raises `InputError` for a wallet that only receives commission: it `what` (can have no deposit); and as
    `refuse_erased` does."""
    await refuse_erased(conn, client_id)
    found = await one(conn, "SELECT name, mode FROM client WHERE id = :id", id=client_id)
    if found.mode == Mode.COMMISSION:
        raise InputError(f"{found.name!r} only receives commission: it {what}", field="client")


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
        await refuse_erased(conn, client_id)
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


async def changes(db: Database, reference: str, *, limit: int = 50, after: int | None = None) -> list[AuditEntry]:
    """What was changed of a client, by whom and why; the newest first, from after the change `after` on."""
    async with db.transaction() as conn:
        client_id = await find(conn, reference)
    return await list_audited(db, subject=f"client:{client_id}", limit=limit, after=after)


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
    info = await check_destination(db, wallet, reference, destination)
    return await set_checked_destination(db, keys, reference, destination, info, actor=actor, reason=reason)


async def check_destination(
    db: Database, wallet: Wallet, reference: str, destination: Destination
) -> DestinationInfo:
    """What another destination of a client answers; no transaction is open meanwhile.

    Raises `NotFoundError` or a `WalletError`.
    """
    async with db.transaction() as conn:
        await refuse_erased(conn, await find(conn, reference))
    return await wallet.check_destination(destination)


async def set_checked_destination(
    db: Database,
    keys: KeyRing,
    reference: str,
    destination: Destination,
    info: DestinationInfo,
    *,
    actor: str,
    reason: str | None = None,
) -> ClientView:
    """The same with a destination that has answered with `info`."""

    async def work(conn: AsyncConnection) -> int:
        client_id = await find(conn, reference)
        await refuse_erased(conn, client_id)
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


async def list_all(
    db: Database,
    *,
    text: str | None = None,
    mode: Mode | None = None,
    status: Status | None = None,
    order: ClientOrder = ClientOrder.ID,
    limit: int | None = None,
    after: int | None = None,
) -> list[ClientView]:
    """The clients, from after the client `after` on; not the wallets that only receive commission.

    `text` is a part of the name. Raises `NotFoundError` for an `after` that is none.
    """
    async with db.transaction() as conn:
        ids = await client_lists.page_ids(
            conn, text=text, mode=mode, status=status, order=order, limit=limit, after=after
        )
        return await _views(conn, ids)


async def show(db: Database, reference: str) -> ClientView:
    """One client, by id or name. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        return (await _views(conn, [await find(conn, reference)]))[0]


async def _views(conn: AsyncConnection, ids: list[int]) -> list[ClientView]:
    """The clients with these ids, in that order."""
    balances: dict[int, list[PoolBalance]] = {}
    for r in await rows(conn, client_lists.BALANCES, ids=int_array(ids)):
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
            erased_at=r.erased_at,
        )
        for r in await rows(conn, client_lists.VIEW, ids=int_array(ids))
    ]


async def history(
    db: Database, reference: str, *, limit: int = 50, after: int | None = None
) -> list[Mapping[str, Any]]:
    """The newest distribution records of a client, with the payout that paid each.

    They go on after the record `after`. Raises `NotFoundError`.
    """
    async with db.transaction() as conn:
        client_id = await find(conn, reference)
        return await client_lists.records(conn, client_id, limit=limit, after=after)


def as_dict(view: ClientView) -> dict[str, Any]:
    """Plain data of a view."""
    return asdict(view)
