"""The configuration, loaded and checked.

What is wrong is refused at once, all of it, one line for each mistake. What is only *missing* is refused
when it is asked for, so that `dca-daemon db upgrade` needs no more than `[database]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr, ValidationError

from dca_daemon.domain.errors import ConfigError
from dca_daemon.domain.text import plain
from dca_daemon.runtime.settings_base import Section
from dca_daemon.runtime.settings_model import (
    SECTIONS,
    DatabaseSettings,
    LamassuSettings,
    LnbitsSettings,
    PoolSettings,
)
from dca_daemon.runtime.settings_model_backup import BackupSettings
from dca_daemon.runtime.settings_model_console import ConsoleSettings
from dca_daemon.runtime.settings_model_daemon import (
    FixedSettings,
    HttpSettings,
    IntakeSettings,
    LogSettings,
    PayoutsSettings,
    ReconcileSettings,
    RetentionSettings,
    SecuritySettings,
    WatchSettings,
)
from dca_daemon.runtime.settings_model_notify import NotifySettings, secret_words
from dca_daemon.runtime.settings_model_tunnel import TunnelSettings
from dca_daemon.runtime.settings_renamed import Renamed
from dca_daemon.runtime.settings_sources import ENV_PREFIX, Raw, Source, find_config, gather, read_toml

S = TypeVar("S", bound=Section)


class Settings:
    """All settings. Each section is an attribute; one that lacks a required key raises `ConfigError`."""

    def __init__(
        self,
        sections: Mapping[str, Section],
        missing: Mapping[str, list[str]],
        raws: Mapping[str, Raw],
        config_path: Path | None,
        renamed: Sequence[Renamed] = (),
    ) -> None:
        self._sections = sections
        self._missing = missing
        self._raws = raws
        self.config_path = config_path
        self.renamed = renamed

    def require(self, *names: str) -> None:
        """Raises `ConfigError` that lists everything that these sections still lack."""
        if lines := [line for name in names for line in self._missing.get(name, [])]:
            raise ConfigError("\n".join(lines))

    def source_of(self, key: str) -> Source:
        """Where the value of `section.key` comes from."""
        section, _, name = key.partition(".")
        return self._raws[section].sources.get(name, Source.DEFAULT)

    def shown(self) -> Iterable[tuple[str, str, Source]]:
        """Key, value for people (secrets masked) and source of every setting that has a value."""
        for name, section in self._sections.items():
            for key in type(section).model_fields:
                value = getattr(section, key)
                if value is not None:
                    yield f"{name}.{key}", value_text(value), self.source_of(f"{name}.{key}")

    def secrets(self) -> Iterable[str]:
        """Every secret value there is, also of incomplete sections, for the log's redaction."""
        for name, raw in self._raws.items():
            for key in SECTIONS[name].secret_keys():
                if isinstance(value := raw.values.get(key), str):
                    yield from secret_parts(key, value)

    def _get(self, cls: type[S]) -> S:
        self.require(cls.section_name)
        section = self._sections[cls.section_name]
        assert isinstance(section, cls)
        return section

    @property
    def database(self) -> DatabaseSettings:
        return self._get(DatabaseSettings)

    @property
    def pool(self) -> PoolSettings:
        return self._get(PoolSettings)

    @property
    def lamassu(self) -> LamassuSettings:
        return self._get(LamassuSettings)

    @property
    def tunnel(self) -> TunnelSettings:
        return self._get(TunnelSettings)

    @property
    def lnbits(self) -> LnbitsSettings:
        return self._get(LnbitsSettings)

    @property
    def payouts(self) -> PayoutsSettings:
        return self._get(PayoutsSettings)

    @property
    def security(self) -> SecuritySettings:
        return self._get(SecuritySettings)

    @property
    def intake(self) -> IntakeSettings:
        return self._get(IntakeSettings)

    @property
    def reconcile(self) -> ReconcileSettings:
        return self._get(ReconcileSettings)

    @property
    def backup(self) -> BackupSettings:
        return self._get(BackupSettings)

    @property
    def fixed(self) -> FixedSettings:
        return self._get(FixedSettings)

    @property
    def watch(self) -> WatchSettings:
        return self._get(WatchSettings)

    @property
    def notify(self) -> NotifySettings:
        return self._get(NotifySettings)

    @property
    def retention(self) -> RetentionSettings:
        return self._get(RetentionSettings)

    @property
    def http(self) -> HttpSettings:
        return self._get(HttpSettings)

    @property
    def console(self) -> ConsoleSettings:
        return self._get(ConsoleSettings)

    @property
    def lnbits_without_key(self) -> LnbitsSettings:
        """For who must not pay: the admin key, if there is one, is left out. Raises `ConfigError`."""
        values = {**self._raws["lnbits"].values, "admin_key": "left-out"}
        if "url" not in values:
            self.require("lnbits")
        return LnbitsSettings.model_validate(values)

    @property
    def log(self) -> LogSettings:
        return self._get(LogSettings)


def load_settings(config_path: Path | None = None) -> Settings:
    """Reads file, environment and secrets. Raises `ConfigError`: a line for each mistake."""
    path = find_config(config_path)
    return settings_from(read_toml(path) if path else {}, path)


def settings_from(
    document: Mapping[str, Any], path: Path | None = None, *, with_environment: bool = True
) -> Settings:
    """The same of a file's content that is at hand already, which need not be in a file yet."""
    problems: list[str] = []
    raws, renamed = gather(document, problems, with_environment=with_environment)
    sections: dict[str, Section] = {}
    missing: dict[str, list[str]] = {}
    for name, cls in SECTIONS.items():
        try:
            sections[name] = cls.model_validate(raws[name].values)
        except ValidationError as error:
            missing[name] = [
                _missing_line(cls, str(item["loc"][0]), raws[name])
                for item in error.errors()
                if item["type"] == "missing"
            ]
            problems.extend(
                _wrong_line(cls, item, raws[name])
                for item in error.errors(include_url=False)
                if item["type"] != "missing"
            )
        for key, text in raws[name].unreadable.items():
            if not cls.model_fields[key].is_required():
                missing.setdefault(name, []).append(f"setting {name}.{key}: {text}")
    if problems:
        raise ConfigError("\n".join(problems))
    return Settings(sections, missing, raws, path, renamed)


def _missing_line(cls: type[Section], key: str, raw: Raw) -> str:
    name = f"{cls.section_name}.{key}"
    if key in raw.unreadable:
        return f"setting {name}: {raw.unreadable[key]}"
    info = cls.model_fields[key]
    where = f"{ENV_PREFIX}{cls.section_name}__{key}".upper()
    ways = f"or {name}_file, or a credential, or {where}" if key in cls.secret_keys() else f"or {where}"
    example = f"add {example_of(cls, key)} to [{cls.section_name}], {ways}"
    return f"setting {name} is missing: {info.description} For example {example}"


def _wrong_line(cls: type[Section], item: Any, raw: Raw) -> str:
    key = str(item["loc"][0])
    name = f"{cls.section_name}.{key}"
    message = _message(item)
    value = "" if key in cls.secret_keys() else f" = {_input_text(item['input'])}"
    source = raw.sources.get(key, Source.DEFAULT)
    where = f"{ENV_PREFIX}{cls.section_name}__{key}".upper() if source is Source.ENV else str(source)
    return f"setting {name}{value} (from {where}): {message}; for example {example_of(cls, key)}"


def _message(item: Any) -> str:
    """Pydantic's words, as a person would say it."""
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return message.partition(", unable to parse")[0].replace("a valid integer", "a whole number")


def problem_with(key: str, value: object) -> str | None:
    """What is wrong with a value for `section.key`, looked at alone; None when nothing is."""
    section, _, name = key.partition(".")
    try:
        SECTIONS[section].model_validate({name: value})
    except ValidationError as error:
        for item in error.errors(include_url=False):
            if item["loc"][:1] == (name,) and item["type"] != "missing":
                return f"{_message(item)}; for example {example_of(SECTIONS[section], name)}"
    return None


def _input_text(value: object) -> str:
    """What was given, short; without a password in an address, or a secret key in the wrong place."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} that is too long"
    text = re.sub(r"AGE-SECRET-KEY-\w+", "AGE-SECRET-KEY-********", text, flags=re.IGNORECASE)
    return plain(re.sub(r"://[^/@\s]*@", "://********@", text))


def example_of(cls: type[Section], key: str) -> str:
    """`key = value` as it may be written in the TOML file."""
    info = cls.model_fields[key]
    example = info.examples[0] if info.examples else info.default
    return f"{key} = {toml_value(example)}"


def toml_value(value: object) -> str:
    """A scalar or a list of them, as TOML. JSON's spelling is TOML's for all that settings hold."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def secret_parts(key: str, value: str) -> Iterable[str]:
    """The texts that must not be shown: the value, each of several keys, the password within a connection."""
    yield value
    if key == "encryption_keys":
        yield from value.split()
    elif key == "urls":
        yield from secret_words(value)
    elif key.endswith(("dsn", "url")):
        password = _url_password(value)
        words = re.findall(r"password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", value)
        for part in [password or "", unquote(password or ""), *(word.strip("'") for word in words)]:
            if part:
                yield part


def _url_password(url: str) -> str | None:
    try:
        return urlsplit(url).password if "://" in url else None
    except ValueError:  # libpq reads addresses that this does not
        found = re.match(r"[^:]+://[^:/@]*:([^@/]*)@", url)
        return found[1] if found else None


def value_text(value: object) -> str:
    """A value for people; a secret is never shown, not even its length."""
    if isinstance(value, SecretStr):
        return "********"
    return toml_value(str(value) if isinstance(value, Path) else value)
