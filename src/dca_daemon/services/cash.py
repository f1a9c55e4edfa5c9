"""Notes that come into the machines or leave them otherwise than by deposits and cash-outs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.money import fiat_text, parse_fiat
from dca_daemon.ledger import accounts, journal
from dca_daemon.ledger.accounts import Account
from dca_daemon.ledger.db import Database, execute, lock_pool, scalar
from dca_daemon.ledger.journal import Entry
from dca_daemon.ledger.postings.cash_refilled import cash_refilled
from dca_daemon.ledger.postings.cash_removed import cash_removed
from dca_daemon.ledger.postings.fiat_given_back import fiat_given_back
from dca_daemon.services import clients, pools
from dca_daemon.services.audit import audit
from dca_daemon.services.decisions import a_reason
from dca_daemon.services.pools import Pool

log = structlog.get_logger()


class MovementKind(StrEnum):
    """Why notes came or went."""

    REFILL = "refill"
    REMOVAL = "removal"
    GIVE_BACK = "give-back"


@dataclass(frozen=True, slots=True)
class Movement:
    """Notes that came or went, and what the books say of the pool before and after. Minor units.

    `client_minor` is what the client of a give-back has in.
    """

    kind: MovementKind
    pool: Pool
    device_id: str | None
    client_id: int | None
    client: str | None
    amount_minor: int
    reason: str
    cash_before_minor: int
    cash_after_minor: int
    house_before_minor: int
    house_after_minor: int
    client_before_minor: int | None
    client_after_minor: int | None


async def refill(
    db: Database,
    amount: str,
    *,
    machine: str | None,
    pool: str | None,
    reason: str,
    actor: str,
    rehearse: bool = False,
) -> Movement:
    """The operator puts notes of its own in. Raises `InputError`."""
    move = _Move(MovementKind.REFILL, amount, machine, pool, None, a_reason(reason), actor)
    return await _do(db, move, rehearse)


async def remove(
    db: Database,
    amount: str,
    *,
    machine: str | None,
    pool: str | None,
    reason: str,
    actor: str,
    rehearse: bool = False,
) -> Movement:
    """The operator takes notes out. Raises `ConflictError` for more than the pool's machines hold by the books."""
    move = _Move(MovementKind.REMOVAL, amount, machine, pool, None, a_reason(reason), actor)
    return await _do(db, move, rehearse)


async def give_back(
    db: Database,
    client: str,
    amount: str,
    *,
    machine: str | None,
    pool: str | None,
    reason: str,
    actor: str,
    rehearse: bool = False,
) -> Movement:
    """A client gets back notes. Raises `ConflictError` for more than it has left in that pool."""
    move = _Move(MovementKind.GIVE_BACK, amount, machine, pool, client, a_reason(reason), actor)
    return await _do(db, move, rehearse)


@dataclass(frozen=True, slots=True)
class _Move:
    """As a person typed it."""

    kind: MovementKind
    amount: str
    machine: str | None
    pool: str | None
    client: str | None
    reason: str
    actor: str


async def _do(db: Database, move: _Move, rehearse: bool) -> Movement:
    async def work(conn: AsyncConnection) -> Movement:
        return await _book(conn, move)

    if rehearse:
        return await db.rehearse(work)
    done = await db.run(work)
    told = {"pool_id": done.pool.pool_id, "device_id": done.device_id, "amount_minor": done.amount_minor}
    if done.kind is MovementKind.GIVE_BACK:
        log.info("deposit.given-back", client_id=done.client_id, **told)
    else:
        log.info("cash.refilled" if done.kind is MovementKind.REFILL else "cash.removed", **told)
    return done


async def _book(conn: AsyncConnection, move: _Move) -> Movement:
    where, device_id = await _place(conn, move)
    amount_minor = parse_fiat(move.amount, where.currency, field="amount")
    client_id = None if move.client is None else await clients.find(conn, move.client)
    name = await scalar(conn, "SELECT name FROM client WHERE id = :id", id=client_id)
    before = await _balances(conn, where, client_id)
    _require_enough(move, where, name, amount_minor, before)
    at = await scalar(conn, "SELECT now()")
    movement_id = await scalar(conn, "SELECT nextval(pg_get_serial_sequence('cash_movement', 'id'))")
    entry = _entry(move, movement_id, where, client_id, amount_minor, at)
    (entry_id,) = await journal.post(conn, [entry])
    await execute(
        conn,
        """INSERT INTO cash_movement
                  (id, kind, pool_id, device_id, client_id, amount_minor, reason, entry_id, at, actor)
           OVERRIDING SYSTEM VALUE
           VALUES (:id, :kind, :pool, :device, :client, :amount, :reason, :entry, :at, :actor)""",
        id=movement_id,
        kind=move.kind,
        pool=where.pool_id,
        device=device_id,
        client=client_id,
        amount=amount_minor,
        reason=move.reason,
        entry=entry_id,
        at=at,
        actor=move.actor,
    )
    after = await _balances(conn, where, client_id)
    await audit(
        conn,
        actor=move.actor,
        action="deposit.give-back" if move.client is not None else f"cash.{move.kind}",
        subject=f"pool:{where.pool_id}" if client_id is None else f"client:{client_id}",
        before=before.as_dict(),
        after={**after.as_dict(), "amount_minor": amount_minor, "device_id": device_id},
        reason=move.reason,
    )
    return Movement(
        kind=move.kind,
        pool=where,
        device_id=device_id,
        client_id=client_id,
        client=name,
        amount_minor=amount_minor,
        reason=move.reason,
        cash_before_minor=before.cash_minor,
        cash_after_minor=after.cash_minor,
        house_before_minor=before.house_minor,
        house_after_minor=after.house_minor,
        client_before_minor=before.client_minor,
        client_after_minor=after.client_minor,
    )


async def _place(conn: AsyncConnection, move: _Move) -> tuple[Pool, str | None]:
    """The pool, under its lock, and the machine where one was named."""
    if move.machine is None:
        where = await pools.find(conn, move.pool)
        await lock_pool(conn, where.pool_id)
        return where, None
    device_id = await pools.find_machine(conn, move.machine)
    place = await pools.lock_place(conn, device_id)
    pools.require_decided(place, device_id)
    if move.pool is not None and (await pools.find(conn, move.pool)).pool_id != place.pool.pool_id:
        text = f"that machine is in the pool {place.pool.name!r}"
        raise InputError(text, remedy="leave --pool out", field="pool")
    return place.pool, device_id


def _entry(
    move: _Move, movement_id: int, where: Pool, client_id: int | None, amount_minor: int, at: datetime
) -> Entry:
    if client_id is not None:
        return fiat_given_back(
            movement_id=movement_id,
            client_id=client_id,
            pool_id=where.pool_id,
            currency=where.currency,
            amount_minor=amount_minor,
            happened_at=at,
            actor=move.actor,
        )
    posting: Callable[..., Entry] = cash_refilled if move.kind is MovementKind.REFILL else cash_removed
    return posting(
        movement_id=movement_id,
        pool_id=where.pool_id,
        currency=where.currency,
        amount_minor=amount_minor,
        happened_at=at,
        actor=move.actor,
    )


@dataclass(frozen=True, slots=True)
class _Balances:
    cash_minor: int
    house_minor: int
    client_minor: int | None

    def as_dict(self) -> dict[str, int | None]:
        return {"cash_minor": self.cash_minor, "house_minor": self.house_minor, "client_minor": self.client_minor}


async def _balances(conn: AsyncConnection, where: Pool, client_id: int | None) -> _Balances:
    async def kept(account: Account) -> int:
        return int(await scalar(conn, "SELECT balance FROM account WHERE name = :name", name=account.name) or 0)

    client = None
    if client_id is not None:
        client = -await kept(accounts.client_fiat(client_id, where.pool_id, where.currency))
    return _Balances(
        await kept(accounts.cash(where.pool_id, where.currency)),
        -await kept(accounts.house_fiat(where.pool_id, where.currency)),
        client,
    )


def _require_enough(move: _Move, where: Pool, name: str | None, amount_minor: int, before: _Balances) -> None:
    amount = fiat_text(amount_minor, where.currency)
    if before.client_minor is not None and amount_minor > before.client_minor:
        left = fiat_text(before.client_minor, where.currency)
        raise ConflictError(
            f"{name} has only {left} left in the pool {where.name!r}: {amount} can't be given back",
            field="amount",
        )
    if move.kind is MovementKind.REMOVAL and amount_minor > before.cash_minor:
        raise ConflictError(
            f"the machines of the pool {where.name!r} hold {fiat_text(before.cash_minor, where.currency)} by the "
            f"books: {amount} can't be taken out",
            remedy="was a refill not booked? dca-daemon cash refill",
            field="amount",
        )
