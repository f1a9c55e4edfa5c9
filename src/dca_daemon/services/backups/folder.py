"""The folder of backups: what is in it, who writes to it, and what is deleted."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dca_daemon.domain.errors import BackupError
from dca_daemon.services.backups import manifest
from dca_daemon.services.backups.manifest import Manifest
from dca_daemon.services.backups.rotation import Keep, superfluous

_STEM = r"dca-\d{8}T\d{6}Z"
DRILL = ".drill-"  # how the folders begin that drills write their backups to
_DRILL_SECONDS = 2 * 86_400.0  # none takes that long: it was killed
ENCRYPTED, PLAIN, PART = ".dump.age", ".dump", ".part"
_OURS = re.compile(rf"({_STEM})({re.escape(ENCRYPTED)}|{re.escape(PLAIN)}|{re.escape(manifest.SUFFIX)})")
_UNFINISHED = re.compile(rf"{_OURS.pattern}{re.escape(PART)}")


@dataclass(frozen=True, slots=True)
class Stored:
    """A backup in the folder. `trouble`: why it is none to count on; then `manifest` may be None."""

    name: str
    manifest: Manifest | None
    trouble: str | None

    @property
    def good(self) -> bool:
        """Whole, as far as can be told without reading the archive."""
        return self.trouble is None


def check(folder: Path) -> None:
    """Raises `BackupError` unless it can be written to."""
    if not folder.is_dir():
        raise BackupError(
            f"there is no folder {folder} (backup.folder)", remedy=f"make it: install -d -m 700 {folder}"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BackupError(f"may not write to {folder}", remedy="run it with sudo, or as the folder's owner")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """One process at a time; what an earlier one left unfinished is removed. Raises `BackupError`."""
    check(folder)
    with os.fdopen(os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
        _give_to_owner(folder, folder / ".lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(
                f"another backup into {folder} is under way", remedy="wait until it is done"
            ) from None
        for path in folder.iterdir():
            if _UNFINISHED.fullmatch(path.name):
                path.unlink()
            elif path.name.startswith(DRILL) and time.time() - path.stat().st_mtime > _DRILL_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        yield


def free_stem(folder: Path, moment: datetime) -> str:
    """How a new backup's files begin: a second later where that second has one."""
    names = {path.name.partition(".")[0] for path in folder.iterdir()}
    moment = moment.astimezone(UTC)
    while (stem := manifest.name_of(moment)) in names:
        moment += timedelta(seconds=1)
    return stem


def _give_to_owner(folder: Path, *paths: Path) -> None:
    """What root writes (`db upgrade`) must be the folder's owner's, who sorts it out later."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in paths:
            os.chown(path, owner.st_uid, owner.st_gid)


def publish(folder: Path, stem: str, made: Manifest) -> None:
    """Gives the finished archive its name, and then the manifest its own: from then on it is a backup."""
    part = folder / f"{stem}{manifest.SUFFIX}{PART}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(made.to_text())
        file.flush()
        os.fsync(file.fileno())
    archive = folder / made.archive
    unnamed = archive.with_name(f"{archive.name}{PART}")
    _give_to_owner(folder, part, unnamed)
    unnamed.rename(archive)
    part.rename(folder / f"{stem}{manifest.SUFFIX}")
    _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stored(folder: Path) -> list[Stored]:
    """Every backup, newest first, and what only looks like one. Raises `BackupError`."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise BackupError(f"can't look into {folder}: {error.strerror}", remedy="see backup.folder") from None
    stems = {match[1] for name in names if (match := _OURS.fullmatch(name))}
    return [_stored(folder, stem, names) for stem in sorted(stems, reverse=True)]


def _stored(folder: Path, stem: str, names: set[str]) -> Stored:
    if f"{stem}{manifest.SUFFIX}" not in names:
        return Stored(stem, None, "it has no manifest")
    try:
        found = manifest.read(folder / f"{stem}{manifest.SUFFIX}")
        check_archive(folder, stem, found)
    except BackupError as error:
        return Stored(stem, None, error.message)
    return Stored(stem, found, None)


def check_archive(folder: Path, stem: str, of: Manifest) -> Path:
    """The archive, which is there and as long as it should be. Raises `BackupError`."""
    if of.archive not in (f"{stem}{ENCRYPTED}", f"{stem}{PLAIN}"):
        raise BackupError(f"{stem}{manifest.SUFFIX} is the manifest of another archive, {of.archive}")
    archive = folder / of.archive
    if not archive.is_file():
        raise BackupError(f"its archive {of.archive} is missing")
    size_bytes = archive.stat().st_size
    if size_bytes != of.size_bytes:
        raise BackupError(f"{of.archive} is damaged: it has {size_bytes} bytes of {of.size_bytes}")
    return archive


def sort_out(folder: Path, keep: Keep, now: datetime, installation_id: str) -> list[str]:
    """Deletes what the rules do not keep of this installation's good backups; their names."""
    ours = {
        one.name: one.manifest
        for one in stored(folder)
        if one.manifest is not None and one.manifest.contents.installation_id == installation_id
    }
    gone = superfluous({name: found.made_at for name, found in ours.items()}, keep, now)
    for name in gone:
        (folder / ours[name].archive).unlink(missing_ok=True)
        (folder / f"{name}{manifest.SUFFIX}").unlink(missing_ok=True)
    return gone
