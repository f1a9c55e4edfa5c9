"""Books with a little of everything in them, for tests of what the database refuses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from dca_daemon.domain.commission import Pay
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.payouts import store
from dca_daemon.payouts.wallet import Invoice
from dca_daemon.services import adjustments, commission, reversals
from dca_daemon.services.commission import PayRule, Wish
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import client, success, value

EXPIRES = datetime(2100, 1, 1, tzinfo=UTC)


def made_up_invoice(payout_id: str, amount_sats: int = 1, wallet_id: str | None = "wallet") -> Invoice:
    """An invoice that nobody could pay; each payout id has its own."""
    return Invoice(
        bolt11=f"lnbc-{payout_id}",
        payment_hash=hashlib.sha256(payout_id.encode()).hexdigest(),
        amount_sats=amount_sats,
        expires_at=EXPIRES,
        wallet_id=wallet_id,
    )


async def reserve(db: Database, client_id: int) -> str | None:
    """A payout for what the client is owed, if anything."""
    found = await db.run(lambda conn: store.reserve(conn, client_id, max_sats=10**9, actor="test"))
    return None if found is None else found[0]


async def invoice(db: Database, payout_id: str) -> None:
    """The payout's made-up invoice is stored."""
    async with db.transaction() as conn:
        await store.invoiced(conn, await store.load(conn, payout_id), made_up_invoice(payout_id))


async def submit(db: Database, payout_id: str) -> None:
    """It is written down that the invoice is submitted."""
    async with db.transaction() as conn:
        await store.submitting(conn, await store.load(conn, payout_id))


async def settle(db: Database, payout_id: str, *, fee_msat: int = 7) -> None:
    """As if the wallets' records had proven it."""
    async with db.transaction() as conn:
        payout = await store.load(conn, payout_id)
        await store.settle(conn, payout, fee_msat=fee_msat, evidence={}, actor="test")


async def fail(db: Database, payout_id: str, outcome: PayoutState = PayoutState.FAILED) -> None:
    """As if it were proven that nothing moved."""
    async with db.transaction() as conn:
        payout = await store.load(conn, payout_id)
        await store.release(conn, payout, outcome, reason="test", actor="test")


@dataclass(frozen=True)
class Filled:
    """The ids: clients `a`, `b` (owed) and `c` (nothing); `a` has one payout settled and one invoiced."""

    a: int
    b: int
    c: int
    shared: int  # a distributed cash-out
    failed: int
    distribution: int
    settled: str
    failed_payout: str
    invoiced: str
    settled_record: int
    reserved_record: int
    owed_record: int


async def fill(db: Database) -> Filled:
    """Two cash-outs shared among two clients, a failed one, and payouts in three states."""
    a, b, c = await client(db, "20000"), await client(db, "10000"), await client(db)
    intake = Intake(db, IntakeConfig())
    first, second, failed = success(), success(), success(dispense_confirmed=False)
    await intake.process([first, failed])
    lost = await reserve(db, a)
    assert lost is not None
    await invoice(db, lost)
    await submit(db, lost)
    await fail(db, lost)
    settled = await reserve(db, a)
    assert settled is not None
    await invoice(db, settled)
    await submit(db, settled)
    await settle(db, settled)
    await intake.process([second])
    invoiced = await reserve(db, a)
    assert invoiced is not None
    await invoice(db, invoiced)

    async def of(query: str, **parameters: object) -> int:
        return int(await value(db, query, **parameters))

    shared = await of("SELECT id FROM cash_out WHERE external_id = :x", x=first.external_id)
    records = "SELECT min(id) FROM distribution_record WHERE client_id = :c AND state = :s"
    return Filled(
        a=a,
        b=b,
        c=c,
        shared=shared,
        failed=await of("SELECT id FROM cash_out WHERE external_id = :x", x=failed.external_id),
        distribution=await of("SELECT id FROM distribution WHERE cash_out_id = :c", c=shared),
        settled=settled,
        failed_payout=lost,
        invoiced=invoiced,
        settled_record=await of(records, c=a, s="settled"),
        reserved_record=await of(records, c=a, s="in-payout"),
        owed_record=await of(records, c=b, s="owed"),
    )


async def fill_more(db: Database) -> None:
    """To `fill`: commission, owed and gathered; a distribution that was taken back; adjustments of each kind."""
    receiver = await client(db, mode="commission")
    for rule in (PayRule(), PayRule(Pay.FROM_AMOUNT, from_sats=10**6)):
        wish = Wish(shares=((str(receiver), "40"), ("1", "12.34")), rule=rule)
        seen = await commission.preview(db, wish)
        await commission.apply(db, wish, seen=seen.before, reason=None, actor="test")
        await Intake(db, IntakeConfig()).process([success()])
    newest = await value(db, "SELECT max(id) FROM distribution")
    await Intake(db, IntakeConfig()).process([success()])
    await reversals.reverse(db, newest + 1, reason="test", actor="test")
    for fiat, sats in (("+5", None), ("-5", None), (None, "+700"), (None, "-300")):
        wanted = adjustments.Wish("2", "test", fiat=fiat, sats=sats)
        await adjustments.apply(db, wanted, actor="test")
