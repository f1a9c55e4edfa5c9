"""Puts imported clients into the books: all of them in one transaction, once, or none. Nothing is paid by it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import BooksError, ConflictError, InputError
from dca_daemon.ledger import journal
from dca_daemon.ledger.db import Database, constraint, execute, lock_pool, one, rows, scalar
from dca_daemon.ledger.postings.deposit_confirmed import deposit_confirmed
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services.audit import audit
from dca_daemon.services.baseline import SOURCE as LAMASSU
from dca_daemon.services.destinations import describe, save_destination
from dca_daemon.services.importing.receivers import Receiver
from dca_daemon.services.importing.satmachine import SOURCE, Plan, Theirs
from dca_daemon.services.pools import Pool, pool

log = structlog.get_logger()

NOTE = "opening balance"


@dataclass(frozen=True, slots=True)
class Imported:
    """One client as it is in our books now; amounts in minor units."""

    external_id: str
    client_id: int
    client: str
    deposited_minor: int
    converted_minor: int
    left_minor: int  # its fiat balance
    pending_minor: int
    received_sats: int


async def choose_pool(db: Database, reference: str | None, default_id: int) -> Pool:
    """The pool that they go into, by id or name; the default one. Raises `InputError` or `ConfigError`."""
    async with db.transaction() as conn:
        if reference is None:
            return await pool(conn, default_id)
        found = await one(
            conn,
            "SELECT id, name, currency FROM pool WHERE CAST(id AS text) = :x OR lower(name) = lower(:x)",
            x=reference.strip(),
        )
    if found is None:
        raise InputError(f"there is no pool {reference!r}")
    return Pool(found.id, found.name, found.currency)


async def conflicts(db: Database, plan: Plan) -> list[str]:
    """What in our own books stands against it: imported already, or a name that is taken."""
    async with db.transaction() as conn:
        return await _conflicts(conn, plan)


async def _conflicts(conn: AsyncConnection, plan: Plan) -> list[str]:
    theirs = plan.clients
    imported = await rows(
        conn,
        """SELECT external_id, import_id FROM client_opening
            WHERE source = :source AND external_id = ANY(:ids) ORDER BY external_id""",
        source=SOURCE,
        ids=[client.external_id for client in theirs],
    )
    taken = await rows(
        conn,
        "SELECT name FROM client WHERE lower(name) = ANY(SELECT lower(n) FROM unnest(CAST(:names AS text[])) n)",
        names=[client.name for client in theirs],
    )
    if imported:
        return [f"client {r.external_id!r}: it was imported already, by import {r.import_id}" for r in imported]
    return [
        *(f"there is a client named {r.name!r} in our books already" for r in taken),
        *await _distributed_twice(conn, plan),
    ]


async def _distributed_twice(conn: AsyncConnection, plan: Plan) -> list[str]:
    """Cash-outs that were shared there, and are, or may be, shared here too: the baseline was set too early."""
    found = await rows(
        conn,
        """SELECT external_id, state FROM cash_out
            WHERE source = :lamassu AND external_id = ANY(:ids) AND state IN ('distributed', 'due', 'review')
            ORDER BY external_id LIMIT 20""",
        lamassu=LAMASSU,
        ids=sorted(plan.cash_out_ids),
    )
    return [f"cash-out {r.external_id} was distributed there, and is {r.state} here" for r in found]


async def unknown_history(db: Database, plan: Plan) -> str | None:
    """A note when cash-outs that were distributed there are not recorded as history here: none may be again."""
    async with db.transaction() as conn:
        known = await scalar(
            conn,
            "SELECT count(*) FROM cash_out WHERE source = :lamassu AND external_id = ANY(:ids)",
            lamassu=LAMASSU,
            ids=sorted(plan.cash_out_ids),
        )
    unknown = len(plan.cash_out_ids) - known
    if not unknown:
        return None
    return (
        f"of {len(plan.cash_out_ids)} cash-outs that were distributed there, {unknown} are not in our books as "
        "history yet: set the baseline (dca-daemon lamassu baseline --set) before the daemon starts"
    )


async def apply(
    db: Database,
    keys: KeyRing,
    plan: Plan,
    chosen: Mapping[str, Receiver],
    where: Pool,
    *,
    origin: str,
    actor: str,
) -> tuple[int, list[Imported]]:
    """Imports all of them; the number of the import, and each as it stands in the books then.

    Raises `InputError` while anything is wrong, `ConflictError` when one was imported before; nothing is changed
    then. Raises `BooksError` when the books then would not hold what was read, to the minor unit.
    """
    if plan.problems or not plan.clients or any(c.external_id not in chosen for c in plan.clients):
        raise InputError("there is something to put right first, or nothing to import")

    async def work(conn: AsyncConnection) -> tuple[int, list[Imported]]:
        await lock_pool(conn, where.pool_id)
        against = await _conflicts(conn, plan)
        if against:
            raise ConflictError(against[0])
        import_id: int = await scalar(
            conn,
            "INSERT INTO import_run (source, actor, summary) VALUES (:s, :a, CAST(:j AS jsonb)) RETURNING id",
            s=SOURCE,
            a=actor,
            j=json.dumps({"origin": origin, "currency": plan.currency, **plan.sums()}),
        )
        for client in plan.clients:
            await import_client(conn, keys, client, chosen[client.external_id], where, import_id, SOURCE, actor)
        await post_openings(conn, import_id, actor)
        done = await _read_back(conn, import_id)
        _compare(plan, done)
        summary = {"origin": origin, "currency": plan.currency, **plan.sums()}
        await audit(conn, actor=actor, action=f"import.{SOURCE}", subject=f"import:{import_id}", after=summary)
        return import_id, done

    try:
        import_id, done = await db.run(work)
    except IntegrityError as error:
        if constraint(error) in ("client_name", "client_opening_source_external_id_key"):
            raise ConflictError("somebody changed the clients meanwhile: nothing was imported") from None
        raise
    log.info("import.done", import_id=import_id, source=SOURCE, clients=len(done))
    return import_id, done


async def import_client(
    conn: AsyncConnection,
    keys: KeyRing,
    theirs: Theirs,
    receiver: Receiver,
    where: Pool,
    import_id: int,
    source: str,
    actor: str,
) -> int:
    """One client with what it had in `source`; its opening is not in the journal yet. Its id here."""
    client_id: int = await scalar(
        conn,
        """INSERT INTO client (name, mode, status, destination_id) VALUES (:name, :mode, :status, :to)
           RETURNING id""",
        name=theirs.name,
        mode=theirs.mode,
        status=theirs.status,
        to=await save_destination(conn, keys, receiver.destination, receiver.info),
    )
    deposit_id = None
    if theirs.left_minor:
        deposit_id = await add_deposit(conn, client_id, where, theirs.left_minor, "confirmed", NOTE)
    for minor, note in theirs.pending:
        await add_deposit(conn, client_id, where, minor, "pending", note)
    if theirs.daily_minor is not None:
        await execute(
            conn,
            """INSERT INTO fixed_amount (client_id, pool_id, daily_minor, actor)
               VALUES (:client, :pool, :daily, :actor)""",
            client=client_id,
            pool=where.pool_id,
            daily=theirs.daily_minor,
            actor=actor,
        )
    opening = {
        "external_id": theirs.external_id,
        "pool_id": where.pool_id,
        "deposited_minor": theirs.deposited_minor,
        "converted_minor": theirs.converted_minor,
        "left_minor": theirs.left_minor,
        "received_sats": theirs.received_sats,
    }
    await execute(
        conn,
        """INSERT INTO client_opening (client_id, import_id, source, external_id, pool_id, deposited_minor,
                                       converted_minor, left_minor, received_sats, deposit_id)
           VALUES (:client, :import, :source, :external_id, :pool_id, :deposited_minor, :converted_minor,
                   :left_minor, :received_sats, :deposit)""",
        client=client_id,
        source=source,
        deposit=deposit_id,
        **{"import": import_id},
        **opening,
    )
    to = receiver.destination
    shown = describe(to.kind, to.address, to.wallet_id, receiver.info.name)
    after = {"name": theirs.name, "mode": theirs.mode, "status": theirs.status, "destination": shown, **opening}
    await audit(conn, actor=actor, action="client.import", subject=f"client:{client_id}", after=after)
    return client_id


async def add_deposit(
    conn: AsyncConnection, client_id: int, where: Pool, minor: int, state: str, note: str | None
) -> int:
    """A deposit's row; a confirmed one is not in the journal yet. Its id."""
    deposit_id: int = await scalar(
        conn,
        """INSERT INTO deposit (client_id, pool_id, amount_minor, state, note, confirmed_at)
           VALUES (:client, :pool, :minor, :state, :note, CASE WHEN :state = 'confirmed' THEN now() END)
           RETURNING id""",
        client=client_id,
        pool=where.pool_id,
        minor=minor,
        state=state,
        note=note,
    )
    return deposit_id


async def post_openings(conn: AsyncConnection, import_id: int, actor: str) -> None:
    """The opening balances of an import, as any confirmed deposit is booked."""
    found = await rows(
        conn, "SELECT deposit_id FROM client_opening WHERE import_id = :i AND deposit_id IS NOT NULL", i=import_id
    )
    await post_deposits(conn, [r.deposit_id for r in found], actor)


async def post_deposits(conn: AsyncConnection, deposit_ids: Sequence[int], actor: str) -> None:
    """Confirmed deposits of which only the rows are there."""
    found = await rows(
        conn,
        """SELECT d.id, d.client_id, d.amount_minor, d.confirmed_at, p.id AS pool_id, p.currency
             FROM deposit d JOIN pool p ON p.id = d.pool_id WHERE d.id = ANY(:ids) ORDER BY d.id""",
        ids=list(deposit_ids),
    )
    entries = [
        deposit_confirmed(
            deposit_id=r.id,
            client_id=r.client_id,
            pool_id=r.pool_id,
            currency=r.currency,
            amount_minor=r.amount_minor,
            happened_at=r.confirmed_at,
            actor=actor,
        )
        for r in found
    ]
    if entries:
        await journal.post(conn, entries)


async def _read_back(conn: AsyncConnection, import_id: int) -> list[Imported]:
    found = await rows(
        conn,
        """SELECT o.external_id, o.client_id, c.name AS client, o.deposited_minor, o.converted_minor,
                  o.received_sats, coalesce(-a.balance, 0) AS left_minor,
                  CAST(coalesce((SELECT sum(amount_minor) FROM deposit d
                                  WHERE d.client_id = o.client_id AND d.state = 'pending'), 0) AS bigint)
                      AS pending_minor
             FROM client_opening o JOIN client c ON c.id = o.client_id
             LEFT JOIN account a ON a.client_id = o.client_id AND a.pool_id = o.pool_id
                                AND a.purpose = 'client-fiat'
            WHERE o.import_id = :i ORDER BY o.client_id""",
        i=import_id,
    )
    return [Imported(**r._mapping) for r in found]


def _compare(plan: Plan, done: Sequence[Imported]) -> None:
    """What the books hold now must be what was read, client by client, to the minor unit and the sat."""
    read = {
        (c.external_id, c.deposited_minor, c.converted_minor, c.left_minor, c.pending_minor, c.received_sats)
        for c in plan.clients
    }
    written = {
        (d.external_id, d.deposited_minor, d.converted_minor, d.left_minor, d.pending_minor, d.received_sats)
        for d in done
    }
    if read != written or len(done) != len(plan.clients):
        raise BooksError("the imported balances are not what was read: nothing was imported")
