"""The folder of config.toml and its secrets: what is there, and how files come into it whole or not at all."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from dca_daemon.domain.errors import ConfigError, ConflictError, InputError
from dca_daemon.runtime.setting_up.questions import SECRETS
from dca_daemon.runtime.settings import settings_from
from dca_daemon.runtime.settings_model import SECTIONS
from dca_daemon.runtime.settings_reference import filled_toml
from dca_daemon.runtime.settings_sources import is_private, read_toml

SYSTEM = Path("/etc/dca-daemon")
CONFIG_NAME = "config.toml"
_MODE = 0o600  # systemd reads the files as root, and hands copies to the services

Document = dict[str, dict[str, Any]]


class Change(StrEnum):
    """What became of a file."""

    KEPT = "kept"
    WRITTEN = "written"
    REPLACED = "replaced"


def without_secrets(document: Document) -> Document:
    """All but what is asked for: a secret that is wrong there must not keep the rest from being looked at."""
    rest = copy.deepcopy(document)
    for key in SECRETS:
        section, _, name = key.partition(".")
        if isinstance(table := rest.get(section), dict):
            table.pop(name, None)
            table.pop(f"{name}_file", None)
    return rest


class Folder:
    """One installation's files. `changes` tells what became of each, by its name."""

    def __init__(self, path: Path) -> None:
        """Raises `ConfigError` for a config.toml that can't be read, or has mistakes."""
        self.path = path
        self.config = path / CONFIG_NAME
        self.has_config = _is_there(self.config)
        self.document: Document = read_toml(self.config) if self.has_config else {}
        settings_from(without_secrets(self.document), with_environment=False)
        self.changes: dict[str, Change] = {}

    def prepare(self) -> None:
        """Makes the folder. Raises `InputError` where nothing can be written."""
        try:
            self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"can't make {self.path}: {error.strerror}") from None
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise InputError(f"can't write into {self.path}", remedy="run it with sudo, or name another --dir")

    def value(self, key: str) -> str | None:
        """What is there for `section.key`, in config.toml or in its own file. Raises `ConfigError`."""
        section, _, name = key.partition(".")
        if (value := self.document.get(section, {}).get(name)) is not None:
            return str(value)
        if f"{name}_file" not in SECTIONS[section].model_fields:
            return None
        path = self.secret_path(key)
        if not _is_there(path):
            return None
        try:
            if not is_private(path):
                raise ConfigError(f"{path} can be read by others", remedy=f"chmod 600 {path}")
            return path.read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            text = getattr(error, "strerror", None) or "it is not a text file"
            raise ConfigError(f"can't read {path}: {text}") from None

    def secret_path(self, key: str) -> Path:
        """The file of a secret: where config.toml says, else in the folder under the secret's own name."""
        section, _, name = key.partition(".")
        return Path(str(self.document.get(section, {}).get(f"{name}_file") or self.path / key))

    def is_inline(self, key: str) -> bool:
        """Whether config.toml itself holds the secret."""
        section, _, name = key.partition(".")
        return name in self.document.get(section, {})

    def save_secret(self, key: str, text: str) -> None:
        """Writes a secret, unless it is there already. Who calls it has asked whether it may be replaced."""
        before = self.value(key)
        path = self.secret_path(key)
        if before == text:
            if not self.is_inline(key):
                self.changes.setdefault(path.name, Change.KEPT)
            return
        if self.is_inline(key):
            raise ConflictError(f"{self.config} holds {key} itself", remedy="change it there, or remove it there")
        _write(path, f"{text}\n", replacing=before is not None or _is_there(path))
        self.changes[path.name] = Change.WRITTEN if before is None else Change.REPLACED

    def lacks(self, values: Mapping[str, str], secrets: tuple[str, ...]) -> Document:
        """What config.toml would have to say besides, or otherwise: plain values, and where the secrets are."""
        missing: Document = {}
        for key, text in values.items():
            section, _, name = key.partition(".")
            if self.document.get(section, {}).get(name) != text:
                missing.setdefault(section, {})[name] = text
        for key in secrets:
            section, _, name = key.partition(".")
            if not {name, f"{name}_file"} & self.document.get(section, {}).keys():
                missing.setdefault(section, {})[f"{name}_file"] = str(self.secret_path(key).absolute())
        return missing

    def save_config(self, more: Document) -> Path | None:
        """Writes config.toml with this besides what it says already. Gives the path of the old one, if any."""
        if not more:
            self.changes[CONFIG_NAME] = Change.KEPT
            return None
        for section, values in more.items():
            self.document.setdefault(section, {}).update(values)
        kept = None
        if self.has_config:
            kept = self.config.with_name(f"{CONFIG_NAME}.{datetime.now(UTC):%Y%m%d%H%M%S}")
            _write(kept, self.config.read_text(encoding="utf-8"), replacing=False)
        _write(self.config, filled_toml(self.document), replacing=self.has_config)
        self.changes[CONFIG_NAME] = Change.REPLACED if self.has_config else Change.WRITTEN
        self.has_config = True
        return kept


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(f"can't look at {path}: {error.strerror}", remedy="run it with sudo") from None
    return True


def _write(path: Path, text: str, *, replacing: bool) -> None:
    """A file takes its name only when it is complete and on the disk; a new one never that of another."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, no path
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if replacing:
                unfinished.replace(path)
            else:
                path.hardlink_to(unfinished)
        finally:
            unfinished.unlink(missing_ok=True)
    except FileExistsError:
        raise ConflictError(f"{path} has just been made by somebody else", remedy="run it again") from None
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}") from None
    _sync(path.parent)


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems can't, and the files themselves are safe
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
