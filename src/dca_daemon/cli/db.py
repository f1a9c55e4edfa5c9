"""`dca-daemon db`: the schema of the books, and the keys that protect what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dca_daemon.cli.context import actor, load, load_as_service, with_books, with_database
from dca_daemon.cli.output import AsJson, note, print_json, say
from dca_daemon.domain.errors import ConfigError

if TYPE_CHECKING:
    from dca_daemon.runtime.settings import Settings
    from dca_daemon.services.backups.make import Backup
    from dca_daemon.services.pools import Pool

app = typer.Typer(name="db", no_args_is_help=True, help="Our own database: the schema of the books, and keys.")


@app.command()
def upgrade(
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Do not make a backup first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database to the schema that this program needs, and open the default pool.

    Safe to repeat, and to run twice at once. A daemon of an older version may be at work meanwhile, unless this
    refuses and says so: docs/upgrade.md. Where there is something to upgrade and something to lose by it, a backup
    is made before, as [backup] in the configuration says.
    """
    from dca_daemon.ledger import migrate
    from dca_daemon.services.backups import before_upgrade

    settings = load_as_service()
    made = None if no_backup else _backup_first(settings)
    before = migrate.upgrade(settings.database.sqlalchemy_url)
    after = before.current if before.fits else before.wanted
    pool = _open_pool(settings)
    if made is not None:
        backup = made
        with_books(settings, lambda db: before_upgrade.record(db, backup, actor=actor()))
    if as_json:
        shown = None if pool is None else {"id": pool.pool_id, "name": pool.name, "currency": pool.currency}
        print_json(
            {
                "before": before.current,
                "revision": after,
                "changed": not before.fits,
                "archive": None if made is None else str(made.path),
                "pool": shown,
            }
        )
        return
    if made is not None:
        say(f"The backup {made.path} was made first.")
    if before.fits:
        say(f"The database is at revision {after} already.")
    else:
        say(f"The database went from {before.current or 'empty'} to revision {before.wanted}.")
    if pool is None:
        say("No pool has been opened: set pool.currency, then run this again.")
    else:
        say(f"Pool {pool.name!r} is in {pool.currency}.")


def _backup_first(settings: Settings) -> Backup | None:
    """None where none is needed, or none is wanted at all: then it says so."""
    from dca_daemon.runtime.wiring import backup_config
    from dca_daemon.services.backups import before_upgrade

    if not with_database(settings, before_upgrade.is_needed):
        return None
    config = backup_config(settings)
    if config.folder is None:
        note("No backup was made before the upgrade: there is no backup.folder in the configuration.")
        return None
    return with_database(settings, lambda db: before_upgrade.make_first(db, config, actor=actor()))


def _open_pool(settings: Settings) -> Pool | None:
    """The default pool; None while there is no currency for it in the configuration."""
    from dca_daemon.services.pools import ensure_default_pool

    try:
        wanted = settings.pool
    except ConfigError:
        return None
    return with_books(settings, lambda db: ensure_default_pool(db, name=wanted.name, currency=wanted.currency))


@app.command()
def check(as_json: AsJson = False) -> None:
    """Compare the database's schema with the one that this program needs. Exit status 1 when they differ."""
    from dca_daemon.ledger.migrate import revision

    settings = load()
    found = with_database(settings, revision)
    if as_json:
        print_json({"revision": found.current, "wanted": found.wanted, "fits": found.fits})
    found.require()
    if not as_json:
        newer = (
            f"newer than the {found.wanted} of this program, which works with it"
            if found.is_newer
            else "as needed"
        )
        say(f"The database is at revision {found.current}, {newer}.")


@app.command("new-key")
def new_key() -> None:
    """Print a new encryption key, as a line for the key file. Nothing is stored."""
    from dca_daemon.payouts.cipher import KeyRing

    say(KeyRing.generate())


@app.command("rotate-keys")
def rotate_keys(as_json: AsJson = False) -> None:
    """Encrypt every stored secret (invoice keys above all) anew with the first encryption key.

    In this order: put a new key on the first line of security.encryption_keys; restart the daemon, so that it
    can read both; run this; remove the old lines; restart the daemon again.
    """
    from dca_daemon.runtime.wiring import key_ring
    from dca_daemon.services import destinations

    settings = load()
    keys = key_ring(settings)
    count = with_books(settings, lambda db: destinations.rotate_keys(db, keys, actor=actor()))
    if as_json:
        print_json({"encrypted": count})
    else:
        say(f"{count} secrets are encrypted with the first key; older keys can be removed.")
