"""The configuration that the demo's daemon runs with: one TOML file, and each secret in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dca_daemon.runtime.settings import toml_value

Document = Mapping[str, Mapping[str, object]]


def write_config(folder: Path, document: Document, secrets: Mapping[str, str]) -> Path:
    """Writes `folder`/config.toml and its secrets (`section.key` → value). Gives the file's path."""
    secrets_folder = folder / "secrets"
    secrets_folder.mkdir(mode=0o700)
    sections = {name: dict(values) for name, values in document.items()}
    for name, value in secrets.items():
        path = secrets_folder / name
        path.touch(mode=0o600)
        path.write_text(value + "\n", encoding="utf-8")
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[f"{key}_file"] = str(path)
    lines = ["# Written by `dca-daemon demo`. Every key there is: config.example.toml"]
    for section, values in sections.items():
        lines += ["", f"[{section}]", *(f"{key} = {toml_value(value)}" for key, value in values.items())]
    config = folder / "config.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config
