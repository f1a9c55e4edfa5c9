"""`dca-daemon init`: from nothing to a configuration that was tried."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import given as global_given
from dca_daemon.cli.context import read_secret_file, usage_error
from dca_daemon.cli.findings import finding_dict
from dca_daemon.cli.output import AsJson, note, print_json, say
from dca_daemon.domain.errors import InputError

if TYPE_CHECKING:
    from dca_daemon.runtime.setting_up.folder import Folder
    from dca_daemon.runtime.setting_up.remaining import Step
    from dca_daemon.runtime.setting_up.setup import Outcome

STDIN = Path("-")
_STDIN_MAX_CHARS = 65_536


def register(app: typer.Typer) -> None:
    """Adds the command to the program."""
    app.command()(init)


def _file(option: str, what: str) -> Any:
    return typer.Option(option, metavar="PATH", help=f"A file that holds {what}; - for stdin.")


def init(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="PATH", help="Where the files go. Without it, for root: /etc/dca-daemon."),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Ask nothing: all answers are given here, in the environment or in files."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace what is there and is not as it is given now.")
    ] = False,
    untested: Annotated[bool, typer.Option("--untested", help="Try no connection.")] = False,
    currency: Annotated[
        str | None,
        typer.Option("--currency", metavar="CODE", help="The currency of the machines' notes, such as GTQ."),
    ] = None,
    lnbits_url: Annotated[
        str | None, typer.Option("--lnbits-url", metavar="URL", help="Where LNbits answers.")
    ] = None,
    database_url_file: Annotated[Path | None, _file("--database-url-file", "our own database's address")] = None,
    lamassu_dsn_file: Annotated[
        Path | None, _file("--lamassu-dsn-file", "the address of Lamassu's database")
    ] = None,
    lnbits_admin_key_file: Annotated[
        Path | None, _file("--lnbits-admin-key-file", "the admin key of the wallet that pays")
    ] = None,
    encryption_keys_file: Annotated[
        Path | None, _file("--encryption-keys-file", "encryption keys that you have already")
    ] = None,
    create_database: Annotated[
        bool | None,
        typer.Option("--create-database/--no-create-database", help="Make role and database, if they are needed."),
    ] = None,
    admin_dsn_file: Annotated[
        Path | None,
        _file("--admin-dsn-file", "a superuser's DSN; without it: the server on this computer, as root"),
    ] = None,
    role: Annotated[str, typer.Option("--role", metavar="NAME", help="The role that is made.")] = "dca",
    database: Annotated[
        str, typer.Option("--database", metavar="NAME", help="The database that is made.")
    ] = "dca",
    upgrade: Annotated[
        bool | None, typer.Option("--upgrade/--no-upgrade", help="Make the tables in an empty database.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set the daemon up: ask for what it needs, try each connection, write config.toml and the secrets' files.

    Every answer can be given as an option or in the environment (DCA_LNBITS__URL and so on). Safe to run again:
    what is there is tried and kept, and never replaced without a yes. The encryption key is made once. At the end
    it says what remains to be done. Nothing is started.
    """
    from dca_daemon.cli.init_person import person
    from dca_daemon.ledger.new_database import Names
    from dca_daemon.runtime.logging import configure_logging
    from dca_daemon.runtime.setting_up.folder import Folder
    from dca_daemon.runtime.setting_up.remaining import remaining
    from dca_daemon.runtime.setting_up.setup import Setup, Wishes

    if not yes and not sys.stdin.isatty():
        raise InputError("there is nobody to ask", remedy="add --yes, and give every answer")
    files = {
        "database.url": database_url_file,
        "lamassu.dsn": lamassu_dsn_file,
        "lnbits.admin_key": lnbits_admin_key_file,
        "security.encryption_keys": encryption_keys_file,
    }
    if [*files.values(), admin_dsn_file].count(STDIN) > 1:
        raise usage_error("stdin can hold one answer only")
    configure_logging(level="error")
    given = _given({"pool.currency": currency, "lnbits.url": lnbits_url}, files)
    where = Folder(_folder(folder))
    wishes = Wishes(
        replace=replace,
        untested=untested,
        create=create_database,
        names=Names(role, database),
        admin_dsn=_read(admin_dsn_file, "a superuser's DSN"),
        upgrade=upgrade,
    )
    tell = note if as_json else say
    setup = Setup(where, person(nobody=yes, quiet=as_json, tell=tell), given, wishes)
    try:
        outcome = setup.run()
    except typer.Abort as abort:
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise
        raise InputError("no answer: what worked until here is kept", remedy="run it again") from None
    steps = remaining(where, outcome, sudo="SUDO_USER" in os.environ)
    if as_json:
        print_json(_as_dict(where, outcome, steps))
    else:
        _show(where, outcome, steps)


def _folder(named: Path | None) -> Path:
    from dca_daemon.runtime.setting_up.folder import SYSTEM

    if global_given.config is not None:
        raise usage_error("init takes a folder, --dir, and no --config")
    if named is not None:
        return named.absolute()
    if os.geteuid() != 0:
        raise InputError(
            f"only root can write into {SYSTEM}", remedy="run it with sudo, or name a folder with --dir"
        )
    return SYSTEM


def _given(plain: Mapping[str, str | None], files: Mapping[str, Path | None]) -> dict[str, str]:
    """Answers that need not be asked for: of an option, else of the environment."""
    from dca_daemon.runtime.setting_up.questions import from_environment

    found = {}
    for key, text in {**plain, **{key: _read(path, key) for key, path in files.items()}}.items():
        if value := text or from_environment(key):
            found[key] = value
    return found


def _read(path: Path | None, what: str) -> str | None:
    if path is None:
        return None
    if path != STDIN:
        text = read_secret_file(path, what)
    else:
        try:
            text = sys.stdin.read(_STDIN_MAX_CHARS).strip()
        except UnicodeDecodeError:
            raise InputError(f"{what} on stdin is not valid UTF-8") from None
    if not text:
        raise InputError(f"{'stdin' if path == STDIN else path} is empty", remedy=f"it must hold {what}")
    return text


def _as_dict(folder: Folder, outcome: Outcome, steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "folder": str(folder.path),
        "files": [{"name": name, "change": change.value} for name, change in folder.changes.items()],
        "findings": [finding_dict(finding) for finding in outcome.findings],
        "left_open": outcome.later,
        "remaining": [{"text": s.text, "commands": list(s.commands), "sql": s.sql} for s in steps],
    }


def _show(folder: Folder, outcome: Outcome, steps: Sequence[Step]) -> None:
    say(f"\nFiles in {folder.path}")
    width = max(len(name) for name in folder.changes)
    for name, change in folder.changes.items():
        say(f"  {name:<{width}}  {change.value}")
    for number, step in enumerate(steps, 1):
        if step.sql:
            say(f"\n-- SQL of step {number} below {'-' * 60}\n{step.sql.rstrip()}")
    say("\nWhat remains to be done")
    for number, step in enumerate(steps, 1):
        say(f"{number:>3}. {step.text}:")
        for command in step.commands:
            say(f"       {command}")
