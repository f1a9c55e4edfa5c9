"""`dca-daemon demo`: sets everything up, plays the story, compares all sides to the sat, and stays up.

`run_demo` is the one entry. Whatever happens, and whenever it is interrupted, nothing that it started stays
behind: each thing registers how it is ended before it is started.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from dca_daemon.demo import acts, bursts, rest
from dca_daemon.demo.check import Agreement, check
from dca_daemon.demo.folder import demo_folder
from dca_daemon.demo.interrupts import Interrupted, Interrupts
from dca_daemon.demo.narrator import Narrator
from dca_daemon.demo.playing import stay_up
from dca_daemon.demo.setting import prepare
from dca_daemon.demo.stage import Stage
from dca_daemon.domain.errors import DcaError
from dca_daemon.runtime.logging import configure_logging

LNBITS_DIR_ENV = "DCA_DEMO_LNBITS_DIR"


def run_demo(
    once: bool = False, as_json: bool = False, *, data_dir: Path | None = None, lnbits_dir: Path | None = None
) -> int:
    """Runs the demo; its exit status: 0 when everything agreed, 1 when not or when a step failed.

    `once`: ends after the check. `as_json`: tells the story on stderr, and the result as one JSON object on
    stdout. `data_dir`: a new or empty folder for everything, kept afterwards; else a temporary one.
    `lnbits_dir`: where LNbits is installed, once, for all demos.
    """
    begun = time.monotonic()
    configure_logging(level="error")
    narrator = Narrator(sys.stderr if as_json else sys.stdout)
    with Interrupts() as interrupts:
        try:
            with demo_folder(data_dir) as folder, ExitStack() as stack:
                try:
                    stage = prepare(
                        narrator, folder, _lnbits_dir(lnbits_dir), stack, interrupts, keep=data_dir is not None
                    )
                    status = asyncio.run(_perform(stage, narrator, begun, once=once, as_json=as_json))
                    if data_dir is not None:
                        narrator.say(f"Kept: {folder}, and PostgreSQL's data in {stage.postgres.log_file.parent}")
                    return status
                finally:
                    interrupts.ignore()
        except Interrupted as interruption:
            narrator.say("Interrupted; everything is stopped.")
            return interruption.status
        except DcaError as error:
            sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
            return 1


def _lnbits_dir(given: Path | None) -> Path:
    if given is not None:
        return given
    if named := os.environ.get(LNBITS_DIR_ENV):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "dca-daemon" / "lnbits"


async def _perform(stage: Stage, narrator: Narrator, begun: float, *, once: bool, as_json: bool) -> int:
    """The story, the check, and what comes after."""
    try:
        await _play(stage, narrator)
        found = await check(stage, narrator)
        if as_json:
            print(_json(found, time.monotonic() - begun), flush=True)
        status = 0 if found.agrees else 1
        if not once:
            await stay_up(stage, narrator)
        return status
    finally:
        await stage.books.close()


async def _play(stage: Stage, narrator: Narrator) -> None:
    narrator.heading("Cash-outs that are shared among the clients")
    for number, (name, fiat) in enumerate(acts.SUCCESSES):
        await acts.tell(stage, narrator, acts.play(stage, name, fiat, machine=number))
    narrator.heading("Cash-outs that bring the clients nothing")
    narrator.line("the daemon", "hears of successes at once; it finds failures by its scan, here every second.")
    told = [acts.play(stage, name, fiat, machine=n) for n, (name, fiat) in enumerate(acts.NOT_SHARED)]
    for each in [*told, acts.play_cancelled_during(stage)]:
        await acts.tell(stage, narrator, each)
    narrator.heading("A machine that had died before the daemon was installed starts again")
    await acts.tell_late(stage, narrator)
    narrator.heading(f"{bursts.SIZE} cash-outs at once")
    await bursts.many_at_once(stage, narrator)
    narrator.heading("The daemon is killed in the middle of a burst")
    await bursts.killed_in_the_middle(stage, narrator)
    narrator.heading("The rest of the money: where everything went")
    await rest.tell_all(stage, narrator)


def _json(found: Agreement, seconds: float) -> str:
    return json.dumps(
        {
            "agrees": found.agrees,
            "cash_outs": found.cash_outs,
            "records": found.records,
            "payouts": found.payouts,
            "paid_sats": found.paid_sats,
            "owed_sats": found.owed_sats,
            "commission_sats": found.commission_sats,
            "fixed_sats": found.fixed_sats,
            "seconds": round(seconds, 1),
        }
    )
