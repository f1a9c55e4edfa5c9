"""Deposits: a client's notes, first recorded, then confirmed when they are in the machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.domain.money import fiat_text, parse_fiat
from dca_daemon.ledger import accounts, journal
from dca_daemon.ledger.db import Database, execute, lock_pool, one, rows, scalar
from dca_daemon.ledger.pages import Conditions, anchor
from dca_daemon.ledger.postings.deposit_confirmed import deposit_confirmed
from dca_daemon.ledger.postings.reversal import reversal
from dca_daemon.services import clients, pools
from dca_daemon.services.audit import audit

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DepositView:
    """A deposit; amounts in minor units."""

    deposit_id: int
    client_id: int
    client: str
    pool_id: int
    pool: str
    currency: str
    amount_minor: int
    state: str
    device_id: str | None
    note: str | None
    recorded_at: datetime
    confirmed_at: datetime | None
    voided_at: datetime | None
    void_reason: str | None


@dataclass(frozen=True, slots=True)
class BalanceChange:
    """What a deposit did to its client's fiat balance, in minor units."""

    deposit: DepositView
    before_minor: int
    after_minor: int


async def record(
    db: Database,
    *,
    client: str,
    amount: str,
    currency: str | None,
    note: str | None,
    actor: str,
    pool: str | None = None,
) -> DepositView:
    """Writes down that a client handed over notes; they count only once confirmed.

    `amount` as typed, in the pool's currency; without `pool` they belong to the default pool. Raises `InputError`.
    """

    async def work(conn: AsyncConnection) -> int:
        client_id = await clients.find(conn, client)
        await clients.refuse_receiver(conn, client_id, "can have no deposit")
        where = await pools.find(conn, pool)
        await pools.require_currency(conn, where, currency)
        amount_minor = parse_fiat(amount, where.currency, field="amount")
        deposit_id: int = await scalar(
            conn,
            """INSERT INTO deposit (client_id, pool_id, amount_minor, note)
               VALUES (:client, :pool, :amount, :note) RETURNING id""",
            client=client_id,
            pool=where.pool_id,
            amount=amount_minor,
            note=note,
        )
        await audit(
            conn,
            actor=actor,
            action="deposit.record",
            subject=f"deposit:{deposit_id}",
            after={
                "client_id": client_id,
                "pool_id": where.pool_id,
                "amount_minor": amount_minor,
                "currency": where.currency,
            },
            reason=note,
        )
        return deposit_id

    deposit = await show(db, await db.run(work))
    log.info("deposit.recorded", deposit_id=deposit.deposit_id, client_id=deposit.client_id)
    return deposit


async def confirm(db: Database, deposit_id: int, *, actor: str, machine: str | None = None) -> BalanceChange:
    """Says that the notes are in the machine (which one, where that is told): the client's balance grows, once."""

    async def work(conn: AsyncConnection) -> BalanceChange:
        device_id = None if machine is None else await _machine(conn, deposit_id, machine)
        deposit = await _locked(conn, deposit_id)
        if deposit.state != "pending":
            raise ConflictError(f"deposit {deposit_id} is {deposit.state}, only a pending one can be confirmed")
        before = await _balance(conn, deposit)
        now = await scalar(
            conn,
            """UPDATE deposit SET state = 'confirmed', confirmed_at = now(), device_id = :device WHERE id = :id
               RETURNING confirmed_at""",
            id=deposit_id,
            device=device_id,
        )
        entry = deposit_confirmed(
            deposit_id=deposit_id,
            client_id=deposit.client_id,
            pool_id=deposit.pool_id,
            currency=deposit.currency,
            amount_minor=deposit.amount_minor,
            happened_at=now,
            actor=actor,
        )
        await journal.post(conn, [entry])
        await audit(
            conn,
            actor=actor,
            action="deposit.confirm",
            subject=f"deposit:{deposit_id}",
            before={"state": "pending", "balance_minor": before},
            after={
                "state": "confirmed",
                "balance_minor": before + deposit.amount_minor,
                "device_id": device_id,
            },
        )
        after = await _balance(conn, deposit)
        assert after == before + deposit.amount_minor
        return BalanceChange(await _view(conn, deposit_id), before, after)

    change = await db.run(work)
    log.info(
        "deposit.confirmed",
        deposit_id=deposit_id,
        client_id=change.deposit.client_id,
        amount_minor=change.deposit.amount_minor,
        balance_minor=change.after_minor,
    )
    return change


async def void(db: Database, deposit_id: int, *, reason: str, actor: str) -> BalanceChange:
    """Takes back a deposit that was entered by mistake.

    One that was confirmed is reversed in the books; that is refused when the client's balance no longer
    covers it, because part of it has bought bitcoin already.
    """
    if not reason.strip():
        raise InputError("voiding a deposit needs a reason", field="reason")

    async def work(conn: AsyncConnection) -> BalanceChange:
        deposit = await _locked(conn, deposit_id)
        if deposit.state == "void":
            raise ConflictError(f"deposit {deposit_id} is void already")
        before = await _balance(conn, deposit)
        if deposit.state == "confirmed":
            await _reverse(conn, deposit, before, reason, actor)
        await execute(
            conn,
            "UPDATE deposit SET state = 'void', voided_at = now(), void_reason = :reason WHERE id = :id",
            id=deposit_id,
            reason=reason.strip(),
        )
        after = await _balance(conn, deposit)
        await audit(
            conn,
            actor=actor,
            action="deposit.void",
            subject=f"deposit:{deposit_id}",
            before={"state": deposit.state, "balance_minor": before},
            after={"state": "void", "balance_minor": after},
            reason=reason.strip(),
        )
        return BalanceChange(await _view(conn, deposit_id), before, after)

    change = await db.run(work)
    log.info("deposit.voided", deposit_id=deposit_id, client_id=change.deposit.client_id)
    return change


async def _reverse(
    conn: AsyncConnection, deposit: DepositView, balance_minor: int, reason: str, actor: str
) -> None:
    if balance_minor < deposit.amount_minor:
        raise ConflictError(
            f"deposit {deposit.deposit_id} of {fiat_text(deposit.amount_minor, deposit.currency)} can't be "
            f"voided: {deposit.client} has only {fiat_text(balance_minor, deposit.currency)} left of it"
        )
    entry = await one(
        conn,
        "SELECT id FROM journal_entry WHERE idempotency_key = :key",
        key=f"deposit:{deposit.deposit_id}:confirmed",
    )
    original = journal.lines(
        (accounts.cash(deposit.pool_id, deposit.currency), deposit.amount_minor),
        (accounts.client_fiat(deposit.client_id, deposit.pool_id, deposit.currency), -deposit.amount_minor),
    )
    now = await scalar(conn, "SELECT now()")
    cause = f"deposit {deposit.deposit_id}: {reason.strip()}"
    await journal.post(
        conn,
        [reversal(entry_id=entry.id, reversed_lines=original, happened_at=now, actor=actor, cause=cause)],
    )


async def _machine(conn: AsyncConnection, deposit_id: int, machine: str) -> str:
    """The machine that the notes are in, held where it stands. Raises `InputError` for one of another pool."""
    deposit = await _view(conn, deposit_id)
    device_id = await pools.find_machine(conn, machine)
    place = await pools.lock_place(conn, device_id)
    pools.require_decided(place, device_id)
    if place.pool.pool_id != deposit.pool_id:
        raise InputError(
            f"deposit {deposit_id} is in the pool {deposit.pool!r}, the machine in {place.pool.name!r}",
            remedy="void the deposit, and record it with --pool",
            field="machine",
        )
    return device_id


async def _locked(conn: AsyncConnection, deposit_id: int) -> DepositView:
    """The deposit under its pool's lock, so that its client's balance stands still."""
    deposit = await _view(conn, deposit_id)
    await lock_pool(conn, deposit.pool_id)
    await one(conn, "SELECT id FROM deposit WHERE id = :id FOR UPDATE", id=deposit_id)
    return await _view(conn, deposit_id)


async def _balance(conn: AsyncConnection, deposit: DepositView) -> int:
    name = accounts.client_fiat(deposit.client_id, deposit.pool_id, deposit.currency).name
    return -(await scalar(conn, "SELECT balance FROM account WHERE name = :name", name=name) or 0)


_VIEW = """
    SELECT d.id AS deposit_id, d.client_id, c.name AS client, d.pool_id, p.name AS pool, p.currency,
           d.amount_minor, d.state, d.device_id, d.note, d.recorded_at, d.confirmed_at, d.voided_at, d.void_reason
      FROM deposit d JOIN client c ON c.id = d.client_id JOIN pool p ON p.id = d.pool_id
"""


async def _view(conn: AsyncConnection, deposit_id: int) -> DepositView:
    found = await one(conn, f"{_VIEW} WHERE d.id = :id", id=deposit_id)
    if found is None:
        raise NotFoundError(f"there is no deposit {deposit_id}", remedy="see: dca-daemon deposit list")
    return DepositView(**found._mapping)


async def show(db: Database, deposit_id: int) -> DepositView:
    """One deposit. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        return await _view(conn, deposit_id)


async def list_all(
    db: Database,
    *,
    client: str | None = None,
    state: str | None = None,
    pool: str | None = None,
    machine: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    after: int | None = None,
) -> list[DepositView]:
    """The newest deposits first, from after the deposit `after` on; recorded from `since` until before `until`.

    `client`, `pool` and `machine` as a person names them. Raises `NotFoundError`.
    """
    async with db.transaction() as conn:
        conditions = Conditions()
        if client is not None:
            conditions.always("d.client_id = :client", client=await clients.find(conn, client))
        if pool is not None:
            conditions.always("d.pool_id = :pool", pool=(await pools.find(conn, pool)).pool_id)
        if machine is not None:
            conditions.always("d.device_id = :machine", machine=await pools.find_machine(conn, machine))
        conditions.given("d.state = :state", state=state)
        conditions.given("d.recorded_at >= :since", since=since)
        conditions.given("d.recorded_at < :until", until=until)
        if after is not None:
            at = await anchor(conn, "deposit", "SELECT recorded_at, id FROM deposit WHERE id = :after", after)
            conditions.always("(d.recorded_at, d.id) < (:at, :id)", at=at.recorded_at, id=at.id)
        found = await rows(
            conn,
            f"{_VIEW} {conditions.where} ORDER BY d.recorded_at DESC, d.id DESC LIMIT :limit",
            limit=limit,
            **conditions.values,
        )
        return [DepositView(**r._mapping) for r in found]


async def count_by_state(db: Database) -> dict[str, int]:
    """How many are pending. The others only grow in number: they are not counted."""
    async with db.transaction() as conn:
        return {"pending": int(await scalar(conn, "SELECT count(*) FROM deposit WHERE state = 'pending'"))}
