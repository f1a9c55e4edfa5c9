"""What the operator does in the demo's week: sets the shop up, takes deposits, and settles what went wrong."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

from dca_daemon.demo import people
from dca_daemon.demo.people import ANA, BRUNO, CARLA, DIEGO, ELENA, FERNANDO, GABRIELA, HUGO, SHARES
from dca_daemon.demo.shop import Shop
from dca_daemon.demo.stage import OPERATOR
from dca_daemon.demo.terms import CURRENCY, RUNNER, ZONE
from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.commission import Pay
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import (
    adjustments,
    api_tokens,
    baseline,
    cash,
    commission,
    decisions,
    deposits,
    fixed_schedules,
    manual_cash_outs,
    pools,
    sessions,
    treasury,
    users,
)
from dca_daemon.services.commission import PayRule
from dca_daemon.services.manual_cash_outs import Entry
from dca_daemon.services.sessions import Limits, Visitor

FIXED_TIMES = ("13:00",)
COMMISSION_TIME = "20:30"

_FLOAT = "8000"  # of the operator's own notes, in each machine
_FIRST_DEPOSITS = ((ANA, "30000"), (BRUNO, "12000"), (CARLA, "8000"), (ELENA, "20000"), (DIEGO, "3000"))
_STAFF = (("rosa", Role.OPERATOR), ("julio", Role.VIEWER))
_LIMITS = Limits(idle=timedelta(minutes=30), absolute=timedelta(hours=12))
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_MOVED_SATS, _MOVE_FEE_SATS = 3_000_000, 1_200


async def open_shop(shop: Shop) -> None:
    """The first morning: who may do what, from when on cash-outs count, clients, the first notes."""
    books = shop.stage.books
    await users.add(books, name=OPERATOR, role=Role.ADMIN, password=None, actor="os:root")
    for name, role in _STAFF:
        shop.passwords[name] = secrets.token_urlsafe(16)
        await users.add(books, name=name, role=role, password=shop.passwords[name], actor=f"user:{OPERATOR}")
    await pools.ensure_default_pool(books, name="default", currency=CURRENCY)
    await baseline.set_to(
        books, shop.source, shop.clock.now(), actor="os:root", reason="the shop opens: what was before is settled"
    )
    await _log_in(shop, "rosa")
    for wanted in people.FIRST:
        await shop.add(wanted)
    await _share_commission(shop)
    await fixed_schedules.change(books, zone=ZONE, times=FIXED_TIMES, actor=RUNNER)
    for number, atm in enumerate(shop.stage.atms):
        await cash.refill(books, _FLOAT, machine=atm.name, pool=None, reason="our own float", actor=RUNNER)
        shop.cash_minor[number] += int(_FLOAT) * 100
    for wanted, amount in _FIRST_DEPOSITS:
        await shop.deposit(wanted.name, amount)


async def _share_commission(shop: Shop) -> None:
    rule = PayRule(Pay.AT_TIMES, (COMMISSION_TIME,), ZONE)
    await _commission(shop, commission.Wish(shares=SHARES, rule=rule), "agreed with Marta, and Ana for her help")


async def _commission(shop: Shop, wish: commission.Wish, reason: str) -> None:
    seen = (await commission.preview(shop.stage.books, wish)).before
    await commission.apply(shop.stage.books, wish, seen=seen, reason=reason, actor=RUNNER)


async def _log_in(shop: Shop, name: str) -> None:
    visitor = Visitor("192.168.1.20" if name == "rosa" else "192.168.1.31", _BROWSER)
    await sessions.log_in(
        shop.stage.books, shop.stage.keys, name, shop.passwords[name], visitor=visitor, limits=_LIMITS
    )


async def _pays_at_once(shop: Shop) -> None:
    await _commission(shop, commission.Wish(rule=PayRule()), "Marta wants it with each cash-out")
    await shop.pay()


async def _new_client(shop: Shop, wanted: people.Wanted, amount: str) -> None:
    await shop.add(wanted)
    await shop.deposit(wanted.name, amount)


async def _pending(shop: Shop, client: str, amount: str, note: str) -> None:
    await deposits.record(
        shop.stage.books, client=client, amount=amount, currency=CURRENCY, note=note, actor=RUNNER
    )


async def _typed_twice(shop: Shop) -> None:
    await shop.deposit(ELENA.name, "6000")
    again = await deposits.record(
        shop.stage.books, client=ELENA.name, amount="6000", currency=CURRENCY, note=None, actor=RUNNER
    )
    await deposits.void(shop.stage.books, again.deposit_id, reason="entered twice", actor=RUNNER)


async def _jams(shop: Shop) -> None:
    shop.jammed = await shop.cash_out("dispenser-error", 1000, machine=1)


async def _settles_the_jam(shop: Shop) -> None:
    """The morning after: the rest of the notes is handed over, and the cash-out entered by hand."""
    stage, reference = shop.stage, "ticket-12"
    (failed,) = await shop.source.fetch([shop.jammed])
    entry = Entry(
        fiat="1000",
        sats=int(failed.crypto_atoms),
        reason="the dispenser jammed; the missing notes were handed over",
        reference=reference,
        settles=shop.jammed,
    )
    await manual_cash_outs.enter(stage.books, shop.intake, entry, source=shop.source, actor=RUNNER)
    stage.settled_by_hand(shop.jammed, reference)
    await shop.pay()


async def _own_test(shop: Shop) -> None:
    tested = await shop.cash_out("cancelled-after-notes", 200, machine=2)
    await decisions.ignore(
        shop.stage.books, tested, reason="our own test after cleaning; the notes went back in", actor=RUNNER
    )
    shop.stage.expect(tested, CashOutState.IGNORED)


async def _collects(shop: Shop) -> None:
    fullest = max(shop.cash_minor, key=lambda machine: shop.cash_minor[machine])
    name = shop.stage.atms[fullest].name
    await cash.remove(
        shop.stage.books, "4000", machine=name, pool=None, reason="part of our float, to the bank", actor=RUNNER
    )
    shop.cash_minor[fullest] -= 400_000


async def _moves_sats(shop: Shop) -> None:
    shop.stage.top_up(_MOVED_SATS)
    await treasury.move(
        shop.stage.books, sats=_MOVED_SATS, fee_sats=_MOVE_FEE_SATS, reason="from the ATM's wallet", actor=RUNNER
    )


async def _corrects(shop: Shop) -> None:
    note = adjustments.Wish(
        CARLA.name, "a note was missed when her deposit was counted", fiat="100", corrects="deposit 3"
    )
    await adjustments.apply(shop.stage.books, note, actor=RUNNER)
    paid_twice = adjustments.Wish(BRUNO.name, "we had sent him these by hand on Monday", sats="-2500")
    await adjustments.apply(shop.stage.books, paid_twice, actor=RUNNER)


async def _gives_a_token(shop: Shop) -> None:
    await api_tokens.add(shop.stage.books, name="bookkeeping", scopes=[Scope.READ], actor=f"user:{OPERATOR}")


async def _loses_her_wallet(shop: Shop) -> None:
    """She has bought nothing yet. What Fixed Mode buys for her is held: her address answers no more."""
    gabriela = next(person for person in shop.stage.people if person.name == GABRIELA.name)
    shop.stage.lnbits.delete_wallet(gabriela.wallet)
    gabriela.wallet_gone = True


async def _is_refused(shop: Shop) -> None:
    await shop.until_held()


def _visit(scenario: str, fiat: int, machine: int) -> Callable[[Shop], Awaitable[object]]:
    return lambda shop: shop.cash_out(scenario, fiat, machine=machine)


# The day (0 is the first, 6 yesterday), when, and what.
DEEDS: tuple[tuple[int, str, Callable[[Shop], Awaitable[object]]], ...] = (
    *((day, "07:55", lambda shop: _log_in(shop, "rosa")) for day in (1, 2, 4, 6, 7)),
    *((day, "16:05", lambda shop: _log_in(shop, "julio")) for day in (3, 6)),
    (1, "10:05", lambda shop: _new_client(shop, FERNANDO, "12000")),
    (1, "17:20", _jams),
    (2, "09:15", _settles_the_jam),
    (2, "11:30", _gives_a_token),
    (2, "13:20", _visit("never-paid", 500, 0)),
    (2, "16:10", lambda shop: shop.deposit(BRUNO.name, "10000")),
    (3, "09:30", lambda shop: shop.deposit(ANA.name, "20000")),
    (3, "11:10", _moves_sats),
    (3, "14:40", _visit("cancelled", 1000, 1)),
    (4, "11:50", _typed_twice),
    (4, "14:10", _visit("other-coin", 700, 0)),
    (4, "16:30", _corrects),
    (5, "08:10", _own_test),
    (5, "11:25", lambda shop: shop.deposit(CARLA.name, "7000")),
    (5, "16:40", _visit("scoring-error", 2000, 2)),
    (5, "18:20", _collects),
    (6, "09:40", lambda shop: _new_client(shop, GABRIELA, "2400")),
    (6, "10:30", lambda shop: shop.deposit(DIEGO.name, "1000")),
    (6, "11:40", _loses_her_wallet),
    (6, "13:01", _is_refused),
    (6, "14:30", _visit("cancelled-after-notes", 900, 0)),
    (6, "15:05", lambda shop: shop.deposit(ANA.name, "15000")),
    (6, "16:50", lambda shop: _pending(shop, BRUNO.name, "5000", "in the safe; goes in at the next refill")),
    (6, "17:15", lambda shop: _new_pending(shop)),
    (6, "20:45", _pays_at_once),
)


async def _new_pending(shop: Shop) -> None:
    await shop.add(HUGO)
    await _pending(shop, HUGO.name, "10000", "his first; brings the notes tomorrow")
