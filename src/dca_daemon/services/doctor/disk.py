"""Whether there is room left where our database and its backups are, as far as this computer can tell."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from dca_daemon.domain.errors import DcaError
from dca_daemon.ledger.db import Database, one
from dca_daemon.services.doctor.findings import Finding, Level, Subject

_LEAST_BYTES = 256 << 20  # below: PostgreSQL may stop at any moment
_FEW_BYTES = 2 << 30
_FEW_PERCENT = 5
_DEBIAN_DATA = Path("/var/lib/postgresql")  # where the setting may not be read
_REMEDY = "make room, or give it a larger disk: when it is full, nothing is booked and nothing is paid"


async def check_disk(subject: Subject) -> list[Finding]:
    """Each place once, the fullest first. What can't be looked at from here is left out."""
    folders = list(subject.folders)
    if subject.books is not None and (data := await _data_folder(subject.books)) is not None:
        folders.insert(0, ("our database", data))
    found: dict[int, Finding] = {}
    for what, folder in folders:
        try:
            device, usage = folder.stat().st_dev, shutil.disk_usage(folder)
        except OSError:
            continue
        found.setdefault(device, _judge(what, folder, usage.free, usage.total))
    return list(found.values())


async def _data_folder(books: Database) -> Path | None:
    """None where the database is on another computer."""
    try:
        async with books.transaction() as conn:
            row = await one(
                conn,
                """SELECT coalesce(inet_server_addr() = inet_client_addr(), true) AS here,
                          (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS folder""",
            )
    except (DcaError, DBAPIError):
        return None
    if not row.here:
        return None
    return next((path for path in (Path(row.folder or "/nowhere"), _DEBIAN_DATA) if _is_there(path)), None)


def _is_there(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _judge(what: str, folder: Path, free: int, total: int) -> Finding:
    percent = 100 * free // max(1, total)
    text = f"{_size(free)} ({percent} %) are free where {what} is: {folder}"
    if free < _LEAST_BYTES:
        return Finding("disk", "room", Level.FAIL, text, _REMEDY)
    if free < _FEW_BYTES and percent < _FEW_PERCENT:
        return Finding("disk", "room", Level.WARN, text, _REMEDY)
    return Finding("disk", "room", Level.OK, text)


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"
