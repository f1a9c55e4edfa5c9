"""Two bursts: one that shows how a backlog becomes few payments, one during which the daemon is killed."""

from __future__ import annotations

import time
from decimal import Decimal

from dca_daemon.demo import acts, by_hand, rest, watching
from dca_daemon.demo.atm_scenarios import RunningCashOut, begin
from dca_daemon.demo.narrator import Narrator
from dca_daemon.demo.stage import Stage
from dca_daemon.demo.terms import CURRENCY
from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.money import fiat_text, to_minor

SIZE = 8
_BURST_FIAT = Decimal(300)
_KILL_FIAT = Decimal(200)
_KILL_SECONDS = 30.0


def _prepare(stage: Stage, fiat: Decimal) -> list[RunningCashOut]:
    """So many cash-outs whose coins are there: only the notes, which come last, have not come out yet."""
    cash_outs = [begin(stage.atms[n % len(stage.atms)], "lightning", fiat) for n in range(SIZE)]
    for cash_out in cash_outs:
        stage.expect(cash_out.id, CashOutState.DISTRIBUTED)
        cash_out.step()
        cash_out.step()
    return cash_outs


async def many_at_once(stage: Stage, narrator: Narrator) -> None:
    """While a client's payout is under way its next shares wait, and are paid together."""
    cash_outs = _prepare(stage, _BURST_FIAT)
    begun = time.monotonic()
    ids = [cash_out.run() for cash_out in cash_outs]
    committed_ms = round((time.monotonic() - begun) * 1000)
    paid = await watching.wait_until_paid(stage, ids)
    took = await watching.times(stage, ids)
    amount = fiat_text(to_minor(_BURST_FIAT, CURRENCY), CURRENCY)
    narrator.line("the ATMs", f"{SIZE} of {amount} each, at {len(stage.atms)} machines, within {committed_ms} ms.")
    narrator.line(
        "the daemon",
        f"each booked at most {took.booked_ms} ms, and paid at most {took.settled_ms} ms after its commit: "
        f"{paid.records} shares in {paid.payouts} payments, because what waits for a client is paid together.",
        style="green",
    )
    await acts.tell_balances(stage, narrator, ids)


async def killed_in_the_middle(stage: Stage, narrator: Narrator) -> None:
    """kill -9 while a payment is under way; cash-outs go on meanwhile, and the operator works by hand; after a
    restart all is paid, once."""
    cash_outs = _prepare(stage, _KILL_FIAT)
    half = SIZE // 2
    ids = [cash_out.run() for cash_out in cash_outs[:half]]
    await watching.until(
        stage, "a payment being under way", lambda: watching.payout_under_way(stage.books), _KILL_SECONDS
    )
    pid = stage.daemon.pid
    stage.daemon.kill()
    before = await watching.payments(stage.books, ids)
    ids += [cash_out.run() for cash_out in cash_outs[half:]]
    narrator.line(
        "the demo",
        f"kill -9 {pid}, with a payment under way: {before.booked} of {half} cash-outs booked, "
        f"{before.settled} of {before.records} shares paid. {SIZE - half} more cash-outs while nobody is there.",
        style="yellow",
    )
    ids.append(await by_hand.settle(stage, narrator))
    await rest.fixed_by_hand(stage, narrator)
    begun = time.monotonic()
    ready_seconds = stage.daemon.start()
    paid = await watching.wait_until_paid(stage, ids)
    narrator.line(
        "the daemon",
        f"started again as process {stage.daemon.pid}, ready after {ready_seconds:.1f} s; after "
        f"{time.monotonic() - begun:.1f} s all {paid.booked} cash-outs are booked, and their {paid.records} "
        f"shares paid in {paid.payouts} payments.",
        style="green",
    )
    await acts.tell_balances(stage, narrator, ids)
