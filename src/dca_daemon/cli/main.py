"""`dca-daemon`: the commands, and what becomes of an error.

Exit status: 0 done, 1 refused or failed with one line on stderr, 2 called wrongly, 130 interrupted. No traceback
reaches an operator unless asked for. Command modules import what they work with in their bodies only, so that
the program starts fast.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dca_daemon.cli import (
    audit,
    backup,
    cash,
    cash_out,
    cash_out_decisions,
    client,
    commission,
    context,
    db,
    deposit,
    distribution,
    fixed,
    importing,
    init,
    intake_filter,
    lamassu,
    ledger,
    machine,
    notify,
    payout,
    pool,
    reconcile,
    recover,
    report,
    run,
    shadow,
    simulate,
    token,
    treasury,
    user,
    webhook,
)
from dca_daemon.domain.errors import DcaError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
PROGRAM = "dca-daemon"
_PLAINER = {  # pydantic's words, as a person would say it
    "Value error, ": "",
    "Input should be a valid integer, unable to parse string as an integer": "must be a whole number",
    "Input should be": "must be",
}

app = typer.Typer(
    name=PROGRAM,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Shares the bitcoin of a Lamassu ATM's cash-outs among its DCA clients, and pays them through LNbits.",
)
run.register(app)
init.register(app)
reconcile.register(app)
simulate.register(app)
cash_out_decisions.register(cash_out.app)
cash_out.app.command("reverse")(distribution.reverse_cash_out)
for group in (
    db,
    lamassu,
    client,
    deposit,
    cash_out,
    distribution,
    commission,
    fixed,
    payout,
    pool,
    machine,
    cash,
    intake_filter,
    treasury,
    report,
    ledger,
    importing,
    shadow,
    user,
    token,
    webhook,
    notify,
):
    app.add_typer(group.app)
backup.register(app)
recover.register(app)
audit.register(app)


@app.callback()
def global_options(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="PATH",
            help="The configuration file. Without it: DCA_CONFIG, /etc/dca-daemon/config.toml, ./config.toml.",
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an unexpected fault comes from (also: DCA_DEBUG=1).")
    ] = False,
) -> None:
    """What may stand before any command."""
    context.given.config = config
    context.given.debug = debug


def main() -> None:
    """The entry point of the installed command."""
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: list[str]) -> int:
    """Runs one command; its exit status. Never raises."""
    context.given.config, context.given.debug = None, False
    if any(_is_garbled(argument) for argument in arguments):
        return _error("the command line is not valid UTF-8", USAGE)
    if arguments == ["version"]:  # Typer would import its validation for this, which takes longer than all else
        run.version()
        return DONE
    try:
        result = _run()(_config_first(arguments), prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the last flush
        return FAILED
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else FAILED
    except typer.Abort as abort:
        if isinstance(abort.__context__, KeyboardInterrupt):  # at a prompt
            return INTERRUPTED
        return _error("no answer: nothing was changed", FAILED)
    except DcaError as error:
        return _error(_sentence(error), FAILED)
    except Exception as error:  # noqa: BLE001 - the last line of defence: an operator sees a sentence
        return _usage(error) if hasattr(error, "format_message") else _unexpected(error)
    return result if isinstance(result, int) else DONE


@functools.cache
def _run() -> Callable[..., Any]:
    """Runs a command line; made once, since making it of all commands takes longer than most of them."""
    return typer.main.get_command(app).main


def _config_first(arguments: list[str]) -> list[str]:
    """`--config` may stand behind the command too, where most people write it."""
    for at, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument.startswith("--config="):
            return [argument, *arguments[:at], *arguments[at + 1 :]]
        if argument == "--config":
            return [*arguments[at : at + 2], *arguments[:at], *arguments[at + 2 :]]
    return arguments


def _is_garbled(argument: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in argument)


def _sentence(error: DcaError) -> str:
    """One line. Of several mistakes in the configuration the first; `doctor` shows them all."""
    lines = error.message.splitlines() or [error.code]
    if len(lines) > 1:
        return f"{lines[0]} (and {len(lines) - 1} more: see {PROGRAM} doctor)"
    return f"{lines[0]} ({error.remedy})" if error.remedy else lines[0]


def _usage(error: Any) -> int:
    """Typer's own errors: how the command was called."""
    message = error.format_message().removeprefix("Invalid value: ")
    for theirs, ours in _PLAINER.items():
        message = message.replace(theirs, ours)
    if not message:  # called without any argument: this shows the help
        error.show()
        return USAGE
    command = getattr(getattr(error, "ctx", None), "command_path", None) or PROGRAM
    return _error(f"{' '.join(message.split())} (see: {command} --help)", getattr(error, "exit_code", USAGE))


def _unexpected(error: Exception) -> int:
    if context.debugging():
        import traceback

        traceback.print_exception(error)
        return FAILED
    from dca_daemon.runtime.redaction import redact_text

    first = next(iter(str(getattr(error, "orig", None) or error).strip().splitlines()), "")
    what = redact_text(f"{type(error).__name__}: {first}" if first else type(error).__name__)
    return _error(f"unexpected fault, {what} (show where with: {PROGRAM} --debug …)", FAILED)


def _error(text: str, status: int) -> int:
    sys.stderr.write(f"error: {text}\n")
    return status
