"""Tells the setting of the stage while it is set."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

from dca_daemon.demo import stage as setting
from dca_daemon.demo import week
from dca_daemon.demo.interrupts import Interrupts
from dca_daemon.demo.lnbits_server import install, is_installed
from dca_daemon.demo.narrator import Narrator
from dca_daemon.demo.people import ANA, SHARES
from dca_daemon.demo.stage import Stage
from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.money import sats_text


def prepare(
    narrator: Narrator, folder: Path, lnbits_dir: Path, stack: ExitStack, interrupts: Interrupts, *, keep: bool
) -> Stage:
    """Everything up to the daemon that is ready and listens."""
    narrator.title(
        "dca-daemon demo",
        "A simulated ATM; everything else is the real thing, on this computer only. The sats are play money.",
    )
    narrator.heading("Setting the stage")
    _install_lnbits(narrator, lnbits_dir)
    with narrator.waiting("starting PostgreSQL"):
        postgres = setting.start_postgres(folder, stack, interrupts, keep=keep)
    narrator.line("PostgreSQL", f"on 127.0.0.1 port {postgres.port}: Lamassu's database, and one for the books.")
    with narrator.waiting("starting LNbits"):
        lnbits = setting.start_lnbits(lnbits_dir, folder, stack)
    narrator.line("LNbits", f"at {lnbits.url}: the source wallet holds {sats_text(setting.TOP_UP_SATS)}.")
    stage = setting.set_up(folder, postgres, lnbits, stack, interrupts)
    narrator.line(
        "Lamassu", "the daemon's role reads the columns it needs and nothing else; the trigger is installed."
    )
    setting.make_history(stage)
    earlier = sum(states == {CashOutState.BEFORE_BASELINE} for states in stage.expected.values())
    narrator.line("history", f"{earlier} cash-outs succeeded before the daemon was there: they must not be paid.")
    asyncio.run(_play_the_week(stage, narrator))
    with narrator.waiting("starting the daemon"):
        seconds = stage.daemon.start()
    narrator.line(
        "daemon",
        f"process {stage.daemon.pid}, ready after {seconds:.1f} s, hears the ATM's notifications; "
        f"{stage.daemon.url}/status",
    )
    with narrator.waiting("starting the console"):
        stage.console.start()
    narrator.line("console", f"log in once, while the demo is up: {stage.console.url}{stage.login_path}")
    narrator.line("", f"Ana's own page: {stage.console.url}{stage.own_page_path}")
    return stage


async def _play_the_week(stage: Stage, narrator: Narrator) -> None:
    """The clock of the books is set back for it; every payment is real."""
    begun = time.monotonic()
    shared = ", ".join(f"{percent} % for {name}" for name, percent in SHARES)
    narrator.line("commission", f"{shared}; the rest of each stays with the house.")
    try:
        with narrator.waiting("playing the shop's last week, by a clock that is set back"):
            await week.play(stage, narrator)
        stage.login_path = await setting.login_link(stage)
        stage.own_page_path = await setting.own_page_link(stage, ANA.name)
    finally:
        await stage.books.close()  # its connections belong to this event loop
    narrator.line("", f"A week in {time.monotonic() - begun:.0f} s; every payment in it was made.")


def _install_lnbits(narrator: Narrator, lnbits_dir: Path) -> None:
    """Raises `ConfigError` when LNbits can't be had: without it there is nothing real to show."""
    if is_installed(lnbits_dir):
        return
    begun = time.monotonic()
    with narrator.waiting(f"installing LNbits into {lnbits_dir}, once: 200 MB, half a minute or so"):
        install(lnbits_dir)
    narrator.line("LNbits", f"installed into {lnbits_dir} in {time.monotonic() - begun:.0f} s.")
