"""How findings of `doctor` and `lamassu check` are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dca_daemon.cli.output import say

if TYPE_CHECKING:
    from dca_daemon.services.doctor import Finding


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
    """Findings for people, a line each; what is not well says below what to do."""
    width = max((len(f"{f.area} {f.name}") for f in findings), default=0)
    for f in findings:
        say(f"{f.level.upper():<4}  {f'{f.area} {f.name}':<{width}}  {f.text}")
        if f.remedy:
            say(f"{'':<{width + 6}}  → {f.remedy}")
