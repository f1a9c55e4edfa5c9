"""What the demo plays: which cash-outs, in which order, and how one is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from dca_daemon.demo import watching
from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.atm_scenarios import SCENARIOS, RunningCashOut, Scenario, begin
from dca_daemon.demo.narrator import TEXT_COLUMN, Narrator
from dca_daemon.demo.stage import LATE_FIAT, Stage
from dca_daemon.demo.terms import CURRENCY
from dca_daemon.domain.cash_out import CashOutState, Verdict
from dca_daemon.domain.money import MSATS_PER_SAT, fiat_text, from_minor, sats_text, to_minor
from dca_daemon.services import cash_outs, clients
from dca_daemon.services.cash_outs import CashOutView
from dca_daemon.services.clients import Mode

# Scenario and fiat, in the order of the story; every other one at the second machine.
SUCCESSES = (
    ("on-chain", 2000),
    ("lightning", 1000),
    ("promo-full", 1200),
)
SHORT = "short-dispense"  # settled by hand later
NOT_SHARED = (
    ("other-coin", 700),
    ("cancelled", 1000),
    ("dispenser-error", 1000),
    (SHORT, 1000),
    ("cassettes-empty", 1000),
    ("never-paid", 500),
)
CANCELLED_FIAT = Decimal(800)
_STATES = {
    Verdict.SUCCESS: {CashOutState.DISTRIBUTED},
    Verdict.FAILED: {CashOutState.FAILED},
    Verdict.IGNORED: {CashOutState.IGNORED},
    # Cancelled with the notes out: one that the daemon saw before it was cancelled is distributed, and stays so.
    Verdict.REVIEW: {CashOutState.REVIEW, CashOutState.DISTRIBUTED},
}


@dataclass(slots=True)
class Told:
    """A cash-out that was played, with the sentences of the machine."""

    cash_out: RunningCashOut
    machine: str
    fiat: Decimal
    sentences: list[str]


def _cancelled_during(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    atm.coins(tx, "confirmed")
    yield "the coins are confirmed"
    atm.request_notes(tx)
    yield "the machine is told to dispense"
    atm.cancel(tx)
    yield "the operator cancels it"
    atm.report(tx)
    yield "and yet all notes came out"


CANCELLED_DURING = Scenario(
    name="cancelled-during-notes",
    text="cancelled while the notes came out",
    steps=_cancelled_during,
    verdict=Verdict.REVIEW,
    reason="paid-and-cancelled",
)


def play(stage: Stage, name: str, fiat: int, *, machine: int = 0) -> Told:
    """Plays a scenario from beginning to end."""
    atm = stage.atms[machine % len(stage.atms)]
    return finish(stage, begin(atm, name, Decimal(fiat)), atm, Decimal(fiat))


def play_cancelled_during(stage: Stage) -> Told:
    """Plays the one that needs a person's judgement."""
    atm = stage.atms[0]
    external_id = atm.ask(CANCELLED_FIAT)
    cash_out = RunningCashOut(CANCELLED_DURING, external_id, _cancelled_during(atm, external_id))
    return finish(stage, cash_out, atm, CANCELLED_FIAT)


async def tell_late(stage: Stage, narrator: Narrator) -> None:
    """Not successful at the baseline, successful after it: counts."""
    assert stage.silent is not None
    await tell(stage, narrator, finish(stage, stage.silent, stage.atms[1], LATE_FIAT))


def finish(stage: Stage, cash_out: RunningCashOut, atm: SimulatedAtm, fiat: Decimal) -> Told:
    """Does what is left of a cash-out."""
    stage.expect(cash_out.id, *_STATES[cash_out.scenario.verdict])
    if cash_out.scenario.verdict is Verdict.FAILED:
        stage.failed[cash_out.id] = cash_out.scenario.name
    sentences = []
    while (sentence := cash_out.step()) is not None:
        sentences.append(sentence)
    return Told(cash_out, atm.name, fiat, sentences)


async def tell(stage: Stage, narrator: Narrator, told: Told) -> CashOutState:
    """Waits for what the daemon makes of a cash-out, and tells it. Gives the state."""
    cash_out = told.cash_out
    state, reason = await watching.wait_for_state(stage, cash_out.id, stage.expected[cash_out.id])
    if state is CashOutState.DISTRIBUTED:
        await watching.wait_until_paid(stage, [cash_out.id])
    scenario = SCENARIOS.get(cash_out.scenario.name, cash_out.scenario)
    narrator.scene(f"{fiat_text(to_minor(told.fiat, CURRENCY), CURRENCY)} at {told.machine}: {scenario.text}")
    narrator.line("the ATM", f"{'; '.join(told.sentences) or 'waits for coins, in vain'}.")
    if state is CashOutState.DISTRIBUTED:
        await _tell_distribution(stage, narrator, cash_out.id)
        if scenario.verdict is Verdict.REVIEW:
            narrator.line("", "It was distributed before it was cancelled: it stays so, and the log warns.")
    else:
        style = "yellow" if state is CashOutState.REVIEW else ""
        narrator.line("the daemon", f"{state}: {reason}. Nobody is paid.", style=style)
    return state


async def _tell_distribution(stage: Stage, narrator: Narrator, external_id: str) -> None:
    view = await cash_outs.show(stage.books, external_id)
    took = await watching.times(stage, [external_id])
    assert view.split is not None
    split = view.split
    receivers = ", ".join(f"{part.receiver} {part.sats:,}" for part in view.commission)
    narrator.line(
        "the daemon",
        f"{sats_text(split.total_sats)} = {sats_text(split.clients_sats)} for {len(view.shares)} clients + "
        f"{sats_text(split.commission_sats)} of commission"
        f"{f' ({receivers}, the house {split.house_sats:,})' if receivers else ''}; "
        f"booked {took.booked_ms} ms after the ATM's commit, paid after {took.settled_ms} ms.",
        style="green",
    )
    narrator.table(_COLUMNS, await _balances(stage, [view]), indent=TEXT_COLUMN)


# Units stand above, so that it fits into 80 columns.
_COLUMNS = ("who", ">buys sats", f">for {CURRENCY}", ">commission", f">has in {CURRENCY}", ">wallet sats")


async def _balances(stage: Stage, views: list[CashOutView]) -> list[list[str]]:
    """A row for each whom cash-outs concern; the last column is what LNbits itself says."""
    left_minor = {
        view.client_id: sum(balance.balance_minor for balance in view.balances)
        for view in await clients.list_all(stage.books)
    }
    lines = []
    for person in stage.people:
        if person.mode is Mode.FIXED:
            continue
        shares = [share for view in views for share in view.shares if share.client_id == person.client_id]
        parts = [part.sats for view in views for part in view.commission if part.client_id == person.client_id]
        in_wallet = stage.lnbits.balance_msat(person.wallet.inkey) // MSATS_PER_SAT
        buys = ["", "", ""]
        if person.mode is Mode.FLOW:
            buys = [
                f"+{sum(share.sats for share in shares):,}",
                _fiat(sum(share.fiat_minor for share in shares)),
                _fiat(left_minor[person.client_id]),
            ]
        commission = f"+{sum(parts):,}" if parts else ""
        lines.append([person.name, *buys[:2], commission, buys[2], f"{in_wallet:,}"])
    return lines


def _fiat(minor: int) -> str:
    return f"{from_minor(minor, CURRENCY):,}"


async def tell_balances(stage: Stage, narrator: Narrator, external_ids: list[str]) -> None:
    """What a whole burst has brought each of them."""
    views = [await cash_outs.show(stage.books, external_id) for external_id in external_ids]
    narrator.table(_COLUMNS, await _balances(stage, views), indent=TEXT_COLUMN)
