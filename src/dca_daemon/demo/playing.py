"""After the check everything stays up, to be looked at and played with."""

from __future__ import annotations

import re
import shlex
import sys
import time

from dca_daemon.demo import acts
from dca_daemon.demo.atm_scenarios import SCENARIOS
from dca_daemon.demo.check import check
from dca_daemon.demo.daemon_process import program
from dca_daemon.demo.interrupts import Interrupted
from dca_daemon.demo.narrator import Narrator
from dca_daemon.demo.stage import Stage
from dca_daemon.domain.errors import DcaError

_COMMANDS = (  # each works while the demo is up
    "client list", "cash-out list", "cash-out show {cash_out}", "cash-out review", "payout list",
    "commission show", "fixed preview", "fixed history", "treasury show", "cash report",
    "report client 'Ana Morales'", "report period --by day", "audit", "ledger verify",
    "ledger export --format hledger", "doctor",
)  # fmt: skip
_DEFAULT = "lightning"
_DEFAULT_FIAT = 500
_NOTE = 100
_MOST_FIAT = 100_000


async def stay_up(stage: Stage, narrator: Narrator) -> None:
    """Shows how to look at it, and lets the user make cash-outs, until asked to end."""
    _tell_where(stage, narrator)
    try:
        if sys.stdin is not None and sys.stdin.isatty():
            await _prompt(stage, narrator)
        else:
            narrator.say("Everything stays up until Ctrl-C or SIGTERM.")
            _wait(stage)
    except Interrupted:
        narrator.say()
    narrator.say("Stopping everything …")


def _tell_where(stage: Stage, narrator: Narrator) -> None:
    command = f"{shlex.join(program())} --config {shlex.quote(str(stage.daemon.config))}"
    example = next(iter(stage.by_hand.values()), "1")  # what stands by hand
    narrator.heading("Yours to play with")
    narrator.line("console", f"{stage.console.url}{stage.login_path}  (logs in once)")
    narrator.line("", f"Ana's own page: {stage.console.url}{stage.own_page_path}")
    narrator.line("daemon", f"{stage.daemon.url}/status  /readyz  /metrics")
    narrator.line("LNbits", f"{stage.lnbits.url}  (user and password: {stage.lnbits.data_dir}/super-user.json)")
    narrator.line("log", str(stage.daemon.log_file))
    narrator.say()
    for text in _COMMANDS:
        narrator.say(f"  {command} {text.format(cash_out=example)}")
    narrator.say()


def _wait(stage: Stage) -> None:
    while True:
        stage.daemon.check_alive()
        stage.console.check_alive()
        time.sleep(1)


async def _prompt(stage: Stage, narrator: Narrator) -> None:
    narrator.say(f"Enter: a cash-out of {_DEFAULT_FIAT} GTQ. NAME [FIAT]: one of another kind. names: the kinds.")
    narrator.say("check: compares everything again. q: ends the demo.")
    while True:
        try:
            words = input("demo> ").split()  # noqa: ASYNC250 - nothing else runs meanwhile
        except EOFError:
            return
        if words[:1] in (["q"], ["quit"], ["exit"]):
            return
        try:
            await _do(stage, narrator, words or [_DEFAULT])
        except DcaError as error:
            narrator.say(str(error), style="red")


async def _do(stage: Stage, narrator: Narrator, words: list[str]) -> None:
    name, *rest = words
    fiat = _notes(rest)
    if name == "check":
        await check(stage, narrator)
    elif name == "names":
        for scenario in SCENARIOS.values():
            narrator.say(f"  {scenario.name:<24}{scenario.text}")
    elif name not in SCENARIOS:
        narrator.say(f"there is no {name!r}; names: the kinds of cash-outs, q: the end")
    elif fiat is None:
        narrator.say(f"the machine has notes of {_NOTE}, for up to {_MOST_FIAT:,} at once, such as: {name} 500")
    else:
        await acts.tell(stage, narrator, acts.play(stage, name, fiat, machine=len(stage.expected)))


def _notes(words: list[str]) -> int | None:
    """The amount that was typed, if it is one that the machine can give; without any, the usual one."""
    if not words:
        return _DEFAULT_FIAT
    if len(words) > 1 or not re.fullmatch("[0-9]{1,9}", words[0]):
        return None
    fiat = int(words[0])
    return fiat if 0 < fiat <= _MOST_FIAT and fiat % _NOTE == 0 else None
