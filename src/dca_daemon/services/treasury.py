"""The treasury: coins arrive in the ATM's own wallet, payouts leave from the source wallet.

What adds up, in msat: received = paid + fees + losses + owed + kept − credits, where kept is the house's net and
credits are what clients received ahead of the books.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import BooksError, InputError
from dca_daemon.domain.money import MAX_SATS, MSATS_PER_SAT, sats_text
from dca_daemon.ledger import journal
from dca_daemon.ledger.db import Database, execute, for_sums, one, rows, scalar
from dca_daemon.ledger.pages import Conditions, anchor
from dca_daemon.ledger.postings.treasury_moved import treasury_moved
from dca_daemon.services.audit import audit

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Owed:
    """What is to be paid from the source wallet."""

    clients_sats: int  # payable now
    gathered_sats: int  # commission that is not payable yet
    in_flight_sats: int  # reserved by payouts that have not ended
    credits_sats: int  # received by clients ahead of the books
    to_pay_sats: int  # payable, gathered and in flight, less the credits that will be used up by it


@dataclass(frozen=True, slots=True)
class Totals:
    """All of it, ever, in msat: what came in, and where it is."""

    received_msat: int
    paid_clients_msat: int
    paid_receivers_msat: int  # wallets that only receive commission
    fees_msat: int
    losses_msat: int
    kept_msat: int  # the house's net, after fees and losses
    owed: Owed
    moved_msat: int  # into the source wallet, by the operator

    @property
    def paid_msat(self) -> int:
        """To whomever."""
        return self.paid_clients_msat + self.paid_receivers_msat

    @property
    def owed_msat(self) -> int:
        """Payable, gathered and in flight."""
        owed = self.owed
        return (owed.clients_sats + owed.gathered_sats + owed.in_flight_sats) * MSATS_PER_SAT

    @property
    def accounted_msat(self) -> int:
        """Where what was received is: the same number, or the books are wrong."""
        gone = self.paid_msat + self.fees_msat + self.losses_msat
        return gone + self.owed_msat + self.kept_msat - self.owed.credits_sats * MSATS_PER_SAT


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on one day, in msat."""

    day: date
    received_msat: int
    paid_msat: int
    fees_msat: int
    losses_msat: int
    kept_msat: int  # net
    moved_msat: int

    @property
    def owed_more_msat(self) -> int:
        """By how much what is owed grew (< 0: fell), credits taken off: what is left of the day's coins."""
        return self.received_msat - self.paid_msat - self.fees_msat - self.losses_msat - self.kept_msat


@dataclass(frozen=True, slots=True)
class Treasury:
    """The whole view; `days` oldest first."""

    totals: Totals
    days: tuple[Day, ...]
    reserve_sats: int

    def to_move_sats(self, source_balance_msat: int) -> int:
        """How many sats the source wallet lacks to pay all that is owed and keep its reserve."""
        wanted_msat = (self.totals.owed.to_pay_sats + self.reserve_sats) * MSATS_PER_SAT
        return max(0, -((source_balance_msat - wanted_msat) // MSATS_PER_SAT))


@dataclass(frozen=True, slots=True)
class Move:
    """Sats that the operator moved into the source wallet (< 0: out of it)."""

    move_id: int
    sats: int
    fee_sats: int
    reason: str
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class MovePreview:
    """What the books say of both wallets before and after a move, in msat; and the last one."""

    atm_before_msat: int
    atm_after_msat: int
    source_before_msat: int
    source_after_msat: int
    last: Move | None


def midnight(days: int, zone: ZoneInfo) -> datetime:
    """When the first of the last so many days began, today being one of them."""
    today = datetime.now(zone).date()
    first = today - timedelta(days=min(days - 1, (today - today.min).days - 1))
    return datetime(first.year, first.month, first.day, tzinfo=zone)


async def show(db: Database, *, reserve_sats: int, zone: ZoneInfo, since: datetime | None = None) -> Treasury:
    """All of it, and by the zone's days from `since` on. Raises `BooksError` if it does not add up."""
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await for_sums(conn)
        totals = await _totals(conn)
        days = tuple([Day(**r._mapping) for r in await rows(conn, _DAYS, zone=zone.key, since=since)])
    if since is None:
        _check_days(totals, days)
    return Treasury(totals, days, reserve_sats)


async def _totals(conn: AsyncConnection) -> Totals:
    balances = {r.purpose: int(r.msat) for r in await rows(conn, _BALANCES)}
    facts = await one(conn, _FACTS)
    fees, losses = balances.get("fees", 0), balances.get("losses", 0)
    totals = Totals(
        received_msat=int(facts.received_sats) * MSATS_PER_SAT,
        paid_clients_msat=int(facts.paid_clients_sats) * MSATS_PER_SAT,
        paid_receivers_msat=int(facts.paid_receivers_sats) * MSATS_PER_SAT,
        fees_msat=fees,
        losses_msat=losses,
        kept_msat=-balances.get("house-sats", 0) - fees - losses,
        owed=Owed(
            clients_sats=int(facts.owed_sats),
            gathered_sats=int(facts.gathered_sats),
            in_flight_sats=-balances.get("payouts-in-flight", 0) // MSATS_PER_SAT,
            credits_sats=balances.get("client-credit", 0) // MSATS_PER_SAT,
            to_pay_sats=int(facts.to_pay_sats) + -balances.get("payouts-in-flight", 0) // MSATS_PER_SAT,
        ),
        moved_msat=int(facts.moved_sats) * MSATS_PER_SAT,
    )
    _check(totals, balances, move_fees_msat=int(facts.move_fee_sats) * MSATS_PER_SAT)
    return totals


def _check(totals: Totals, balances: dict[str, int], *, move_fees_msat: int) -> None:
    """What the records, payouts and moves come to must be what the ledger's accounts keep."""
    owed = totals.owed
    in_source_msat = (
        totals.moved_msat - totals.paid_msat - totals.losses_msat - (totals.fees_msat - move_fees_msat)
    )
    expected = {
        "coins-received": totals.received_msat - totals.moved_msat - move_fees_msat,
        "coins-source": in_source_msat,
        "client-payable": -(owed.clients_sats + owed.gathered_sats) * MSATS_PER_SAT,
    }
    for purpose, msat in expected.items():
        if balances.get(purpose, 0) != msat:
            raise BooksError(
                f"the treasury does not add up: {purpose} keeps {balances.get(purpose, 0)} msat, not {msat}",
                remedy="see: dca-daemon ledger verify",
            )
    if totals.accounted_msat != totals.received_msat:
        raise BooksError(
            f"the treasury does not add up: {totals.received_msat} msat came in, {totals.accounted_msat} are shown"
        )


def _check_days(totals: Totals, days: Sequence[Day]) -> None:
    for name in ("received_msat", "paid_msat", "fees_msat", "losses_msat", "kept_msat", "moved_msat"):
        by_day = sum(getattr(day, name) for day in days)
        if by_day != getattr(totals, name):
            raise BooksError(f"the treasury does not add up: {name} is {getattr(totals, name)}, by day {by_day}")


async def preview(db: Database, *, sats: int, fee_sats: int) -> MovePreview:
    """What a move would do. Raises `InputError` for amounts that make no sense."""
    _check_amounts(sats, fee_sats)
    async with db.transaction() as conn:
        return await _preview(conn, sats, fee_sats)


async def _preview(conn: AsyncConnection, sats: int, fee_sats: int) -> MovePreview:
    balances = {r.purpose: int(r.msat) for r in await rows(conn, _BALANCES)}
    atm, source = balances.get("coins-received", 0), balances.get("coins-source", 0)
    last = await one(conn, f"{_MOVES} ORDER BY id DESC LIMIT 1")
    return MovePreview(
        atm_before_msat=atm,
        atm_after_msat=atm - (sats + fee_sats) * MSATS_PER_SAT,
        source_before_msat=source,
        source_after_msat=source + sats * MSATS_PER_SAT,
        last=None if last is None else Move(**last._mapping),
    )


async def move(db: Database, *, sats: int, fee_sats: int, reason: str, actor: str) -> Move:
    """Writes down that the operator moved sats into the source wallet (< 0: back). Moves nothing itself.

    `fee_sats` is what the transfer cost. Raises `InputError`.
    """
    _check_amounts(sats, fee_sats)
    reason = reason.strip()
    if not reason:
        raise InputError("a move needs a reason", field="reason")

    async def work(conn: AsyncConnection) -> Move:
        before = await _preview(conn, sats, fee_sats)
        move_id = await scalar(conn, "SELECT nextval(pg_get_serial_sequence('treasury_move', 'id'))")
        now = await scalar(conn, "SELECT now()")
        entry = treasury_moved(move_id=move_id, sats=sats, fee_sats=fee_sats, happened_at=now, actor=actor)
        (entry_id,) = await journal.post(conn, [entry])
        await execute(
            conn,
            """INSERT INTO treasury_move (id, sats, fee_sats, reason, entry_id, at, actor)
               OVERRIDING SYSTEM VALUE VALUES (:id, :sats, :fee, :reason, :entry, :at, :actor)""",
            id=move_id,
            sats=sats,
            fee=fee_sats,
            reason=reason,
            entry=entry_id,
            at=now,
            actor=actor,
        )
        await audit(
            conn,
            actor=actor,
            action="treasury.move",
            subject=f"treasury-move:{move_id}",
            before={"atm_msat": before.atm_before_msat, "source_msat": before.source_before_msat},
            after={
                "sats": sats,
                "fee_sats": fee_sats,
                "atm_msat": before.atm_after_msat,
                "source_msat": before.source_after_msat,
            },
            reason=reason,
        )
        return Move(move_id, sats, fee_sats, reason, now, actor)

    done = await db.run(work)
    log.info("treasury.moved", move_id=done.move_id, sats=sats, fee_sats=fee_sats)
    return done


async def moves(db: Database, *, limit: int = 20, after: int | None = None) -> list[Move]:
    """The newest moves first, from after the move `after` on. Raises `NotFoundError` for one that is none."""
    conditions = Conditions()
    conditions.given("id < :after", after=after)
    async with db.transaction() as conn:
        if after is not None:
            await anchor(conn, "move", "SELECT id FROM treasury_move WHERE id = :after", after)
        query = f"{_MOVES} {conditions.where} ORDER BY id DESC LIMIT :limit"
        return [Move(**r._mapping) for r in await rows(conn, query, limit=limit, **conditions.values)]


def _check_amounts(sats: int, fee_sats: int) -> None:
    if sats == 0 or abs(sats) > MAX_SATS:
        raise InputError(f"{sats_text(sats)} can't be moved", field="sats")
    if not 0 <= fee_sats < abs(sats):
        raise InputError(
            f"a fee of {sats_text(fee_sats)} does not fit a move of {sats_text(abs(sats))}", field="fee_sats"
        )


_MOVES = "SELECT id AS move_id, sats, fee_sats, reason, at, actor FROM treasury_move"
_BALANCES = "SELECT purpose, sum(balance) AS msat FROM account WHERE unit = 'msat' GROUP BY purpose"
_FACTS = """
    SELECT (SELECT coalesce(sum(total_sats), 0) FROM distribution
             WHERE kind = 'cash-out' AND reversed_at IS NULL) AS received_sats,
           coalesce(paid.clients, 0) AS paid_clients_sats, coalesce(paid.receivers, 0) AS paid_receivers_sats,
           (SELECT coalesce(sum(sats), 0) FROM distribution_record WHERE state = 'owed') AS owed_sats,
           (SELECT coalesce(sum(sats), 0) FROM distribution_record WHERE state = 'gathered') AS gathered_sats,
           (SELECT coalesce(sum(greatest(0, msat) / 1000), 0) FROM (
                SELECT -sum(balance) AS msat FROM account
                 WHERE purpose IN ('client-payable', 'client-credit') GROUP BY client_id) c) AS to_pay_sats,
           (SELECT coalesce(sum(sats), 0) FROM treasury_move) AS moved_sats,
           (SELECT coalesce(sum(fee_sats), 0) FROM treasury_move) AS move_fee_sats
      FROM (SELECT sum(p.sats) FILTER (WHERE c.mode <> 'commission') AS clients,
                   sum(p.sats) FILTER (WHERE c.mode = 'commission') AS receivers
              FROM (SELECT client_id, sum(amount_sats) AS sats FROM payout WHERE state = 'settled'
                     GROUP BY client_id) p
              JOIN client c ON c.id = p.client_id) paid"""
# Cash-outs, fixed runs and payouts by their own rows, which are fewer than their postings; the rare rest by the
# five accounts that tell of it. What is owed follows. All days must come to what the ledger keeps: `_check_days`.
_DAYS = """
    SELECT day, CAST(sum(received) AS bigint) AS received_msat, CAST(sum(paid) AS bigint) AS paid_msat,
           CAST(sum(fees) AS bigint) AS fees_msat, CAST(sum(losses) AS bigint) AS losses_msat,
           CAST(sum(kept) AS bigint) AS kept_msat, CAST(sum(moved) AS bigint) AS moved_msat
      FROM (SELECT CAST(happened_at AT TIME ZONE :zone AS date) AS day,
                   1000 * coalesce(sum(total_sats) FILTER (WHERE kind = 'cash-out'), 0) AS received, 0 AS paid,
                   0 AS fees, 0 AS losses,
                   1000 * sum(CASE kind WHEN 'cash-out' THEN commission_sats - commission_shared_sats
                                                           + uncovered_sats
                                        ELSE uncovered_sats - principal_sats END) AS kept, 0 AS moved
              FROM distribution
             WHERE kind IN ('cash-out', 'fixed')
               AND happened_at >= coalesce(CAST(:since AS timestamptz), '-infinity') GROUP BY 1
            UNION ALL
            SELECT CAST(settled_at AT TIME ZONE :zone AS date), 0, 1000 * sum(amount_sats), sum(fee_msat), 0,
                   -sum(fee_msat), 0
              FROM payout
             WHERE state = 'settled' AND settled_at >= coalesce(CAST(:since AS timestamptz), '-infinity')
               AND amount_sats > 0 GROUP BY 1
            UNION ALL
            SELECT CAST(d.happened_at AT TIME ZONE :zone AS date),
                   coalesce(sum(d.amount) FILTER (WHERE d.purpose = 'coins-received' AND NOT d.move), 0),
                   coalesce(-sum(d.amount) FILTER (
                       WHERE NOT d.move AND d.purpose IN ('coins-source', 'fees', 'losses')), 0),
                   coalesce(sum(d.amount) FILTER (WHERE d.purpose = 'fees'), 0),
                   coalesce(sum(d.amount) FILTER (WHERE d.purpose = 'losses'), 0),
                   coalesce(-sum(d.amount) FILTER (WHERE d.purpose IN ('house-sats', 'fees', 'losses')), 0),
                   coalesce(sum(d.amount) FILTER (WHERE d.purpose = 'coins-source' AND d.move), 0)
              FROM (SELECT e.happened_at, a.purpose, p.amount, e.template = 'treasury-moved' AS move
                      FROM journal_entry e
                     CROSS JOIN LATERAL (SELECT * FROM posting WHERE entry_id = e.id OFFSET 0) p  -- by its index
                      JOIN account a ON a.id = p.account_id
                     WHERE e.template IN ('reversal', 'sats-adjusted', 'payout-written-off', 'treasury-moved')
                       AND e.happened_at >= coalesce(CAST(:since AS timestamptz), '-infinity')
                       AND a.purpose IN ('coins-received', 'coins-source', 'house-sats', 'fees', 'losses')) d
             GROUP BY 1) x
     GROUP BY day ORDER BY day"""
