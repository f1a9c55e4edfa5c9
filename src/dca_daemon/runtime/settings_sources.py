"""Where settings come from: the environment, the TOML file, files that hold secrets, systemd credentials.

In this order of precedence; within one source `x` and `x_file` together are a mistake. What is found is
raw: `settings.py` has it checked by the models.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic_settings import EnvSettingsSource

from dca_daemon.domain.errors import ConfigError
from dca_daemon.domain.text import plain
from dca_daemon.runtime import settings_renamed
from dca_daemon.runtime.settings_base import Section
from dca_daemon.runtime.settings_model import SECTIONS
from dca_daemon.runtime.settings_renamed import Renamed

ENV_PREFIX = "DCA_"
CONFIG_ENV = "DCA_CONFIG"
SEARCH_PATHS = (Path("/etc/dca-daemon/config.toml"), Path("config.toml"))


class Source(StrEnum):
    """Where a value comes from."""

    DEFAULT = "default"
    FILE = "file"
    ENV = "env"
    SECRET_FILE = "secret file"  # noqa: S105 - the name of a source
    CREDENTIAL = "credential"


@dataclass
class Raw:
    """The unchecked values of one section, with their sources. `unreadable` are secret files that could not
    be used: that matters only to who needs that secret."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def find_config(path: Path | None) -> Path | None:
    """The configuration file to read: the given one, `DCA_CONFIG`, or the first that exists."""
    if path is not None:
        return path
    if named := os.environ.get(CONFIG_ENV):
        return Path(named)
    return next((candidate for candidate in SEARCH_PATHS if _exists(candidate)), None)


def read_toml(path: Path) -> dict[str, Any]:
    """Raises `ConfigError` that names the file, and the line of a mistake."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = f"name one with --config or {CONFIG_ENV}; dca-daemon init makes one"
        if isinstance(error, PermissionError):
            remedy = f"run it with sudo, or name another one with --config or {CONFIG_ENV}"
        raise ConfigError(f"can't read the configuration file {path}: {error.strerror}", remedy=remedy) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # tomllib tells line and column; it quotes at most one character of the text.
        raise ConfigError(f"the configuration file {path} is not valid TOML: {plain(error, 300)}") from None
    except (ValueError, RecursionError):
        text = "a number is too long, or brackets are too deep"
        raise ConfigError(f"the configuration file {path} is not valid TOML: {text}") from None


def gather(
    document: Mapping[str, Any], problems: list[str], *, with_environment: bool = True
) -> tuple[dict[str, Raw], list[Renamed]]:
    """All sections' values, and what of them was given by an old name. Without the environment: what the document
    and its secrets' files say, and nothing else.

    What is wrong with their *names* is added to `problems`, a line each.
    """
    document, renamed = settings_renamed.in_file(document, problems)
    from_env: dict[str, dict[str, str]] | None = None
    if with_environment:
        problems.extend(_unknown_env())
        from_env, renamed_env = settings_renamed.in_environment(os.environ, problems)
        renamed = [*renamed, *renamed_env]
    for name, value in document.items():
        if name not in SECTIONS:
            kind = "section" if isinstance(value, dict) else "key outside of a section:"
            problems.append(
                f"unknown {kind} {plain(name)!r}{_suggest(name, SECTIONS)}; sections: {', '.join(SECTIONS)}"
            )
        elif not isinstance(value, dict):
            problems.append(f"{name} must be a section, written [{name}] on a line of its own")
    raws = {
        name: _gather_section(
            cls, document.get(name), None if from_env is None else from_env.get(name, {}), problems
        )
        for name, cls in SECTIONS.items()
    }
    return raws, renamed


def _gather_section(
    cls: type[Section], table: object, by_old_names: Mapping[str, str] | None, problems: list[str]
) -> Raw:
    """`by_old_names`: what the environment has by given-up names; None: the environment does not count."""
    name = cls.section_name
    from_file = dict(table) if isinstance(table, dict) else {}
    for key in [key for key in from_file if key not in cls.model_fields]:
        problems.append(f"unknown setting {name}.{plain(key)}{_suggest(key, cls.model_fields, name)}")
        del from_file[key]
    raw = Raw()
    from_env: dict[str, Any] = {}
    if by_old_names is not None:
        from_env = {**by_old_names, **EnvSettingsSource(cls, env_prefix=f"{ENV_PREFIX}{name.upper()}__")()}
        _add_credentials(cls, raw)
    for layer, source in ((from_file, Source.FILE), (from_env, Source.ENV)):
        _add_layer(cls, raw, layer, source, problems)
    return raw


def _add_layer(
    cls: type[Section], raw: Raw, layer: Mapping[str, Any], source: Source, problems: list[str]
) -> None:
    """Puts a source's values over those of lesser sources; a secret's file counts as its value."""
    for key in cls.secret_keys():
        if key in layer or f"{key}_file" in layer:
            for stale in (raw.values, raw.sources):
                stale.pop(key, None)
                stale.pop(f"{key}_file", None)
            raw.unreadable.pop(key, None)
        if key in layer and f"{key}_file" in layer:
            problems.append(f"{cls.section_name}: set {key} or {key}_file, not both")
    for key, value in layer.items():
        raw.values[key] = value
        raw.sources[key] = source
    for key in cls.secret_keys():
        path = layer.get(f"{key}_file")
        if isinstance(path, str) and key not in layer:
            _read_secret(raw, key, Path(path), Source.SECRET_FILE, private=True)


def _add_credentials(cls: type[Section], raw: Raw) -> None:
    """systemd's `LoadCredential=lnbits.admin_key:…` appears as a file of that name in a directory of ours."""
    if directory := os.environ.get("CREDENTIALS_DIRECTORY"):
        for key in cls.secret_keys():
            path = Path(directory) / f"{cls.section_name}.{key}"
            if _exists(path):
                _read_secret(raw, key, path, Source.CREDENTIAL, private=False)


def _read_secret(raw: Raw, key: str, path: Path, source: Source, *, private: bool) -> None:
    shown = plain(path, 300)
    try:
        if private and not is_private(path):
            raw.unreadable[key] = f"{shown} can be read by others: chmod 600 {shown}"
            return
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        hint = ": run it with sudo, or as the file's owner" if isinstance(error, PermissionError) else ""
        raw.unreadable[key] = f"can't read {shown}: {error.strerror}{hint}"
    except UnicodeDecodeError:
        raw.unreadable[key] = f"{shown} is not a text file"
    except ValueError:  # NUL
        raw.unreadable[key] = f"{shown} is no path of a file"
    else:
        if text:
            raw.values[key] = text
            raw.sources[key] = source
        else:
            raw.unreadable[key] = f"{path} is empty"


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError:
        return True  # then reading it says what is wrong
    except OSError:
        return False
    return True


def is_private(path: Path) -> bool:
    """The rule PostgreSQL has for key files: 0600, or 0640 where root owns the file."""
    status = path.stat()
    allowed = 0o740 if status.st_uid == 0 else 0o700
    return not status.st_mode & 0o777 & ~allowed


def _unknown_env() -> Iterable[str]:
    known = {
        f"{ENV_PREFIX}{name}__{key}".upper(): None for name, cls in SECTIONS.items() for key in cls.model_fields
    }
    renamed = set(settings_renamed.old_variables())
    flat = {variable.replace("__", "_"): variable for variable in known}
    for variable in sorted(os.environ):
        upper = variable.upper()
        if not upper.startswith(ENV_PREFIX) or upper in known or upper in renamed or upper == CONFIG_ENV:
            continue
        if "__" in upper:
            yield f"unknown setting {plain(variable)} in the environment{_suggest(upper, known)}"
        elif upper in flat:  # one underscore too few: it would be ignored in silence
            yield f"unknown setting {variable} in the environment; did you mean {flat[upper]}?"


def _suggest(word: str, known: Iterable[str], section: str | None = None) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    prefix = f"{section}." if section else ""
    return f"; did you mean {prefix}{close[0]}?" if close else ""
