"""Settings that had another name, or that are gone: a configuration written for an older version still works.

An old name is read as the new one, from the file and from the environment, and the operator is told. One that is
gone is refused with what takes its place: to leave it out in silence could pay whom it was meant to leave out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from dca_daemon.domain.text import plain

log = structlog.get_logger()

# Old name to new name, each with its section. A secret's `…_file` is an entry of its own.
RENAMED: Mapping[str, str] = {
    "reconcile.days": "reconcile.window_days",
}
# What is gone, and what takes its place.
GONE: Mapping[str, str] = {
    "lamassu.coins": "what is left out is told while the daemon runs: dca-daemon filter add coin LN --reason …",
}


@dataclass(frozen=True, slots=True)
class Renamed:
    """A setting that was given by its old name."""

    old: str
    new: str
    where: str  # file, or the environment's variable

    @property
    def remedy(self) -> str:
        """What the operator should do, some day."""
        if self.where == "file":
            return f"write {self.new} in its place; the old name will be refused in a later version"
        return f"set {variable(self.new)} in its place; the old name will be refused in a later version"


def variable(name: str) -> str:
    """`reconcile.window_days` as it is spelled in the environment."""
    return f"DCA_{name.replace('.', '__')}".upper()


def in_file(document: Mapping[str, Any], problems: list[str]) -> tuple[dict[str, Any], list[Renamed]]:
    """The file's content with today's names. What can't be used is added to `problems`."""
    tables = {name: dict(table) if isinstance(table, dict) else table for name, table in document.items()}
    renamed = []
    for old, new in RENAMED.items():
        (section, key), (new_section, new_key) = old.split("."), new.split(".")
        table = tables.get(section)
        if not isinstance(table, dict) or key not in table:
            continue
        target = tables.setdefault(new_section, {})
        if not isinstance(target, dict):
            continue  # that is refused as what it is
        value = table.pop(key)
        if new_key in target:
            problems.append(_both(old, new))
        else:
            target[new_key] = value
            renamed.append(Renamed(old, new, "file"))
    for old, instead in GONE.items():
        section, key = old.split(".")
        table = tables.get(section)
        if isinstance(table, dict) and table.pop(key, None) is not None:
            problems.append(_gone(old, instead))
    return tables, renamed


def in_environment(
    environ: Mapping[str, str], problems: list[str]
) -> tuple[dict[str, dict[str, str]], list[Renamed]]:
    """Section to key to text, of what the environment gives by an old name."""
    given = {name.upper(): name for name in environ}
    found: dict[str, dict[str, str]] = {}
    renamed = []
    for old, new in RENAMED.items():
        name = given.get(variable(old))
        if name is None:
            continue
        if variable(new) in given:
            problems.append(_both(name, given[variable(new)]))
        section, key = new.split(".")
        found.setdefault(section, {})[key] = environ[name]
        renamed.append(Renamed(old, new, name))
    problems += [_gone(given[variable(old)], instead) for old, instead in GONE.items() if variable(old) in given]
    return found, renamed


def old_variables() -> Iterable[str]:
    """Names in the environment that are known, though no setting is called so any more."""
    return (variable(name) for name in (*RENAMED, *GONE))


def tell(renamed: Iterable[Renamed]) -> None:
    """Says in the log what was given by an old name."""
    for one in renamed:
        log.warning("settings.renamed", old=one.old, new=one.new, where=one.where, remedy=one.remedy)


def _both(old: str, new: str) -> str:
    return f"{plain(old)} is the old name of {plain(new)}: set one of them, not both"


def _gone(name: str, instead: str) -> str:
    return f"setting {plain(name)} is gone: {instead}"
