"""What remains to be done by hand after `dca-daemon init`, in its order."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from dca_daemon.lamassu.grants import grants_sql
from dca_daemon.lamassu.trigger import install_sql
from dca_daemon.runtime.setting_up.folder import SYSTEM, Folder
from dca_daemon.runtime.setting_up.questions import KEYS, LAMASSU
from dca_daemon.runtime.setting_up.setup import Outcome
from dca_daemon.services.doctor import Level

ROLE, LAMASSU_DATABASE, CHANNEL = "dca_reader", "lamassu", "dca_cash_out"
_ON_THEIR_SERVER = "ssh root@lamassu-server 'sudo -u postgres psql lamassu -v ON_ERROR_STOP=1'"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: why, the commands, and the SQL that they run elsewhere, if any."""

    text: str
    commands: tuple[str, ...] = ()
    sql: str | None = None


def remaining(folder: Folder, outcome: Outcome, *, sudo: bool = False) -> list[Step]:
    """All steps from here to a running service; with `sudo` before each command, where the person needs it."""
    root = "sudo " if sudo else ""
    program = f"{root}dca-daemon"
    if folder.path != SYSTEM:
        program = f"{program} --config {shlex.quote(str(folder.config))}"
    steps = _lamassu(folder, outcome, program, root)
    left = [key for key in outcome.later if key != LAMASSU]
    if left:
        steps.append(Step(f"Answer what was left open ({', '.join(left)})", (_again(folder, root),)))
    if outcome.made_keys:
        text = "Keep a copy of the new encryption key away from this computer: without it stored keys are lost"
        steps.append(Step(text, (f"{root}cat {shlex.quote(str(folder.secret_path(KEYS)))}",)))
    if not outcome.schema_fits:
        steps.append(Step("Bring the database to this program's schema", (f"{program} db upgrade",)))
    steps.append(Step("Look at everything once more", (f"{program} doctor",)))
    steps.append(Step("Let somebody into the console", (f"{program} user add NAME --role admin",)))
    if folder.path == SYSTEM:
        start = f"{root}systemctl enable --now dca-daemon dca-console"
        steps.append(Step("Start the services", (start, f"{root}journalctl -u dca-daemon -f")))
    else:
        steps.append(Step("Start the daemon, and the console", (f"{program} run", f"{program} console")))
    steps.append(Step("Then the first client and its deposit", (f"{program} client add --help",)))
    return steps


def _lamassu(folder: Folder, outcome: Outcome, program: str, root: str) -> list[Step]:
    levels = {f.name: f.level for f in outcome.findings if f.area == "lamassu"}  # the last look counts
    channel = str(folder.document.get("lamassu", {}).get("channel", CHANNEL))
    steps = []
    if levels.get("columns") is not Level.OK:
        steps.append(
            Step(
                "On Lamassu's server, as its superuser: make the role to read with, and set its password",
                (f"{program} lamassu grants --print | {_ON_THEIR_SERVER}", f"there, in psql: \\password {ROLE}")
                + ((_again(folder, root),) if LAMASSU in outcome.later else ()),
                grants_sql(ROLE, LAMASSU_DATABASE),
            )
        )
    if levels.get("trigger") is not Level.OK:
        steps.append(
            Step(
                "There too: install the trigger, so that a cash-out is seen at once and not after seconds",
                (f"{program} lamassu install-trigger --print | {_ON_THEIR_SERVER}",),
                install_sql(channel),
            )
        )
    return steps


def _again(folder: Folder, root: str) -> str:
    where = "" if folder.path == SYSTEM else f" --dir {shlex.quote(str(folder.path))}"
    return f"{root}dca-daemon init{where}"
