"""Puts clients and balances into scratch books, and brings these up to what has changed since."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.commission import Pay
from dca_daemon.domain.errors import ConflictError
from dca_daemon.ledger import journal
from dca_daemon.ledger.db import Database, execute, int_array, lock_pool, one, rows, scalar
from dca_daemon.ledger.postings.fiat_adjusted import fiat_adjusted
from dca_daemon.services.baseline import SOURCE
from dca_daemon.services.shadow.opening import Account, Change, Clients, Opening, ShareOfCommission

ACTOR = "shadow"
# Nobody answers there, and no key is in the scratch books: what they owe can't be paid, by anybody.
_NOWHERE = "nobody@shadow.invalid"
_STATE = """
    CREATE TABLE IF NOT EXISTS scratch_state (
        one     boolean PRIMARY KEY DEFAULT true CHECK (one),
        begun_at timestamptz NOT NULL DEFAULT now(),
        about   jsonb NOT NULL DEFAULT '{}',  -- for people: with which settings, and whose clients
        marks   jsonb,  -- up to where the balances were read, by client and pool
        given   jsonb NOT NULL DEFAULT '{}',  -- what came to each balance but by cash-outs, in minor units
        changes bigint NOT NULL DEFAULT 0
    );
    INSERT INTO scratch_state DEFAULT VALUES ON CONFLICT DO NOTHING
"""


async def begin(db: Database, about: dict[str, str]) -> None:
    """Makes room for what is remembered between runs, and notes whose clients and which rules it is about.

    Raises `ConflictError` when it was begun with others: its figures would be neither the ones' nor the others'.
    """
    async with db.transaction() as conn:
        for statement in _STATE.split(";\n    "):
            await conn.exec_driver_sql(statement)
        before = await scalar(conn, "SELECT about FROM scratch_state FOR UPDATE")
        for key, value in before.items():
            if about.get(key) != value:
                raise ConflictError(
                    f"the shadow was begun with {key.replace('_', ' ')} {value}, not {about.get(key)}",
                    remedy="go on as before, or drop it first: dca-daemon shadow discard",
                )
        await execute(conn, "UPDATE scratch_state SET about = CAST(:about AS jsonb)", about=json.dumps(about))


async def follow(db: Database, clients: Clients) -> Opening:
    """Brings the scratch books up to what the clients' source says now. Raises `DatabaseError`."""

    async def work(conn: AsyncConnection) -> Opening:
        state = await one(conn, "SELECT marks FROM scratch_state FOR UPDATE")
        known = {r.name: r.id for r in await rows(conn, "SELECT lower(name) AS name, id FROM client")}
        opening = await clients.look(None if state.marks is None else _read(state.marks), known)
        await plant(conn, opening)
        await change(conn, opening, await _not_our_own(conn, opening.changes))
        await execute(
            conn, "UPDATE scratch_state SET marks = CAST(:m AS jsonb)", m=json.dumps(_written(opening.marks))
        )
        return opening

    return await db.run(work)


async def _not_our_own(conn: AsyncConnection, changes: Sequence[Change]) -> list[Change]:
    """Without those by cash-outs that the scratch books share themselves.

    Those that are history here, because they were paid out before it began, are the books' alone: the daemon may
    book them later than that, and a person may take them back.
    """
    theirs = [c.cash_out for c in changes if c.cash_out is not None]
    found = await rows(
        conn,
        """SELECT external_id FROM cash_out
            WHERE source = :source AND external_id = ANY(:ids) AND state = 'before-baseline'""",
        source=SOURCE,
        ids=theirs,
    )
    history = {r.external_id for r in found}
    return [c for c in changes if c.cash_out is None or c.cash_out in history]


async def plant(conn: AsyncConnection, opening: Opening) -> None:
    """Everything but the balances, set by set, under the ids that it has there."""
    await execute(
        conn,
        """INSERT INTO pool (id, name, currency)
           SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id integer, name text, currency text)
           ON CONFLICT (id) DO UPDATE SET name = excluded.name""",
        rows=json.dumps([{"id": p.pool_id, "name": p.name, "currency": p.currency} for p in opening.pools]),
    )
    await execute(
        conn,
        """INSERT INTO machine (device_id, name, pool_id, awaiting_pool)
           SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                      AS r (device_id text, name text, pool_id integer, awaiting boolean)
           ON CONFLICT (device_id) DO UPDATE
              SET pool_id = excluded.pool_id, awaiting_pool = excluded.awaiting_pool""",
        rows=json.dumps(
            [
                {"device_id": m.device_id, "name": m.name, "pool_id": m.pool_id, "awaiting": m.awaiting}
                for m in opening.machines
            ]
        ),
    )
    await _plant_members(conn, opening)
    await _plant_filters(conn, opening)
    await _plant_shares(conn, opening)


async def _plant_members(conn: AsyncConnection, opening: Opening) -> None:
    nowhere = await scalar(conn, "SELECT min(id) FROM destination")
    if nowhere is None:
        nowhere = await scalar(
            conn,
            "INSERT INTO destination (kind, address) VALUES ('lightning-address', :a) RETURNING id",
            a=_NOWHERE,
        )
    await execute(
        conn,
        """INSERT INTO client (id, name, mode, status, destination_id)
           SELECT r.*, :nowhere FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                      AS r (id bigint, name text, mode text, status text)
           ON CONFLICT (id) DO UPDATE SET name = excluded.name, mode = excluded.mode, status = excluded.status
            WHERE (client.name, client.mode, client.status) <> (excluded.name, excluded.mode, excluded.status)""",
        nowhere=nowhere,
        rows=json.dumps(
            [{"id": m.client_id, "name": m.name, "mode": m.mode, "status": m.status} for m in opening.members]
        ),
    )
    await execute(  # who is no longer in the file
        conn,
        "UPDATE client SET status = 'inactive' WHERE status = 'active' AND id <> ALL(CAST(:ids AS bigint[]))",
        ids=int_array(m.client_id for m in opening.members),
    )


async def _plant_filters(conn: AsyncConnection, opening: Opening) -> None:
    await execute(
        conn,
        """UPDATE intake_filter SET removed_at = now(), removed_by = :actor
            WHERE removed_at IS NULL AND id <> ALL(CAST(:ids AS bigint[]))""",
        actor=ACTOR,
        ids=int_array(number for number, _, _ in opening.filters),
    )
    await execute(
        conn,
        """INSERT INTO intake_filter (id, kind, value, reason, created_by) OVERRIDING SYSTEM VALUE
           SELECT r.*, 'as in the books', :actor
             FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id bigint, kind text, value text)
           ON CONFLICT (id) DO NOTHING""",
        actor=ACTOR,
        rows=json.dumps([{"id": number, "kind": k, "value": v} for number, k, v in opening.filters]),
    )


async def _plant_shares(conn: AsyncConnection, opening: Opening) -> None:
    """The shares in force. When they are paid does not matter here: nothing is."""
    found = await rows(
        conn,
        """SELECT client_id, basis_points, active FROM commission_share
            WHERE version_id = (SELECT max(id) FROM commission_version) ORDER BY client_id""",
    )
    if [ShareOfCommission(*r) for r in found] == sorted(opening.shares, key=lambda s: s.client_id):
        return
    await execute(
        conn,
        """WITH v AS (INSERT INTO commission_version (pay, actor) VALUES (:pay, :actor) RETURNING id)
           INSERT INTO commission_share (version_id, client_id, basis_points, active)
           SELECT v.id, r.* FROM v, jsonb_to_recordset(CAST(:rows AS jsonb))
                                  AS r (client_id bigint, basis_points integer, active boolean)""",
        pay=Pay.AT_ONCE,
        actor=ACTOR,
        rows=json.dumps(
            [
                {"client_id": s.client_id, "basis_points": s.basis_points, "active": s.active}
                for s in opening.shares
            ]
        ),
    )


async def change(conn: AsyncConnection, opening: Opening, changes: Iterable[Change]) -> None:
    """Books what came to balances or left them; never more than a balance here has: it may be another than there.

    Each is booked as a correction of the balance is: the notes themselves are of no matter here.
    """
    sums: dict[Account, int] = defaultdict(int)
    for one_change in changes:
        sums[one_change.account] += one_change.minor
    if not any(sums.values()):
        return
    currencies = {pool.pool_id: pool.currency for pool in opening.pools}
    for pool_id in sorted({pool_id for _, pool_id in sums}):
        await lock_pool(conn, pool_id)
    balances = await _balances(conn)
    number: int = await scalar(conn, "SELECT changes FROM scratch_state FOR UPDATE")
    entries = []
    given: dict[str, int] = {}
    for account, minor in sorted(sums.items()):
        booked = max(minor, -balances.get(account, 0))
        if not booked:
            continue
        number += 1
        client_id, pool_id = account
        given[_key(account)] = booked
        entries.append(
            fiat_adjusted(
                adjustment_id=number,
                client_id=client_id,
                pool_id=pool_id,
                currency=currencies[pool_id],
                amount_minor=booked,
                happened_at=datetime.now(UTC),
                actor=ACTOR,
            )
        )
    if entries:
        await journal.post(conn, entries)
    await _remember(conn, given, number)


async def _balances(conn: AsyncConnection) -> dict[Account, int]:
    found = await rows(
        conn, "SELECT client_id, pool_id, -balance AS minor FROM account WHERE purpose = 'client-fiat'"
    )
    return {(r.client_id, r.pool_id): r.minor for r in found}


async def _remember(conn: AsyncConnection, given: dict[str, int], number: int) -> None:
    before = await scalar(conn, "SELECT given FROM scratch_state")
    total = {**before, **{key: before.get(key, 0) + minor for key, minor in given.items()}}
    await execute(
        conn,
        "UPDATE scratch_state SET changes = :n, given = CAST(:given AS jsonb)",
        n=number,
        given=json.dumps(total),
    )


def _key(account: Account) -> str:
    return f"{account[0]}:{account[1]}"


def _written(marks: Any) -> dict[str, int]:
    return {_key(account): mark for account, mark in marks.items()}


def _read(marks: dict[str, int]) -> dict[Account, int]:
    def account(key: str) -> Account:
        client_id, _, pool_id = key.partition(":")
        return int(client_id), int(pool_id)

    return {account(key): mark for key, mark in marks.items()}
