"""`dca-daemon backup` and `dca-daemon restore`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from dca_daemon.cli.backup_views import backup_dict, drill_dict, facts, pairs, rounded, rows_text, size_text
from dca_daemon.cli.context import actor, load, load_as_service, read_secret_file, usage_error, with_database
from dca_daemon.cli.output import AsJson, Yes, note, print_json, print_pairs, print_table, say, when

app = typer.Typer(name="backup")

KeyFile = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="File of the secret age key (AGE-SECRET-KEY-…) that opens it."),
]
BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="The archive, its manifest beside it.")]


def register(parent: typer.Typer) -> None:
    """Adds the group, and `restore`."""
    parent.add_typer(app)
    parent.command("restore")(restore)


@app.callback(invoke_without_command=True)
def make(
    context: typer.Context,
    run_drill: Annotated[bool, typer.Option("--drill", help="As `backup drill`.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup of the books, as [backup] in the configuration says, and sort out the older ones.

    The daemon may go on working: the backup is of one moment. It is encrypted for the recipients' public keys, so
    that this computer can't read it again; the secret key belongs elsewhere. docs/backup.md tells all of it.
    """
    if context.invoked_subcommand is not None:
        if run_drill or as_json:
            raise usage_error("options go behind the command")
        return
    if run_drill:
        drill(as_json=as_json)
        return
    from dca_daemon.runtime.wiring import backup_config
    from dca_daemon.services.backups.make import make as make_backup

    settings = load_as_service()
    config = backup_config(settings)
    made = with_database(settings, lambda db: make_backup(db, config, actor=actor()))
    if as_json:
        print_json({**backup_dict(made), "deleted": list(made.deleted)})
        return
    say(f"{made.path} is made: {size_text(made.manifest)}, {rows_text(made.manifest)}, in {made.seconds:.1f} s.")
    if made.deleted:
        say(f"{len(made.deleted)} older ones had to go.")
    if made.manifest.encryption == "none":
        note("It is not encrypted: whoever gets hold of it can read it.")


@app.command("list")
def list_backups(as_json: AsJson = False) -> None:
    """List the backups in the folder, newest first."""
    from dca_daemon.runtime.wiring import backup_config
    from dca_daemon.services.backups.folder import stored

    found = stored(backup_config(load()).place())
    if as_json:
        print_json(
            {"backups": [{"name": one.name, "trouble": one.trouble, **facts(one.manifest)} for one in found]}
        )
        return
    print_table(
        ("backup", "made", "for", ">size", ">postings", "schema", "~remark"),
        (
            (one.name, None, None, None, None, None, one.trouble)
            if one.manifest is None
            else (
                one.name,
                when(one.manifest.made_at),
                one.manifest.cause,
                size_text(one.manifest),
                f"{one.manifest.contents.counts.get('posting', 0):,}",
                one.manifest.contents.revision,
                "not encrypted" if one.manifest.encryption == "none" else None,
            )
            for one in found
        ),
        empty="There are no backups yet.",
    )


@app.command()
def verify(file: BackupFile, key: KeyFile = None, as_json: AsJson = False) -> None:
    """Check that a backup is whole, and one that this program can restore. With the key all of it is decrypted.

    Nothing is restored by this, and no database is needed: `backup drill FILE` restores it too.
    """
    from dca_daemon.services.backups import reading

    source = reading.open_backup(file, _identities(key))
    opened = source.manifest.encryption == "none" or key is not None
    if opened:
        reading.check_whole(source)
    if as_json:
        print_json({"holds": True, "opened": opened, **facts(source.manifest)})
        return
    print_pairs(pairs(source.manifest))
    say("It is whole." if opened else "It is whole; whether your key opens it was not tried (--key FILE).")


@app.command()
def drill(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Restore this backup. Without it: one made for the drill."),
    ] = None,
    key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Try it all: a backup is made, restored into a database made for it, verified, and dropped again.

    Without --key the backup is made for a key of the drill's own, so that the secret one need not be here. The
    role of database.url, or that of backup.drill_url, must be allowed to create databases.
    """
    from dca_daemon.runtime.wiring import drill_config
    from dca_daemon.services.backups.drill import drill as run

    identities = _identities(key)
    settings = load_as_service()
    config = drill_config(settings, identities=identities, archive=file)
    done = with_database(settings, lambda db: run(db, config, actor=actor()))
    if as_json:
        print_json(drill_dict(done))
        return
    print_table(
        ("step", ">seconds"), ((name, f"{seconds:.1f}") for name, seconds in done.seconds.items()), empty=""
    )
    took = f"{sum(done.seconds.values()):.1f} s"
    say(f"Restored and verified in {took}: {rows_text(done.manifest)}, {size_text(done.manifest)}.")
    if done.own_key:
        say("It was made for a key of its own: whether yours opens your backups, only --key FILE tells.")


@app.command("new-key")
def new_key() -> None:
    """Print a new pair of keys, as `age-keygen` would: the secret key's file on stdout. Nothing is stored.

    The public key goes into backup.recipients. Keep the secret one away from this computer, at least twice.
    """
    from dca_daemon.services.backups.keys import generate

    new = generate(datetime.now(UTC))
    typer.echo(new.text, nl=False)
    note(f"Public key, for backup.recipients: {new.public}")


def restore(
    file: BackupFile,
    into: Annotated[
        str | None,
        typer.Option(
            "--into", metavar="DATABASE", help="Another database of the same server than database.url's."
        ),
    ] = None,
    key: KeyFile = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into the database of database.url, which must be empty, and verify it.

    A backup that is damaged, another program's, or of a newer dca-daemon is refused before anything is touched.
    What happened since it was made is not in it: `dca-daemon recover` is next. See docs/backup.md.
    """
    from dca_daemon.cli.context import confirm
    from dca_daemon.runtime.wiring import restore_target
    from dca_daemon.services.backups.restore import restore as run

    identities = _identities(key)
    target = restore_target(load_as_service(), into)
    confirm(f"Restore {file.name} into the database {target.database}?", yes=yes)
    done = asyncio.run(run(file, identities, target, actor=actor()))
    if as_json:
        print_json(
            {
                "database": target.database,
                **facts(done.manifest),
                "revision_now": done.revision,
                "checks": done.checks,
                "seconds": rounded(done.seconds),
            }
        )
        return
    print_pairs(pairs(done.manifest))
    say(f"It is restored into {target.database}, its rows and balances are the manifest's, and the books hold.")
    say("What happened since then is not in it. Next: dca-daemon recover --dry-run, then dca-daemon recover.")


def _identities(key: Path | None) -> Sequence[Any] | None:
    from dca_daemon.services.backups.keys import read_identities

    return None if key is None else read_identities(read_secret_file(key, "the secret key"))
