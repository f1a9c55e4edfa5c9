"""`dca-daemon shadow`: what the daemon would do, beside a live system."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import typer

from dca_daemon.cli import shadow_json, shadow_views
from dca_daemon.cli.context import confirm, load, usage_error
from dca_daemon.cli.output import AsJson, Yes, iso, note, print_json, say, when
from dca_daemon.cli.simulate import (
    ChargeRule,
    ClientsFile,
    Few,
    Method,
    ScratchDatabase,
    shadow_config,
)

if TYPE_CHECKING:
    from dca_daemon.services.baseline import Baseline
    from dca_daemon.services.intake import IntakeResult
    from dca_daemon.services.shadow.opening import Opening

app = typer.Typer(name="shadow", invoke_without_command=True)


@app.callback()
def shadow(
    context: typer.Context,
    clients: ClientsFile = None,
    split_method: Method = None,
    charge: ChargeRule = None,
    database: ScratchDatabase = None,
    limit: Few = 20,
    as_json: AsJson = False,
) -> None:
    """Run until Ctrl-C beside a live system: show each cash-out as the daemon would share it, and pay nothing.

    It begins with the clients and balances of the books, and follows what comes to them, but for cash-outs: it
    shares these itself, on scratch books. It goes on where it ended; `shadow report` shows what it has, also while
    it runs. Where the books have the same cash-outs, both are compared.
    """
    if context.invoked_subcommand is not None:
        if any((clients, split_method, charge, database, as_json)):
            raise usage_error(f"put the options behind: shadow {context.invoked_subcommand} --…")
        return
    from dca_daemon.runtime.shadow import run_shadow

    config = shadow_config(load(), clients, database, split_method, charge)
    found = asyncio.run(
        run_shadow(config, _tell_json if as_json else _tell, _begun_json if as_json else _begun, limit=limit)
    )
    if as_json:
        _line({"kind": "report", **shadow_json.outcome_dict(found)})
    else:
        say()
        shadow_views.show(found)
        say(shadow_views.NOTHING_HAPPENED)


@app.command()
def report(database: ScratchDatabase = None, limit: Few = 20, as_json: AsJson = False) -> None:
    """Show what the shadow has so far, and what the books have of the same cash-outs. It may be running."""
    from dca_daemon.runtime.shadow import shadow_report

    config = shadow_config(load(), None, database, None, None)
    found = asyncio.run(shadow_report(config, limit=limit))
    if as_json:
        print_json(shadow_json.outcome_dict(found))
    else:
        say(f"Shadow since {when(found.report.begun_at)}")
        shadow_views.show(found)
        say(shadow_views.NOTHING_HAPPENED)


@app.command()
def discard(database: ScratchDatabase = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Drop what the shadow has; the next one begins anew. The books know nothing of it."""
    from dca_daemon.runtime.shadow import discard_shadow

    config = shadow_config(load(), None, database, None, None)
    confirm("Drop all that the shadow has?", yes=yes)
    dropped = asyncio.run(discard_shadow(config))
    if as_json:
        print_json({"discarded": dropped})
    else:
        say("The shadow is gone." if dropped else "There was no shadow.")


def _begun(baseline: Baseline) -> None:
    note(f"Shadow: cash-outs since {when(baseline.at)}. Nothing is paid. Ctrl-C ends it.")


def _tell(result: IntakeResult, opening: Opening) -> None:
    for line in shadow_views.batch_lines(result, opening):
        say(line)
    sys.stdout.flush()


def _begun_json(baseline: Baseline) -> None:
    _line({"kind": "begun", "since": iso(baseline.at)})


def _tell_json(result: IntakeResult, opening: Opening) -> None:
    for one in shadow_json.batch_dicts(result, opening):
        _line(one)


def _line(data: dict[str, Any]) -> None:
    """One JSON object on one line, at once: whoever reads along need not wait."""
    say(json.dumps(data, ensure_ascii=False))
    sys.stdout.flush()
