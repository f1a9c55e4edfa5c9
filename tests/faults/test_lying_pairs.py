"""Two lies in a row: one when an invoice is made or paid, one to all look-ups of the minutes after it.

Every pair, on the real payer with its real intervals, in simulated time and on books in memory (they pass the
same contract tests as the real ones: tests/simulation). What the first lie leads to is in `lying_table.py`; a
look-up that is lied to may delay it, or have it held for a while, but not change it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import Counter
from dataclasses import dataclass

import pytest
import structlog

from dca_daemon.domain.errors import (
    WalletError,
    WalletRateLimitedError,
    WalletRefusedError,
    WalletReplyError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.domain.payout import PayoutState
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.pacing import Pacer
from dca_daemon.payouts.payer import Payer, PayerConfig
from dca_daemon.payouts.wallet import Destination, DestinationKind, RecordStatus
from tests.faults.lying_table import EXPECTED
from tests.faults.lying_world import NOTHING_PAID, is_outcome
from tests.lnbits_double import Call, Direction, Kind, Lie, LnbitsDouble
from tests.simulation.loop import simulate
from tests.simulation.memory_payouts import MemoryPayoutBooks
from tests.simulation.session import FairWeather, Session
from tests.simulation.tables import PayoutRow, Record, Tables, moment, now_seconds

SATS = 24_210
PATIENCE_SECONDS = 8
RESTART_SECONDS = 2  # the payer is started anew, and patient with what went before from then on
LIES_UNTIL_SECONDS = 35  # well beyond its patience
PENDING_SECONDS = 45
RELEASE_SECONDS = 110  # a person releases what is held
END_SECONDS = 150

READ_LIES = [lie for lie in Lie if Kind.LIST in lie.kinds]
# What a look-up that is lied to comes to: all lies of one kind are the same to the payer.
COMES_TO: dict[Lie, type[WalletError] | None] = {
    lie: {
        Lie.REFUSE_CONNECTION: WalletUnreachableError,
        Lie.RATE_LIMITED: WalletRateLimitedError,
        Lie.RATE_LIMITED_RETRY_AFTER: WalletRateLimitedError,
        Lie.UNAUTHORIZED: WalletRefusedError,
        Lie.FORBIDDEN: WalletRefusedError,
        Lie.NOT_FOUND: WalletRefusedError,
        Lie.NULL_BEFORE: WalletReplyError,
        Lie.EMPTY: WalletReplyError,
        Lie.WITHHELD: WalletReplyError,
        Lie.FILTER_IGNORED: WalletReplyError,
        Lie.OTHERS_ROWS: WalletReplyError,
        Lie.UNKNOWN_STATUS: WalletReplyError,
        Lie.NO_HASH: WalletReplyError,
        Lie.SAYS_PENDING: None,
    }.get(lie, WalletUnknownError)
    for lie in READ_LIES
}
# So one of each kind suffices; DCA_ALL_PAIRS=1 has them all (minutes).
ONE_OF_EACH = [
    *(Lie.REFUSE_CONNECTION, Lie.RATE_LIMITED, Lie.NOT_FOUND, Lie.FILTER_IGNORED, Lie.EMPTY, Lie.SAYS_PENDING),
    *(Lie.ERROR_500_BEFORE, Lie.SLOW),
]
SECOND_LIES = READ_LIES if os.environ.get("DCA_ALL_PAIRS") else ONE_OF_EACH
# A lie to a create call matters to look-ups only where it ends in an invoice that is paid.
FIRST_LIES = [
    *((Kind.CREATE, lie) for lie in (Lie.TAKE_AND_DROP, Lie.SHORT_LIVED_INVOICE, Lie.OTHERS_INVOICE_DISGUISED)),
    *((Kind.CREATE, lie) for lie in (Lie.NOT_KEPT, Lie.MARKED_FAILED, Lie.FORGOTTEN)),
    *((Kind.PAY, lie) for lie in Lie if Kind.PAY in lie.kinds),
]


class PlainKeys(KeyRing):
    """Nothing is encrypted."""

    def __init__(self) -> None:
        """Without any key."""

    def decrypt(self, token: bytes) -> str:
        return token.decode()


@dataclass(frozen=True)
class Told:
    """What is told, and to whom: a look-up with the source's key, the receiver's, or (None) with either."""

    kind: Kind
    first: Lie
    second: Lie
    of_source: bool | None


async def story(told: Told) -> str:
    """The outcome, in the words of `lying_world.outcome`; raises when money moved as it must not."""
    double = LnbitsDouble(random.Random(1), lambda: moment(now_seconds()))
    double.liar.slow_seconds = 70  # longer than the read time-out
    double.liar.pending_seconds = PENDING_SECONDS
    double.liar.late_seconds = double.liar.hidden_seconds = PATIENCE_SECONDS / 2
    source, ana = double.create_wallet("source"), double.create_wallet("Ana")
    double.create_wallet("somebody else")
    double.top_up(source.id, 10 * SATS)
    double.lie(**{told.kind.value: told.first})  # type: ignore[arg-type]

    def policy(call: Call) -> Lie | None:
        asked = told.of_source is None or (call.key == source.adminkey) == told.of_source
        return told.second if call.kind is Kind.LIST and asked and now_seconds() < LIES_UNTIL_SECONDS else None

    double.policy = policy
    tables = Tables()
    client = tables.add_client(0, invoice_key=ana.inkey)
    tables.records[1] = Record(1, client.client_id, SATS, 100, "owed")
    for until_seconds in (RESTART_SECONDS, LIES_UNTIL_SECONDS, RELEASE_SECONDS, END_SECONDS):
        if until_seconds == END_SECONDS:
            release(tables)
        if any(payout.open for payout in tables.payouts.values()) or tables.owed_sats(client.client_id):
            await run_payer(tables, double, source.adminkey, until_seconds)
    await asyncio.sleep(END_SECONDS - now_seconds())
    check_money(tables, double)
    return outcome(list(tables.payouts.values()))


@pytest.mark.parametrize("lie", READ_LIES, ids=lambda lie: lie.name)
def test_what_a_look_up_that_is_lied_to_comes_to(lie: Lie) -> None:
    async def look_up() -> RecordStatus | None:
        double = LnbitsDouble(random.Random(1), lambda: moment(now_seconds()))
        source, ana = double.create_wallet("source"), double.create_wallet("Ana")
        double.top_up(source.id, 10 * SATS)
        wallet = make_wallet(double, source.adminkey)
        receiver = Destination(DestinationKind.LNBITS, invoice_key=ana.inkey)
        invoice = await wallet.create_invoice(
            receiver, amount_sats=SATS, memo="", expiry_seconds=3_600, payout_id="p", extra={}
        )
        await wallet.pay(invoice.bolt11, payout_id="p", extra={})
        double.policy = lambda call: lie if call.kind is Kind.LIST else None
        record = await wallet.sent(invoice.payment_hash)
        return None if record is None else record.status

    wanted = COMES_TO[lie]
    if wanted is None:
        assert simulate(look_up()) is RecordStatus.PENDING
        return
    with pytest.raises(WalletError) as raised:
        simulate(look_up())
    assert type(raised.value) is wanted


def release(tables: Tables) -> None:
    for payout in tables.payouts.values():
        if payout.state is PayoutState.HELD:
            assert payout.held_from in (PayoutState.SUBMITTED, PayoutState.UNKNOWN)
            payout.state, payout.held_from, payout.next_attempt_seconds = PayoutState.UNKNOWN, None, now_seconds()


def make_wallet(double: LnbitsDouble, admin_key: str) -> LnbitsWallet:
    return LnbitsWallet(
        LnbitsConfig(url="http://double.test", admin_key=admin_key, requests_per_minute=0),
        pacer=Pacer(0, clock=now_seconds),
        transport=double.transport(),
        now=lambda: moment(now_seconds()),
    )


async def run_payer(tables: Tables, double: LnbitsDouble, admin_key: str, until_seconds: float) -> None:
    books = MemoryPayoutBooks(Session(tables, FairWeather()), random.Random(until_seconds))
    wallet = make_wallet(double, admin_key)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_at(until_seconds, stop.set)
    config = PayerConfig(lookup_after_timeout_seconds=PATIENCE_SECONDS, idle_poll_seconds=60)
    await Payer(books, wallet, PlainKeys(), config).run(stop)
    await wallet.close()


def check_money(tables: Tables, double: LnbitsDouble) -> None:
    for direction in Direction:
        moved = Counter(move.external_id for move in double.moves(direction=direction))
        assert sum(moved.values()) <= 1, f"sent twice: {moved}, {tables.payouts}"
        for payout in tables.payouts.values():
            if payout.state is PayoutState.SETTLED:
                assert moved[payout.payout_id] == 1, "settled, and never happened"
            if payout.state in NOTHING_PAID:
                assert moved[payout.payout_id] == 0, "called dead, and has moved"


def outcome(rows: list[PayoutRow]) -> str:
    last = rows[-1]
    assert all(row.state in NOTHING_PAID for row in rows[:-1]), rows
    if last.state is PayoutState.HELD:
        return f"held: {last.reason}"
    if last.state is PayoutState.SETTLED:
        return "settled" if len(rows) == 1 else "paid anew"
    return "owed" if last.state in NOTHING_PAID else f"waits: {last.state} {last.reason}"


@pytest.fixture(autouse=True)
def _silence() -> None:
    """Thousands of stories: their log lines would take longer than they do."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.mark.parametrize("second", SECOND_LIES, ids=lambda lie: lie.name)
def test_a_look_up_that_is_lied_to_changes_no_outcome(second: Lie) -> None:
    problems = []
    for kind, first in FIRST_LIES:
        # Where the source's look-up fails the receiver's is never asked.
        for of_source in (None, False, True) if second in (Lie.EMPTY, Lie.SAYS_PENDING) else (None, False):
            told = Told(kind, first, second, of_source)
            expected = EXPECTED[kind, first]
            wanted = expected.honest if expected.once == "waits" else expected.once
            try:
                found = simulate(story(told))
            except AssertionError as error:
                found = str(error)
            if not is_outcome(found, wanted):
                whose = {None: "either", True: "the source's", False: "the receiver's"}[of_source]
                problems.append(f"{first.name}, {second.name} at {whose} look-up: {found}, not {wanted}")
    assert problems == []
