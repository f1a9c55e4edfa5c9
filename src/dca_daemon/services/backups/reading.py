"""Looks at a backup that is to be used, and refuses what can't be: before anything else is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dca_daemon.domain.errors import BackupError
from dca_daemon.ledger import migrate
from dca_daemon.services.backups import archive, folder, manifest, programs
from dca_daemon.services.backups.manifest import Manifest
from dca_daemon.services.backups.programs import Programs


@dataclass(frozen=True, slots=True)
class Source:
    """A backup whose files are whole, and the keys to read it. `identities` None: it is not encrypted."""

    archive: Path
    manifest: Manifest
    identities: Sequence[Any] | None


def open_backup(path: Path, identities: Sequence[Any] | None) -> Source:
    """The backup that one of its two files names; every byte of it was read. Keys that it does not take are left.

    Raises `BackupError` when it is damaged, foreign or too new.
    """
    stem = _stem(path)
    found = manifest.read(path.parent / f"{stem}{manifest.SUFFIX}")
    if not migrate.knows(found.contents.revision):
        raise BackupError(
            f"the backup is of a newer dca-daemon ({found.program_version}): its schema is at revision "
            f"{found.contents.revision}, this program knows {migrate.wanted_revision()} at most",
            remedy="install that version",
        )
    at = folder.check_archive(path.parent, stem, found)
    if archive.sha256_of(at) != found.sha256:
        raise BackupError(
            f"{at.name} is damaged: its checksum is not that of the manifest", remedy="take another copy of it"
        )
    return Source(at, found, None if found.encryption == "none" else identities)


def _stem(path: Path) -> str:
    name = path.name
    for suffix in (folder.ENCRYPTED, folder.PLAIN, manifest.SUFFIX):
        if name.endswith(suffix):
            if not path.is_file():
                raise BackupError(f"there is no file {path}")
            return name.removesuffix(suffix)
    raise BackupError(
        f"{name} is not named like a backup",
        remedy=f"name the archive: it ends in {folder.ENCRYPTED} or {folder.PLAIN}",
    )


def check_key(source: Source) -> None:
    """Raises `BackupError` where the key to an encrypted backup was not given."""
    if source.manifest.encryption == "age" and source.identities is None:
        raise BackupError(
            f"{source.archive.name} is encrypted for {', '.join(source.manifest.recipients)}",
            remedy="give the file of the secret key that belongs to it: --key FILE",
        )


def check_readable(source: Source, using: Programs, timeout_seconds: float) -> None:
    """Opens it with the key, and has pg_restore read its table of contents. Raises `BackupError`."""
    check_key(source)
    programs.write_to(
        [using.restore, "--list"],
        None,
        timeout_seconds,
        lambda pipe: archive.read(source.archive, pipe, source.identities),
    )


def check_whole(source: Source) -> int:
    """Decrypts all of it, to nowhere; the bytes of the dump in it. Raises `BackupError`."""
    check_key(source)
    return archive.read(source.archive, None, source.identities)
