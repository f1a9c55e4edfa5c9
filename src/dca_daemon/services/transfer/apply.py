"""Puts the clients of a file into the books: all of them in one transaction, once, or none. Pays nothing."""

from __future__ import annotations

import json
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import BooksError, ConflictError, InputError, WalletError
from dca_daemon.ledger.db import Database, constraint, execute, lock_pool, rows, scalar
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Wallet
from dca_daemon.services.audit import audit
from dca_daemon.services.importing.apply import NOTE, add_deposit, import_client, post_deposits, post_openings
from dca_daemon.services.importing.receivers import Receiver
from dca_daemon.services.transfer.plan import Coming, Stake, TransferPlan, conflicts

log = structlog.get_logger()


async def check_receivers(wallet: Wallet, made: TransferPlan) -> None:
    """Asks each destination, as `client add` does; who does not answer is a problem. Pays nothing."""
    for one in made.clients:
        try:
            info = await wallet.check_destination(one.receiver.destination)
        except (WalletError, InputError) as error:
            made.problems.append(f"{one.place}.destination: {error.message}")
        else:
            one.receiver = Receiver(one.receiver.destination, info)


async def apply(db: Database, keys: KeyRing, made: TransferPlan, *, origin: str, actor: str) -> int:
    """Imports all of them; the number of the import.

    Raises `InputError` while anything is wrong, `ConflictError` when one was imported before, or a name is taken
    meanwhile; `BooksError` when the books would not hold what was read. Nothing is changed then.
    """
    if made.problems or not made.clients:
        raise InputError("there is something to put right first, or nothing to import")

    async def work(conn: AsyncConnection) -> int:
        for pool_id in sorted({s.pool.pool_id for one in made.clients for s in (one.opening, *one.further)}):
            await lock_pool(conn, pool_id)
        against = await conflicts(conn, made)
        if against:
            raise ConflictError(against[0])
        summary = {"origin": origin, "clients": len(made.clients), "left_minor": made.left_minor()}
        import_id: int = await scalar(
            conn,
            "INSERT INTO import_run (source, actor, summary) VALUES (:s, :a, CAST(:j AS jsonb)) RETURNING id",
            s=made.source,
            a=actor,
            j=json.dumps(summary),
        )
        for one in made.clients:
            await _client(conn, keys, made.source, one, import_id, actor)
        await post_openings(conn, import_id, actor)
        await _compare(conn, made, import_id)
        await audit(conn, actor=actor, action="import.file", subject=f"import:{import_id}", after=summary)
        return import_id

    try:
        import_id = await db.run(work)
    except IntegrityError as error:
        if constraint(error) in ("client_name", "client_opening_source_external_id_key"):
            raise ConflictError("somebody changed the clients meanwhile: nothing was imported") from None
        raise
    log.info("import.done", import_id=import_id, source=made.source, clients=len(made.clients))
    return import_id


async def _client(
    conn: AsyncConnection, keys: KeyRing, source: str, one: Coming, import_id: int, actor: str
) -> None:
    where = one.opening.pool
    client_id = await import_client(conn, keys, one.theirs, one.receiver, where, import_id, source, actor)
    confirmed = []
    for stake in one.further:
        if stake.left_minor:
            confirmed.append(await add_deposit(conn, client_id, stake.pool, stake.left_minor, "confirmed", NOTE))
        for minor, note in stake.pending:
            await add_deposit(conn, client_id, stake.pool, minor, "pending", note)
    await post_deposits(conn, confirmed, actor)
    for stake in (one.opening, *one.further):
        await _amount(conn, client_id, stake, actor)
    if one.may_switch_mode or one.may_change_amount:
        await execute(
            conn,
            """INSERT INTO client_permission (client_id, may_switch_mode, may_change_amount)
               VALUES (:client, :mode, :amount)""",
            client=client_id,
            mode=one.may_switch_mode,
            amount=one.may_change_amount,
        )


async def _amount(conn: AsyncConnection, client_id: int, stake: Stake, actor: str) -> None:
    if stake.daily_minor is None:
        return
    await execute(
        conn,
        """INSERT INTO fixed_amount (client_id, pool_id, daily_minor, max_minor, actor)
           VALUES (:client, :pool, :daily, :most, :actor)""",
        client=client_id,
        pool=stake.pool.pool_id,
        daily=stake.daily_minor,
        most=stake.max_minor,
        actor=actor,
    )


async def _compare(conn: AsyncConnection, made: TransferPlan, import_id: int) -> None:
    """What the books hold now must be what was read, client by client and pool by pool, to the minor unit."""
    found = await rows(
        conn,
        """SELECT o.external_id, p.id AS pool_id, coalesce(-a.balance, 0) AS left_minor,
                  CAST(coalesce((SELECT sum(amount_minor) FROM deposit d WHERE d.client_id = o.client_id
                                    AND d.pool_id = p.id AND d.state = 'pending'), 0) AS bigint) AS pending_minor
             FROM client_opening o CROSS JOIN pool p
             LEFT JOIN account a ON a.client_id = o.client_id AND a.pool_id = p.id AND a.purpose = 'client-fiat'
            WHERE o.import_id = :i""",
        i=import_id,
    )
    written = {_figures(r.external_id, r.pool_id, r.left_minor, r.pending_minor) for r in found}
    read = {
        _figures(one.theirs.external_id, s.pool.pool_id, s.left_minor, sum(minor for minor, _ in s.pending))
        for one in made.clients
        for s in (one.opening, *one.further)
    }
    if {f for f in written if f[2:] != (0, 0)} != {f for f in read if f[2:] != (0, 0)}:
        raise BooksError("the imported balances are not what was read: nothing was imported")


def _figures(external_id: str, pool_id: int, left_minor: int, pending_minor: int) -> tuple[Any, ...]:
    return external_id, pool_id, left_minor, pending_minor
