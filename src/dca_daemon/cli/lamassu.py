"""`dca-daemon lamassu`: what is set up once in Lamassu's database, and from when on cash-outs count."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from dca_daemon.cli.context import actor, confirm, load, read_secret_file, usage_error, with_books
from dca_daemon.cli.findings import finding_dict, print_findings
from dca_daemon.cli.output import AsJson, Yes, iso, print_json, print_pairs, say, when
from dca_daemon.domain.errors import ConfigError, InputError, SourceError
from dca_daemon.domain.moments import parse_time

if TYPE_CHECKING:
    from dca_daemon.lamassu.tunnel import Tunnel
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.baseline import Baseline
    from dca_daemon.services.doctor import Finding

T = TypeVar("T")

app = typer.Typer(
    name="lamassu", no_args_is_help=True, help="Lamassu's database: rights, trigger, check, baseline."
)

ADMIN_DSN_ENV = "DCA_LAMASSU_ADMIN_DSN"
DEFAULT_ROLE = "dca_reader"
DEFAULT_CHANNEL = "dca_cash_out"

AdminDsnFile = Annotated[
    Path | None,
    typer.Option(
        "--admin-dsn-file",
        metavar="PATH",
        help=f"A file with an administrator's DSN of Lamassu's database. Without it: {ADMIN_DSN_ENV}.",
    ),
]
Print = Annotated[
    bool, typer.Option("--print", help="Print the SQL, to be run elsewhere, and connect to nothing.")
]
Role = Annotated[str, typer.Option("--role", metavar="NAME", help="The role that the daemon reads with.")]


@app.command()
def grants(
    role: Role = DEFAULT_ROLE,
    database: Annotated[
        str, typer.Option("--database", metavar="NAME", help="The database's name in the printed SQL.")
    ] = "lamassu",
    print_sql: Print = False,
    admin_dsn_file: AdminDsnFile = None,
    as_json: AsJson = False,
) -> None:
    """Make the role that the daemon reads with: it may read the columns that are needed, and nothing else.

    Its password is not part of it: set it afterwards with \\password in psql.
    """
    from dca_daemon.lamassu.grants import grants_sql

    if print_sql:
        _print_sql(grants_sql(role, database), as_json=as_json)
        return
    from dca_daemon.lamassu.grants_apply import apply_grants

    dsn = _admin_dsn("grants", admin_dsn_file)
    done = _through_tunnel(lambda tunnel: apply_grants(dsn, role, tunnel=tunnel))
    if as_json:
        print_json({"role": role, "database": done})
    else:
        say(f"Role {role} may read what is needed of {done}. Set its password in psql: \\password {role}")


@app.command("install-trigger")
def install_trigger(
    print_sql: Print = False, admin_dsn_file: AdminDsnFile = None, as_json: AsJson = False
) -> None:
    """Install the trigger that tells the daemon of a cash-out at its commit.

    It can't fail the machine's own transaction. Without it, the daemon looks every few seconds.
    """
    from dca_daemon.lamassu import trigger

    channel = _channel()
    if print_sql:
        _print_sql(trigger.install_sql(channel), as_json=as_json)
        return
    dsn = _admin_dsn("install-trigger", admin_dsn_file)
    changed = _through_tunnel(lambda tunnel: trigger.install(dsn, channel, tunnel=tunnel))
    if as_json:
        print_json({"installed": True, "changed": changed, "channel": channel})
    elif changed:
        say(f"The trigger is installed; it notifies on {channel}.")
    else:
        say(f"The trigger was installed already; it notifies on {channel}.")


@app.command("remove-trigger")
def remove_trigger(print_sql: Print = False, admin_dsn_file: AdminDsnFile = None, as_json: AsJson = False) -> None:
    """Remove the trigger and its function. The daemon goes on by looking every few seconds."""
    from dca_daemon.lamassu import trigger

    if print_sql:
        _print_sql(trigger.remove_sql(), as_json=as_json)
        return
    dsn = _admin_dsn("remove-trigger", admin_dsn_file)
    changed = _through_tunnel(lambda tunnel: trigger.remove(dsn, tunnel=tunnel))
    if as_json:
        print_json({"installed": False, "changed": changed})
    else:
        say("The trigger is removed." if changed else "There was no trigger to remove.")


@app.command()
def check(role: Role = DEFAULT_ROLE, print_sql: Print = False, as_json: AsJson = False) -> None:
    """Look at Lamassu's database: columns, rights, clock, trigger, notifications. Exit status 1 if one fails.

    --role is for the printed SQL only; otherwise the role is that of lamassu.dsn.
    """
    if print_sql:
        from dca_daemon.lamassu.check_sql import check_sql

        _print_sql(check_sql(role, _channel()), as_json=as_json)
        return
    from dca_daemon.runtime.wiring import source_config
    from dca_daemon.services.doctor import Level, Subject, check_lamassu

    config = source_config(load())

    async def look() -> list[Finding]:
        try:
            return await check_lamassu(Subject(source=config))
        finally:
            await config.close()

    findings = asyncio.run(look())
    failed = [finding for finding in findings if finding.level is Level.FAIL]
    if as_json:
        print_json({"ok": not failed, "findings": [finding_dict(finding) for finding in findings]})
    else:
        print_findings(findings)
    if failed:
        raise SourceError(f"Lamassu's database can't be used: {failed[0].text}", remedy=failed[0].remedy or None)


@app.command()
def baseline(
    to: Annotated[
        str | None,
        typer.Option("--set", metavar="TIME", help="Move it, such as to 2026-01-31T00:00:00-06:00."),
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why it is moved.")] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show from when on cash-outs count, or move that time.

    Moved to an earlier time, successful cash-outs since then that were left out are distributed at the next
    scan. Moved to a later one, those before it that are not distributed yet are left out. What is distributed
    stays distributed.
    """
    from dca_daemon.services import baseline as service

    if to is None:
        if reason is not None:
            raise usage_error("--reason goes with --set")
        found = with_books(load(), service.show)
    else:
        found = _move_baseline(parse_time(to), reason, yes=yes)
    if as_json:
        print_json({"baseline": None if found is None else _baseline_dict(found)})
    elif found is None:
        say("There is no baseline yet: the daemon sets it to the moment of its first look.")
    else:
        print_pairs(
            [
                ("Cash-outs count from", when(found.at)),
                ("Set", f"{when(found.set_at)} by {found.set_by}"),
                ("Left out", f"{found.left_out} that were successful before"),
            ]
        )


def _move_baseline(at: datetime, reason: str | None, *, yes: bool) -> Baseline:
    from dca_daemon.lamassu.source import LamassuSource
    from dca_daemon.runtime.wiring import source_config
    from dca_daemon.services import baseline as service

    if reason is None or not reason.strip():
        raise InputError("moving the baseline needs a reason", remedy="add --reason")
    settings = load()
    config = source_config(settings)
    before = with_books(settings, service.show)
    now_at = "there is none yet" if before is None else f"it is {when(before.at)}"
    confirm(f"Move the baseline to {when(at)} ({now_at})? What it lets in is paid out.", yes=yes)

    async def work(db: Database) -> Baseline:
        source = LamassuSource(config)
        try:
            return await service.set_to(
                db, source, at, actor=actor(), reason=reason, new_machines_wait=settings.pool.new_machines_wait
            )
        finally:
            await source.close()

    return with_books(settings, work)


def _baseline_dict(found: Baseline) -> dict[str, Any]:
    return {
        "source": found.source,
        "at": iso(found.at),
        "set_at": iso(found.set_at),
        "set_by": found.set_by,
        "left_out": found.left_out,
    }


def _through_tunnel(work: Callable[[Tunnel | None], Awaitable[T]]) -> T:
    """Runs `work` with the tunnel of the configuration, if there is one, and closes it."""
    from dca_daemon.runtime import wiring

    tunnel = wiring.tunnel(load())

    async def session() -> T:
        try:
            return await work(tunnel)
        finally:
            if tunnel is not None:
                await tunnel.close()

    return asyncio.run(session())


def _channel() -> str:
    """The configured channel, also where Lamassu's section is not complete yet."""
    from dca_daemon.runtime.settings_sources import gather, read_toml

    settings = load()
    try:
        return settings.lamassu.channel
    except ConfigError:
        document = read_toml(settings.config_path) if settings.config_path else {}
        raws, _ = gather(document, [])
        return str(raws["lamassu"].values.get("channel", DEFAULT_CHANNEL))


def _admin_dsn(command: str, file: Path | None) -> str:
    dsn = read_secret_file(file, "the administrator's DSN") if file else os.environ.get(ADMIN_DSN_ENV, "").strip()
    if not dsn:
        raise InputError(
            f"lamassu {command} needs an administrator's connection",
            remedy=f"give --admin-dsn-file or {ADMIN_DSN_ENV}, or use --print and run the SQL yourself",
        )
    return dsn


def _print_sql(sql: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"sql": sql})
    else:
        say(sql.rstrip("\n"))
