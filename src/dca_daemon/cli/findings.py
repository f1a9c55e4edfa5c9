"""How findings of `doctor` and `lamassu check` are shown: what fails first, so that it is not looked for."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dca_daemon.cli.output import say

if TYPE_CHECKING:
    from dca_daemon.services.doctor import Finding


_ORDER = ("fail", "warn", "ok")
_MARKS = {"fail": "FAIL", "warn": "WARN", "ok": "ok  "}
_LEAST_COLUMNS = 40


def finding_dict(finding: Finding) -> dict[str, Any]:
    """A finding for scripts."""
    return {
        "area": finding.area,
        "name": finding.name,
        "level": finding.level,
        "text": finding.text,
        "remedy": finding.remedy or None,
    }


def print_findings(findings: Sequence[Finding]) -> None:
    """Findings for people, the worst first; what is not well says below what to do, apart from the others."""
    width = max((len(f"{f.area} {f.name}") for f in findings), default=0)
    before = None
    for f in sorted(findings, key=lambda f: _ORDER.index(f.level)):  # else in the order of the checks
        if before is not None and (f.level != before.level or before.remedy):
            say("")
        before = f
        _say(f"{_MARKS[f.level]}  {f'{f.area} {f.name}':<{width}}  ", f.text)
        if f.remedy:
            _say(f"{'':<{width + 6}}  ", f"→ {f.remedy}")


def _say(margin: str, text: str) -> None:
    """On a terminal wrapped to its width, so that what was found stands in a column of its own."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    wide = max(columns - len(margin) - 1, _LEAST_COLUMNS)
    lines = textwrap.wrap(text, wide, break_long_words=False, break_on_hyphens=False) if columns else [text]
    for at, line in enumerate(lines):
        say((margin if at == 0 else " " * len(margin)) + line)
