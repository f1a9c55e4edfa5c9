"""The example configuration and the reference hold every setting, and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dca_daemon.runtime.settings import load_settings
from dca_daemon.runtime.settings_model import SECTIONS
from dca_daemon.runtime.settings_reference import example_toml, markdown
from dca_daemon.runtime.settings_sources import ENV_PREFIX

ROOT = Path(__file__).parents[2]
RENEW = "renew it: python -m dca_daemon.runtime.settings_reference"
ALL_KEYS = {f"{name}.{key}" for name, cls in SECTIONS.items() for key in cls.model_fields}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith(ENV_PREFIX) or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)


def keys_in_example(text: str) -> set[str]:
    keys, section = set(), ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
        elif key := re.match(r"(?:# )?([a-z_]+) = ", line):
            keys.add(f"{section}.{key[1]}")
    return keys


def keys_in_reference(text: str) -> set[str]:
    keys, section = set(), ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"## `\[(\w+)\]`", line):
            section = heading[1]
        elif key := re.match(r"\| `([a-z_]+)` \|", line):
            keys.add(f"{section}.{key[1]}")
    return keys


def test_the_example_holds_every_key_and_no_other() -> None:
    assert keys_in_example((ROOT / "config.example.toml").read_text()) == ALL_KEYS


def test_the_reference_holds_every_key_and_no_other() -> None:
    assert keys_in_reference((ROOT / "docs/configuration.md").read_text()) == ALL_KEYS


def test_what_is_committed_is_what_the_definitions_say() -> None:
    assert (ROOT / "config.example.toml").read_text() == example_toml(), RENEW
    assert (ROOT / "docs/configuration.md").read_text() == markdown(), RENEW


def test_the_example_loads() -> None:
    settings = load_settings(ROOT / "config.example.toml")
    assert settings.pool.currency == "GTQ"


def test_everything_in_the_example_is_valid_when_uncommented(tmp_path: Path) -> None:
    lines = [
        re.sub(r"^# (?=[a-z_]+ = )", "", line)
        for line in (ROOT / "config.example.toml").read_text().splitlines()
        if not re.match(r"(# )?[a-z_]+_file = ", line)
    ]
    path = tmp_path / "config.toml"
    path.write_text("\n".join(lines).replace("one key a line, each of 44 characters", "A" * 43 + "="))
    settings = load_settings(path)
    settings.require(*SECTIONS)
    for name, table in tomllib.loads(path.read_text()).items():
        fresh = SECTIONS[name].model_fields
        for key, value in table.items():
            default = fresh[key].default
            if isinstance(default, bool | int | float | str):
                assert value == default, f"{name}.{key}: the example shows another value than the default"


def test_every_setting_is_explained() -> None:
    for name, cls in SECTIONS.items():
        assert cls.__doc__
        for key, info in cls.model_fields.items():
            assert info.description, f"{name}.{key}"
            assert info.examples or info.default is not None, f"{name}.{key} has no example"
