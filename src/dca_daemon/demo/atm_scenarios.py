"""What can happen to a cash-out: each row of the table of cases as steps of a simulated ATM, with what it means.

A scenario yields one sentence after each write: a demo can tell it step by step, a test can look in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from dca_daemon.demo.atm import SimulatedAtm, Terms
from dca_daemon.domain.cash_out import Verdict

Steps = Callable[[SimulatedAtm, str], Iterator[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One case: `verdict` and `reason` are what `classify` must say when it has run."""

    name: str
    text: str
    steps: Steps
    verdict: Verdict
    reason: str
    coin: str = "BTC"
    discount: int | None = None


class RunningCashOut:
    """A cash-out under way: `step()` writes the next thing that happens to it."""

    def __init__(self, scenario: Scenario, external_id: str, steps: Iterator[str]) -> None:
        self.scenario = scenario
        self.id = external_id
        self._steps = steps

    def step(self) -> str | None:
        """Does the next write, and tells it; None when there is nothing more to come."""
        return next(self._steps, None)

    def run(self) -> str:
        """Does all that is left. Gives the id."""
        while self.step() is not None:
            pass
        return self.id


def begin(
    atm: SimulatedAtm, name: str, fiat: Decimal = Decimal(2000), *, ago: timedelta = timedelta()
) -> RunningCashOut:
    """Starts a scenario: the row is made; nothing else has happened yet. `ago` dates the row back."""
    scenario = SCENARIOS[name]
    terms: Terms = atm.terms if scenario.discount is None else replace(atm.terms, discount=scenario.discount)
    external_id = atm.ask(fiat, coin=scenario.coin, terms=terms, ago=ago)
    return RunningCashOut(scenario, external_id, scenario.steps(atm, external_id))


def run(atm: SimulatedAtm, name: str, fiat: Decimal = Decimal(2000), *, ago: timedelta = timedelta()) -> str:
    """Runs a scenario from beginning to end. Gives the id."""
    return begin(atm, name, fiat, ago=ago).run()


def _confirmed(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    atm.coins(tx, "published")
    yield "the coins are seen"
    atm.coins(tx, "confirmed")
    yield "the coins are confirmed"


def _dispensed(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    atm.request_notes(tx)
    yield "the machine is told to dispense"
    atm.report(tx)
    yield "all notes came out"


def _on_chain(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    yield from _confirmed(atm, tx)
    yield from _dispensed(atm, tx)


def _lightning(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    atm.coins(tx, "confirmed")
    yield "the invoice is paid"
    yield from _dispensed(atm, tx)


def _zero_conf_unconfirmed(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    atm.coins(tx, "published")
    yield "the coins are seen"
    atm.coins(tx, "authorized")
    yield "the coins are accepted without a confirmation"
    yield from _dispensed(atm, tx)


def _zero_conf(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    yield from _zero_conf_unconfirmed(atm, tx)
    atm.coins(tx, "confirmed")
    yield "the coins are confirmed, long after the notes"


def _redeem(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    atm.coins(tx, "published")
    yield "the coins are seen"
    atm.redeem_later(tx)
    yield "the layperson leaves, to come back"
    atm.coins(tx, "confirmed")
    yield "the coins are confirmed"
    yield from _dispensed(atm, tx)


def _underpaid(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    atm.coins(tx, "insufficientFunds", received=1_000)
    yield "too few coins arrive"
    atm.coins(tx, "confirmed", received=100_000_000)
    yield "more coins arrive than were asked for"
    yield from _dispensed(atm, tx)


def _cancelled_after(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    yield from _on_chain(atm, tx)
    atm.cancel(tx)
    yield "the operator cancels it, with the notes out"


def _cancelled(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    yield from _confirmed(atm, tx)
    atm.cancel(tx)
    yield "the operator cancels it"


def _dispenser_error(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    yield from _confirmed(atm, tx)
    atm.request_notes(tx)
    yield "the machine is told to dispense"
    atm.report(tx, notes=3, error="Error: dispenser jammed")
    yield "the dispenser jams, with a part of the notes out"


def _scoring(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    yield from _confirmed(atm, tx)
    atm.refuse_score(tx)
    yield "the scoring of the wallet refuses it"


def _short(notes: int) -> Steps:
    def steps(atm: SimulatedAtm, tx: str) -> Iterator[str]:
        yield from _confirmed(atm, tx)
        atm.request_notes(tx)
        yield "the machine is told to dispense"
        atm.report(tx, notes=notes)
        yield f"{notes} notes came out, without any error"

    return steps


def _died(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    yield from _confirmed(atm, tx)
    atm.request_notes(tx)
    yield "the machine is told to dispense, and falls silent"


def _late(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    yield from _died(atm, tx)
    atm.report(tx)
    yield "the machine starts again, and reports that all notes came out"


def _never_paid(atm: SimulatedAtm, tx: str) -> Iterator[str]:
    yield from ()


def _success(name: str, text: str, steps: Steps, coin: str = "BTC", discount: int | None = None) -> Scenario:
    return Scenario(
        name=name,
        text=text,
        steps=steps,
        verdict=Verdict.SUCCESS,
        reason="dispensed",
        coin=coin,
        discount=discount,
    )


def _fails(name: str, text: str, steps: Steps, reason: str) -> Scenario:
    return Scenario(name=name, text=text, steps=steps, verdict=Verdict.FAILED, reason=reason)


_ALL = (
    _success("on-chain", "on-chain, confirmed, dispensed", _on_chain),
    _success("lightning", "paid over Lightning", _lightning, coin="LN"),
    _success("zero-conf", "dispensed before the confirmation", _zero_conf),
    _success("zero-conf-unconfirmed", "dispensed, never confirmed", _zero_conf_unconfirmed),
    _success("redeem-later", "the cash is fetched later", _redeem),
    _success("underpaid", "underpaid, then topped up", _underpaid),
    _success("promo", "half of the commission is waived", _on_chain, discount=50),
    _success("promo-full", "all of the commission is waived", _on_chain, discount=100),
    _success("late", "the machine reports days later", _late),
    Scenario(
        name="other-coin", text="another coin", steps=_on_chain, verdict=Verdict.IGNORED, reason="other-coin",
        coin="LTC"
    ),
    Scenario(
        name="cancelled-after-notes", text="cancelled with the notes out", steps=_cancelled_after,
        verdict=Verdict.REVIEW, reason="paid-and-cancelled",
    ),
    _fails("cancelled", "the operator cancels it", _cancelled, "operator-cancel"),
    _fails("dispenser-error", "a part of the notes is out", _dispenser_error, "error"),
    _fails("scoring-error", "the scoring refuses the coins", _scoring, "error"),
    _fails("short-dispense", "too few notes, without an error", _short(7), "dispense-unconfirmed"),
    _fails("machine-died", "silence after the dispense was requested", _died, "dispense-unconfirmed"),
    _fails("cassettes-empty", "no notes at all", _short(0), "dispense-unconfirmed"),
    _fails("never-paid", "the layperson leaves without paying", _never_paid, "not-paid"),
)  # fmt: skip
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
