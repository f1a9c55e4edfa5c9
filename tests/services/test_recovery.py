"""Old books meet an LNbits that knows more: each client gets what it is entitled to, less what it has received.

The books are set back by a copy of their database; LNbits is real, and is never set back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.demo.postgres import sqlalchemy_url
from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import ConflictError, NotFoundError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.wallet import Destination, DestinationKind
from dca_daemon.services import clients, deposits, payouts
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.payout_resolution import Resolution, resolve
from dca_daemon.services.recovery import Fate, Found, Search, reassignments
from tests.fixtures.lnurl import PRIVATE
from tests.fixtures.postgres import PostgresServer, TestDb
from tests.payouts.faulty import Killed
from tests.payouts.test_payer import SOURCE_SATS, World, make_world
from tests.services.builders import sql, success, value

SHARES = [322812, 161406]  # of one cash-out among 20,000 and 10,000 GTQ


@dataclass
class History:
    """A world whose books can be set back, and the cash-outs that Lamassu has meanwhile."""

    world: World
    server: PostgresServer
    stack: contextlib.ExitStack
    database: str
    cash_outs: list[SourceRow] = field(default_factory=list)

    @property
    def db(self) -> Database:
        return self.world.db

    @property
    def real(self) -> LnbitsWallet:
        assert isinstance(self.world.wallet.real, LnbitsWallet)
        return self.world.wallet.real

    async def book(self) -> None:
        """Books whatever Lamassu has, as the first scan does."""
        await Intake(self.db, IntakeConfig()).process(self.cash_outs)

    async def cash_out(self, count: int = 1) -> None:
        self.cash_outs += [success() for _ in range(count)]
        await self.book()

    async def pay(self) -> None:
        await self.world.due_now()
        await self.world.payer(lookup_after_timeout_seconds=-1).drain()

    async def dump(self) -> str:
        await self.db.close()
        return self.stack.enter_context(self.server.clone(self.database))

    async def restore(self, dump: str) -> None:
        await self.db.close()
        self.database = self.stack.enter_context(self.server.clone(dump))
        self.world.db = Database(sqlalchemy_url(self.server.dsn(self.database)), application_name="test")

    async def recover(self, *, everything: bool = False, **options: object) -> list[Found]:
        search = Search(self.db, self.real, self.world.keys, **options)  # type: ignore[arg-type]
        return [found async for found in search.run(everything=everything)]

    async def set_client(self, reference: str, inkey: str) -> None:
        destination = Destination(DestinationKind.LNBITS, invoice_key=inkey)
        await clients.set_destination(self.db, self.real, self.world.keys, reference, destination, actor="test")

    async def add_client(self, name: str, inkey: str, amount: str) -> int:
        destination = Destination(DestinationKind.LNBITS, invoice_key=inkey)
        view, _ = await clients.add(
            self.db,
            self.real,
            self.world.keys,
            name=name,
            mode=clients.Mode.FLOW,
            destination=destination,
            actor="test",
        )
        await self.deposit(name, amount)
        return view.client_id

    async def deposit(self, name: str, amount: str) -> None:
        recorded = await deposits.record(
            self.db, client=name, amount=amount, currency=None, note=None, actor="test"
        )
        await deposits.confirm(self.db, recorded.deposit_id, actor="test")

    async def credits(self) -> list[int]:
        return [view.credit_sats for view in await clients.list_all(self.db)]

    async def entitled(self) -> list[int]:
        """What the books owe or have paid each client, by its records."""
        views = await clients.list_all(self.db)
        return [view.owed_sats + view.in_payout_sats + view.settled_sats for view in views]

    async def assert_agrees(self) -> None:
        """LNbits' balances, the records, the credits and the books tell the same."""
        received = self.world.received_sats()
        assert self.world.spent_sats() == sum(received)
        views = await clients.list_all(self.db)
        assert [view.settled_sats + view.credit_sats for view in views][: len(received)] == received
        assert await value(self.db, "SELECT -balance FROM account WHERE name = 'coins:source'") == 1000 * sum(
            received
        )
        await self.assert_holds()

    async def assert_holds(self) -> None:
        assert [check for check in await verify(self.db) if not check.holds] == []

    async def assert_all_paid(self) -> None:
        """Exactly what each is entitled to, and nothing ahead."""
        await self.assert_agrees()
        assert self.world.received_sats() == (await self.entitled())[: len(self.world.received_sats())]
        assert not any(await self.credits())


@pytest.fixture
async def history(
    books_db: TestDb, keys: KeyRing, lnbits: LnbitsAdmin, postgres_server: PostgresServer
) -> AsyncIterator[History]:
    with contextlib.ExitStack() as stack:
        world = await make_world(Database(books_db.sqlalchemy_url), keys, lnbits)
        made = History(world, postgres_server, stack, books_db.database)
        yield made
        await made.world.wallet.close()
        await made.db.close()


async def nothing(history: History) -> None:
    """Before any cash-out."""


async def booked(history: History) -> None:
    await history.cash_out()


def killed_at(call: str, *, after: bool = False) -> Callable[[History], Awaitable[None]]:
    async def moment(history: History) -> None:
        await history.cash_out()
        history.world.wallet.script(call, Killed(), after=after)
        with pytest.raises(BaseExceptionGroup):
            await history.world.payer(concurrency=1).drain()

    return moment


async def invoiced(history: History) -> None:
    await history.cash_out()
    await history.db.close()
    history.world.wallet.script("pay", Killed())
    with pytest.raises(BaseExceptionGroup):
        await history.world.payer(concurrency=1).drain()
    # As it stood before `submitted` was committed.
    await sql(history.db, "ALTER TABLE payout DISABLE TRIGGER payout_protect")
    await sql(
        history.db,
        """UPDATE payout SET state = 'invoiced', submits = 0, last_submit_at = NULL WHERE state = 'submitted'""",
    )
    await sql(history.db, "ALTER TABLE payout ENABLE TRIGGER payout_protect")


async def some_settled(history: History) -> None:
    await history.cash_out()
    await history.pay()
    await history.cash_out()


MOMENTS: dict[str, Callable[[History], Awaitable[None]]] = {
    "before any cash-out": nothing,
    "booked": booked,
    "reserved": killed_at("create_invoice"),
    "invoiced": invoiced,
    "submitted": killed_at("pay"),
    "some settled": some_settled,
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_dump_of_any_moment_pays_nothing_twice(history: History, moment: str) -> None:
    await MOMENTS[moment](history)
    dump = await history.dump()
    for _ in range(3):
        await history.pay()
        await history.cash_out()
    await history.pay()
    before = history.world.received_sats()
    await history.cash_out()  # Lamassu has it, and the daemon never saw it
    await history.restore(dump)
    await history.book()
    await history.recover()
    await history.pay()
    assert [b + s for b, s in zip(before, SHARES, strict=True)] == history.world.received_sats()
    await history.pay()
    await history.assert_all_paid()
    assert await history.recover(everything=True) == []


async def test_nothing_is_found_where_nothing_was_lost(history: History) -> None:
    await history.cash_out(2)
    assert await history.recover() == []
    await history.pay()
    assert await history.recover() == []
    assert await history.recover(everything=True) == []
    await history.assert_all_paid()


async def test_a_dry_run_shows_it_and_changes_nothing(history: History) -> None:
    dump = await history.dump()
    await history.cash_out()
    await history.pay()
    await history.restore(dump)
    shown = await history.recover(dry_run=True, actor="op")
    assert {(f.client_id, f.amount_sats, f.fate) for f in shown} == {
        (1, SHARES[0], Fate.ADOPTED),
        (2, SHARES[1], Fate.ADOPTED),
    }
    assert await value(history.db, "SELECT count(*) FROM payout") == 0
    assert await value(history.db, "SELECT count(*) FROM audit_log WHERE actor = 'op'") == 0
    assert await history.recover(actor="op") == shown
    assert await value(history.db, "SELECT count(*) FROM audit_log WHERE action = 'payout.adopt'") == 2
    assert await history.recover() == []


async def test_a_search_that_is_broken_off_goes_on_later(history: History) -> None:
    dump = await history.dump()
    for _ in range(3):
        await history.cash_out()
        await history.pay()
    await history.restore(dump)
    search = Search(history.db, history.real, history.world.keys).run()
    await anext(search)
    await search.aclose()  # type: ignore[attr-defined]
    assert len(await history.recover()) == 5
    await history.book()
    await history.pay()
    await history.assert_all_paid()


async def test_several_searches_at_once_adopt_once(history: History) -> None:
    dump = await history.dump()
    for _ in range(2):
        await history.cash_out()
        await history.pay()
    await history.restore(dump)
    found = await asyncio.gather(*(history.recover() for _ in range(3)))
    assert sum(map(len, found)) == 4
    assert await value(history.db, "SELECT count(*) FROM payout") == 4


@pytest.mark.parametrize("again", ["the same", "less", "more"])
async def test_deposits_that_were_lost_are_entered_again(history: History, again: str) -> None:
    """The shares may differ by that: what each was paid ahead or short is made up for by its next payouts."""
    dump = await history.dump()
    await history.deposit("Beto", "10000")  # now 20,000 each
    await history.cash_out(2)
    await history.pay()
    before = history.world.received_sats()
    await history.restore(dump)
    if again != "less":
        await history.deposit("Beto", "10000" if again == "the same" else "40000")
    await history.book()
    await history.recover()
    await history.pay()
    await history.assert_agrees()
    credits = await history.credits()
    assert (
        credits
        == {
            "the same": [0, 0],
            "less": [0, before[1] - 2 * SHARES[1]],
            "more": [before[0] - (await history.entitled())[0], 0],
        }[again]
    )
    for _ in range(3):
        await history.cash_out()
        await history.pay()
    await history.assert_all_paid()


async def test_a_record_that_the_credit_covers_is_settled_without_a_payment(history: History) -> None:
    dump = await history.dump()
    await history.cash_out()
    await history.pay()
    await history.restore(dump)
    await history.recover()
    await history.book()
    await history.pay()
    nothing_paid = [p for p in await payouts.list_all(history.db) if p.adopted_at is None]
    assert [(p.amount_sats, p.state, p.payment_hash) for p in nothing_paid] == [(0, PayoutState.SETTLED, None)] * 2
    assert sorted(p.credit_sats for p in nothing_paid) == sorted(SHARES)
    await history.assert_all_paid()


async def test_the_memo_tells_what_was_paid_before(history: History) -> None:
    dump = await history.dump()
    await history.cash_out()
    await history.pay()
    await history.restore(dump)
    await history.recover()
    await history.cash_out()
    await history.pay()
    (ana,) = [p for p in await payouts.list_all(history.db, client=1) if p.adopted_at is None]
    assert (ana.amount_sats, ana.credit_sats) == (SHARES[0], SHARES[0])
    assert ana.memo.startswith("DCA 645,624 sats for 5,040.00 GTQ (")
    assert ana.memo.endswith(", less 322,812 sats that were paid before")


async def test_a_client_that_was_lost_is_a_stray_until_somebody_says_who_it_is(history: History) -> None:
    carla = history.world.lnbits.create_wallet("Carla")
    dump = await history.dump()
    assert await history.add_client("Carla", carla.inkey, "10000") == 3
    await history.cash_out()
    await history.pay()
    received = history.world.lnbits.balance_msat(carla.inkey) // 1000
    await history.restore(dump)
    found = await history.recover(dry_run=True)
    assert await value(history.db, "SELECT last_value FROM client_id_seq") == 2
    found = await history.recover()
    (stray,) = [f for f in found if f.fate is Fate.STRAY]
    assert (stray.paid_client_id, stray.client_id, stray.amount_sats) == (3, None, received)
    # Its id is given to nobody else, and blocks nobody.
    assert await history.add_client("Carla again", carla.inkey, "10000") == 4
    with pytest.raises(NotFoundError):
        await reassignments(history.db, {3: "Dora"})
    with pytest.raises(ConflictError, match="client 1 is in the books, as 'Ana'"):
        await reassignments(history.db, {1: "Carla again"})
    reassigned = await reassignments(history.db, {3: "carla again"})
    (found_for_her,) = await history.recover(reassigned=reassigned, actor="op", everything=True)
    assert (found_for_her.client_id, found_for_her.fate) == (4, Fate.ADOPTED)
    await history.book()
    await history.pay()
    assert history.world.lnbits.balance_msat(carla.inkey) // 1000 == received  # not paid a second time
    assert await history.credits() == [0, 0, 0]
    assert history.world.received_sats() == (await history.entitled())[:2]
    await history.assert_holds()


async def test_a_payment_to_another_wallet_is_held_and_stops_the_client_until_somebody_decides(
    history: History,
) -> None:
    """The client was moved to another wallet after the dump."""
    elsewhere = history.world.lnbits.create_wallet("elsewhere")
    dump = await history.dump()
    await history.set_client("Ana", elsewhere.inkey)
    await history.cash_out()
    await history.pay()
    await history.restore(dump)
    assert sorted(f.fate for f in await history.recover()) == [Fate.ADOPTED, Fate.HELD]
    await history.book()
    await history.cash_out()
    await history.pay()
    assert history.world.received_sats() == [0, 2 * SHARES[1]]  # Ana waits
    (held,) = await payouts.list_all(history.db, states=("held",))
    assert "no wallet of client 1 that these books know shows this payment" in (held.reason or "")
    await resolve(history.db, held.payout_id, Resolution.SETTLED, reason="it was hers", actor="op")
    await history.pay()
    assert history.world.received_sats() == [SHARES[0], 2 * SHARES[1]]
    assert await history.credits() == [0, 0]
    await history.assert_holds()


async def test_a_payment_that_was_another_clients_is_void_and_the_client_is_paid_in_full(history: History) -> None:
    elsewhere = history.world.lnbits.create_wallet("elsewhere")
    dump = await history.dump()
    await history.set_client("Ana", elsewhere.inkey)
    await history.cash_out()
    await history.pay()
    await history.restore(dump)
    await history.recover()
    await history.book()
    (held,) = await payouts.list_all(history.db, states=("held",))
    await resolve(history.db, held.payout_id, Resolution.VOID, reason="not hers", actor="op")
    await history.pay()
    assert history.world.received_sats() == SHARES
    await history.assert_holds()


async def test_a_client_that_was_moved_again_before_the_search_is_found_at_either_wallet(history: History) -> None:
    elsewhere = history.world.lnbits.create_wallet("elsewhere")
    await history.cash_out()
    await history.pay()
    dump = await history.dump()
    await history.cash_out()
    await history.pay()  # to the old one
    await history.set_client("Ana", elsewhere.inkey)
    await history.cash_out()
    await history.pay()  # to the new one
    await history.restore(dump)
    await history.set_client("Ana", elsewhere.inkey)
    assert {f.fate for f in await history.recover()} == {Fate.ADOPTED}
    await history.book()
    await history.pay()
    assert history.world.received_sats() == [2 * SHARES[0], 3 * SHARES[1]]
    assert history.world.lnbits.balance_msat(elsewhere.inkey) == SHARES[0] * 1000
    await history.assert_holds()


async def test_a_wallet_that_is_gone_leaves_a_doubt(history: History) -> None:
    dump = await history.dump()
    await history.cash_out()
    await history.pay()
    history.world.lnbits.delete_wallet(history.world.receivers[0])
    await history.restore(dump)
    found = {f.client_id: f for f in await history.recover()}
    assert (found[1].fate, found[2].fate) == (Fate.HELD, Fate.ADOPTED)
    assert "can't be looked into" in found[1].text


async def test_a_payout_that_was_over_before_is_not_paid_from_the_old_books(history: History) -> None:
    """Reserved in the dump; held, made void and paid anew by another payout after it."""
    await MOMENTS["reserved"](history)
    dump = await history.dump()
    (old,) = await payouts.list_all(history.db)
    await payouts.hold(history.db, old.payout_id, reason="wait", actor="op")
    await payouts.release(history.db, old.payout_id, reason="go on", actor="op")
    await history.pay()
    await history.restore(dump)
    await history.recover()
    await history.pay()
    assert history.world.received_sats() == SHARES
    assert (await payouts.show(history.db, old.payout_id))[0].state is PayoutState.VOID
    await history.assert_all_paid()


async def test_an_invoice_that_was_over_before_is_not_submitted_from_the_old_books(history: History) -> None:
    await invoiced(history)
    dump = await history.dump()
    (old,) = await payouts.list_all(history.db, states=("invoiced",))
    await payouts.hold(history.db, old.payout_id, reason="wait", actor="op")
    await payouts.release(history.db, old.payout_id, reason="go on", actor="op")
    await history.pay()
    await history.restore(dump)
    await history.recover()
    await history.pay()
    assert history.world.received_sats() == SHARES
    await history.assert_all_paid()


async def test_a_submitted_one_that_somebody_had_made_void_is_held_and_not_paid(history: History) -> None:
    await MOMENTS["submitted"](history)
    dump = await history.dump()
    (old,) = await payouts.list_all(history.db, states=("submitted",))
    await payouts.hold(history.db, old.payout_id, reason="wait", actor="op")
    await resolve(history.db, old.payout_id, Resolution.VOID, reason="never left", actor="op")
    await history.pay()
    await history.restore(dump)
    await history.recover()
    await history.pay()
    await history.pay()
    assert history.world.received_sats() == SHARES
    view = (await payouts.show(history.db, old.payout_id))[0]
    assert view.state is PayoutState.HELD and "paid by later payouts" in (view.reason or "")
    await resolve(history.db, old.payout_id, Resolution.VOID, reason="never left", actor="op")
    await history.pay()
    await history.assert_all_paid()


async def test_an_expired_invoice_in_the_old_books_is_not_taken_for_unpaid(history: History) -> None:
    """By the old books it was never submitted, and is too old by now: it was paid all the same."""
    await invoiced(history)
    dump = await history.dump()
    await history.pay()
    await history.restore(dump)
    await sql(history.db, "UPDATE payout SET submit_until = now() - interval '1 hour' WHERE state = 'invoiced'")
    # One was invoiced by the old books, the other client's payout is not in them.
    assert sorted(f.fate for f in await history.recover()) == [Fate.ADOPTED, Fate.REINSTATED]
    await history.pay()
    assert history.world.received_sats() == SHARES
    await history.assert_all_paid()


async def test_a_held_payout_that_was_paid_is_looked_up(history: History) -> None:
    await MOMENTS["reserved"](history)
    (old,) = await payouts.list_all(history.db)
    dump_open = await history.dump()
    await history.pay()
    await history.restore(dump_open)
    await payouts.hold(history.db, old.payout_id, reason="wait", actor="op")
    found = await history.recover()
    assert Fate.REINSTATED in {f.fate for f in found}
    await history.pay()
    assert history.world.received_sats() == SHARES
    assert (await payouts.show(history.db, old.payout_id))[0].state is PayoutState.SETTLED
    await history.assert_all_paid()


async def test_a_client_at_a_lightning_address(history: History) -> None:
    """Its wallet can't be looked into: the payment itself says where it went."""
    lnbits, source = history.world.lnbits, history.world.source
    private = LnbitsWallet(
        LnbitsConfig(url=lnbits.url, admin_key=source.adminkey, requests_per_minute=0, lnurl=PRIVATE)
    )
    await history.real.close()
    history.world.wallet.real = private
    ana = f"{history.world.receivers[0].lightning_address}@{lnbits.url.removeprefix('http://')}"
    destination = Destination(DestinationKind.LIGHTNING_ADDRESS, address=ana)
    await clients.set_destination(history.db, private, history.world.keys, "Ana", destination, actor="test")
    dump = await history.dump()
    await history.cash_out()
    await history.pay()
    await history.restore(dump)
    assert [f.fate for f in await history.recover()] == [Fate.ADOPTED] * 2
    await history.book()
    await history.cash_out()
    await history.pay()
    assert history.world.received_sats() == [2 * share for share in SHARES]
    await history.assert_all_paid()


async def test_the_books_of_another_installation_are_left_alone(history: History) -> None:
    dump = await history.dump()
    await history.cash_out()
    await history.pay()
    await history.restore(dump)
    await sql(history.db, "UPDATE installation SET id = gen_random_uuid()")
    assert await history.recover(everything=True) == []


def test_the_source_holds_enough_for_these_stories() -> None:
    assert SOURCE_SATS > 8 * 484_218
