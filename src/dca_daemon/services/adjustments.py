"""Adjustments: a client's fiat balance, or what it is owed, corrected by hand, with a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import MAX_CASH_OUT_SATS
from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.money import MSATS_PER_SAT, fiat_text, parse_fiat, sats_text
from dca_daemon.domain.text import plain
from dca_daemon.ledger import accounts, journal
from dca_daemon.ledger.db import Database, execute, lock_pool, rows, scalar
from dca_daemon.ledger.pages import Conditions, anchor
from dca_daemon.ledger.postings.fiat_adjusted import fiat_adjusted
from dca_daemon.ledger.postings.sats_adjusted import sats_adjusted
from dca_daemon.services import clients, pools
from dca_daemon.services.audit import audit
from dca_daemon.services.pools import DEFAULT_POOL_ID, Pool

log = structlog.get_logger()

_SATS = re.compile(r"([+-]?)([0-9]{1,15})")
_MINUSES = str.maketrans("−–", "--")  # as they are pasted from a text


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for: `fiat` or `sats` as typed, signed. `pool` by id or name; None: the only one.

    `corrects` is what it follows, in the operator's words.
    """

    client: str
    reason: str
    fiat: str | None = None
    sats: str | None = None
    pool: str | None = None
    corrects: str | None = None


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An adjustment, with what stands before and after it (None where it is only listed).

    Of fiat: the client's balance in the pool, in minor units. Of sats: what it is owed less what it was paid
    ahead, in sats.
    """

    adjustment_id: int | None  # None: a preview
    client_id: int
    client: str
    pool: Pool | None
    amount_minor: int | None
    amount_sats: int | None
    before: int | None
    after: int | None
    reason: str
    corrects: str | None
    at: datetime | None = None
    actor: str | None = None

    @property
    def amount_text(self) -> str:
        """For people, with its sign."""
        amount = self.amount_sats if self.amount_minor is None else self.amount_minor
        assert amount is not None
        return f"{'−' if amount < 0 else '+'}{self.text(abs(amount))}"

    def text(self, amount: int) -> str:
        """An amount in its unit, for people."""
        return sats_text(amount) if self.pool is None else fiat_text(amount, self.pool.currency)


async def preview(db: Database, wish: Wish) -> Adjustment:
    """What it would do. Raises `InputError`; changes nothing."""
    async with db.transaction() as conn:
        return await _check(conn, wish)


async def apply(db: Database, wish: Wish, *, actor: str) -> Adjustment:
    """Books it. Raises `InputError`; a balance never goes below zero."""

    async def work(conn: AsyncConnection) -> Adjustment:
        wanted = await _check(conn, wish)
        now: datetime = await scalar(conn, "SELECT now()")
        adjustment_id: int = await scalar(conn, "SELECT nextval(pg_get_serial_sequence('adjustment', 'id'))")
        distribution_id = None
        if wanted.pool is not None:
            entry_id = await _post_fiat(conn, adjustment_id, wanted, now, actor)
        else:
            entry_id = await _post_sats(conn, adjustment_id, wanted, now, actor)
            if wanted.amount_sats is not None and wanted.amount_sats > 0:
                distribution_id = await _owe(conn, entry_id, wanted, now)
        await execute(
            conn,
            """INSERT INTO adjustment (id, client_id, pool_id, amount_minor, amount_sats, reason, corrects,
                                       entry_id, distribution_id, actor)
               OVERRIDING SYSTEM VALUE
               VALUES (:id, :client, :pool, :minor, :sats, :reason, :corrects, :entry, :distribution, :actor)""",
            id=adjustment_id,
            client=wanted.client_id,
            pool=None if wanted.pool is None else wanted.pool.pool_id,
            minor=wanted.amount_minor,
            sats=wanted.amount_sats,
            reason=wanted.reason,
            corrects=wanted.corrects,
            entry=entry_id,
            distribution=distribution_id,
            actor=actor,
        )
        await audit(
            conn,
            actor=actor,
            action="client.adjust",
            subject=f"client:{wanted.client_id}",
            before={_name(wanted): wanted.before},
            after={_name(wanted): wanted.after, "adjustment_id": adjustment_id, "corrects": wanted.corrects},
            reason=wanted.reason,
        )
        return replace(wanted, adjustment_id=adjustment_id, at=now, actor=actor)

    done = await db.run(work)
    log.info(
        "client.adjusted",
        adjustment_id=done.adjustment_id,
        client_id=done.client_id,
        amount_minor=done.amount_minor,
        amount_sats=done.amount_sats,
        reason=done.reason,
    )
    return done


def _name(wanted: Adjustment) -> str:
    return "owed_sats" if wanted.pool is None else "balance_minor"


async def _check(conn: AsyncConnection, wish: Wish) -> Adjustment:
    """What is asked for, under the locks that keep it true until the transaction ends."""
    reason = wish.reason.strip()
    if not reason:
        raise InputError("an adjustment needs a reason", remedy="add --reason", field="reason")
    if (wish.fiat is None) == (wish.sats is None):
        field = "fiat" if wish.fiat is None else "sats"
        raise InputError("adjust either the fiat balance or the sats", remedy="give --fiat or --sats", field=field)
    if wish.sats is not None and wish.pool is not None:
        raise InputError("sats are in no pool", remedy="leave --pool away", field="pool")
    client_id = await clients.find(conn, wish.client)
    await clients.refuse_erased(conn, client_id)
    name = await scalar(conn, "SELECT name FROM client WHERE id = :id", id=client_id)
    corrects = (wish.corrects or "").strip() or None
    if wish.sats is not None:
        amount_sats = _parse_sats(wish.sats)
        before = await _owed_sats(conn, client_id)
        return Adjustment(
            None, client_id, name, None, None, amount_sats, before, before + amount_sats, reason, corrects
        )
    assert wish.fiat is not None
    await clients.refuse_receiver(conn, client_id, "has no fiat balance")
    where = await pools.find(conn, wish.pool)
    amount_minor = _parse_signed_fiat(wish.fiat, where.currency)
    await lock_pool(conn, where.pool_id)
    before = await _balance_minor(conn, client_id, where)
    if before + amount_minor < 0:
        raise ConflictError(
            f"{name} has only {fiat_text(before, where.currency)} left in pool {where.name!r}:"
            f" no balance goes below zero",
            field="fiat",
        )
    after = before + amount_minor
    return Adjustment(None, client_id, name, where, amount_minor, None, before, after, reason, corrects)


def _parse_sats(text: str) -> int:
    found = _SATS.fullmatch(text.strip().translate(_MINUSES))
    if found is None:
        remedy = "write it like +1500 or -1500"
        raise InputError(f"{plain(text)!r} is not a number of sats", remedy=remedy, field="sats")
    sats = int(f"{found[1]}{found[2]}")
    if not 0 < abs(sats) <= MAX_CASH_OUT_SATS:
        most = sats_text(MAX_CASH_OUT_SATS)
        raise InputError(f"an adjustment is 1 to {most}, not {plain(text)}", field="sats")
    return sats


def _parse_signed_fiat(text: str, currency: str) -> int:
    typed = text.strip().translate(_MINUSES)
    amount = typed.removeprefix("-").removeprefix("+") if typed[1:2].isdigit() else typed
    minor = parse_fiat(amount, currency, field="fiat")
    return -minor if typed.startswith("-") else minor


async def _balance_minor(conn: AsyncConnection, client_id: int, where: Pool) -> int:
    name = accounts.client_fiat(client_id, where.pool_id, where.currency).name
    return -(await scalar(conn, "SELECT balance FROM account WHERE name = :name", name=name) or 0)


async def _owed_sats(conn: AsyncConnection, client_id: int) -> int:
    """What it is owed and not in a payout, less what it was paid ahead."""
    msat: int = await scalar(
        conn,
        """SELECT -coalesce(sum(balance), 0)::bigint FROM account
            WHERE client_id = :client AND purpose IN ('client-payable', 'client-credit')""",
        client=client_id,
    )
    return msat // MSATS_PER_SAT


async def _post_fiat(
    conn: AsyncConnection, adjustment_id: int, wanted: Adjustment, now: datetime, actor: str
) -> int:
    assert wanted.pool is not None and wanted.amount_minor is not None
    entry = fiat_adjusted(
        adjustment_id=adjustment_id,
        client_id=wanted.client_id,
        pool_id=wanted.pool.pool_id,
        currency=wanted.pool.currency,
        amount_minor=wanted.amount_minor,
        happened_at=now,
        actor=actor,
    )
    return (await journal.post(conn, [entry]))[0]


async def _post_sats(
    conn: AsyncConnection, adjustment_id: int, wanted: Adjustment, now: datetime, actor: str
) -> int:
    assert wanted.amount_sats is not None
    entry = sats_adjusted(
        adjustment_id=adjustment_id,
        client_id=wanted.client_id,
        amount_sats=wanted.amount_sats,
        happened_at=now,
        actor=actor,
    )
    return (await journal.post(conn, [entry]))[0]


async def _owe(conn: AsyncConnection, entry_id: int, wanted: Adjustment, now: datetime) -> int:
    """A distribution with one record, which is paid like any other."""
    distribution_id: int = await scalar(
        conn,
        # In a pool where the client has, or had, cash; it matters to nothing but how it is listed.
        """WITH d AS (
               INSERT INTO distribution (kind, pool_id, entry_id, total_sats, principal_sats, commission_sats,
                      uncovered_sats, fiat_minor, charge_minor, uncovered_minor, client_count, happened_at, reason)
               VALUES ('adjustment', coalesce((SELECT min(pool_id) FROM account WHERE client_id = :client
                                                  AND purpose = 'client-fiat'), :default_pool),
                       :entry, :sats, :sats, 0, 0, 0, 0, 0, 1, :now, :reason) RETURNING id)
           INSERT INTO distribution_record (type, distribution_id, client_id, sats, fiat_minor, state)
           SELECT 'manual', id, :client, :sats, 0, 'owed' FROM d RETURNING distribution_id""",
        client=wanted.client_id,
        default_pool=DEFAULT_POOL_ID,
        entry=entry_id,
        sats=wanted.amount_sats,
        now=now,
        reason=wanted.reason,
    )
    return distribution_id


async def list_all(db: Database, client: str, *, limit: int = 50, after: int | None = None) -> list[Adjustment]:
    """A client's adjustments, the newest first, from after the adjustment `after` on. Raises `NotFoundError`."""
    conditions = Conditions()
    conditions.given("a.id < :after", after=after)
    async with db.transaction() as conn:
        if after is not None:
            await anchor(conn, "adjustment", "SELECT id FROM adjustment WHERE id = :after", after)
        found = await rows(
            conn,
            f"""SELECT a.*, c.name AS client, p.name AS pool_name, p.currency
                  FROM adjustment a JOIN client c ON c.id = a.client_id LEFT JOIN pool p ON p.id = a.pool_id
                 WHERE a.client_id = :client AND {conditions.all}
                 ORDER BY a.id DESC LIMIT :limit""",  # noqa: S608 - every part stands here
            client=await clients.find(conn, client),
            limit=limit,
            **conditions.values,
        )
    return [
        Adjustment(
            adjustment_id=r.id,
            client_id=r.client_id,
            client=r.client,
            pool=None if r.pool_id is None else Pool(r.pool_id, r.pool_name, r.currency),
            amount_minor=r.amount_minor,
            amount_sats=r.amount_sats,
            before=None,
            after=None,
            reason=r.reason,
            corrects=r.corrects,
            at=r.at,
            actor=r.actor,
        )
        for r in found
    ]
