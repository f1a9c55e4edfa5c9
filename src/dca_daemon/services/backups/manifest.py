"""What stands beside each archive: what is in it, by which program and when, and how to know it unharmed."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from dca_daemon.domain.errors import BackupError

FORMAT_VERSION = 1
MAX_BYTES = 1_000_000
SUFFIX = ".json"


class Contents(BaseModel):
    """What a copy of the books holds: rows by table; the sum of balances by unit and purpose of account."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")
    revision: str
    installation_id: str
    counts: dict[str, int]
    balances: dict[str, dict[str, int]]

    def differences(self, other: Contents) -> list[str]:
        """In what another copy differs, a sentence each."""
        found = [
            f"{name} is {theirs}, the manifest says {ours}"
            for name, ours, theirs in (
                ("the schema", self.revision, other.revision),
                ("the installation", self.installation_id, other.installation_id),
            )
            if ours != theirs
        ]
        found += _unlike("rows of {}", self.counts, other.counts)
        for unit in sorted(self.balances.keys() | other.balances.keys()):
            found += _unlike(f"{unit} on {{}}", self.balances.get(unit, {}), other.balances.get(unit, {}))
        return found


def _unlike(what: str, ours: dict[str, int], theirs: dict[str, int]) -> list[str]:
    return [
        f"{what.format(key)}: {theirs.get(key, 'none')}, the manifest says {ours.get(key, 'none')}"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]


class Manifest(BaseModel):
    """The file beside the archive. Whole numbers only; no names, no keys, nothing of a client's."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")
    format: Literal["dca-daemon-backup"] = "dca-daemon-backup"
    format_version: int = FORMAT_VERSION
    program_version: str
    made_at: AwareDatetime
    cause: str  # what it was made for: backup, upgrade or drill
    archive: str = Field(pattern=r"^[A-Za-z0-9._-]+$")  # a file's name, in the same folder
    encryption: Literal["age", "none"]
    recipients: tuple[str, ...]
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    server_version: str
    server_major: int
    pg_dump_major: int
    book: str  # which copy of the books it is of: see ledger/which_copy.py
    contents: Contents

    def to_text(self) -> str:
        """As the file holds it, with a checksum over all of it."""
        data = self.model_dump(mode="json")
        return json.dumps({**data, "checksum": _checksum(data)}, indent=2, ensure_ascii=False) + "\n"


def _checksum(data: object) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read(path: Path) -> Manifest:
    """Raises `BackupError` for what is missing, damaged, foreign or too new."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise BackupError(
            f"there is no manifest {path.name} beside the archive",
            remedy="a backup is two files: keep both; docs/backup.md tells how to read an archive alone",
        ) from None
    except OSError as error:
        raise BackupError(f"can't read {path}: {error.strerror}") from None
    try:
        data = json.loads(raw.decode()) if len(raw) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise BackupError(f"{path.name} is damaged: it is not a whole JSON document")
    return _checked(path.name, data)


def _checked(name: str, data: dict[str, object]) -> Manifest:
    if data.get("format") != Manifest.model_fields["format"].default:
        raise BackupError(f"{name} is not the manifest of a backup of dca-daemon")
    version = data.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BackupError(
            f"{name} is of a newer dca-daemon ({data.get('program_version')}), in a form that this one can't read",
            remedy="install that version",
        )
    checksum = data.pop("checksum", None)
    if checksum != _checksum(data):
        raise BackupError(f"{name} is damaged: its checksum does not fit")
    try:
        return Manifest.model_validate_json(json.dumps(data))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BackupError(f"{name} is damaged: {where} is missing or wrong") from None


def name_of(moment: datetime) -> str:
    """How the files of a backup of this time begin: in UTC, so that the names sort by it."""
    return f"dca-{moment:%Y%m%dT%H%M%SZ}"
