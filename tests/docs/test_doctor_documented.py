"""Every finding of `doctor` is in docs/doctor.md, and every one there can be found."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.sources import document

SOURCE = Path(__file__).parents[2] / "src/dca_daemon"
# Findings of these modules name no area: it is the module's.
OF_AREA = {"lamassu": sorted(SOURCE.glob("lamassu/check*.py")), "configuration": [SOURCE / "cli/examination.py"]}


def calls(path: Path, *names: str) -> Iterator[list[str | None]]:
    """The first two arguments of each call: what is no literal is None."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield [
                part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else None
                for part in node.args[:2]
            ]


def in_source() -> set[str]:
    found = set()
    for path in SOURCE.glob("services/doctor/*.py"):
        for first, second in calls(path, "Finding", "judged"):
            if second is not None:
                found.add(f"{first or 'any'} {second}")
    found |= {f"lamassu {first}" for path in OF_AREA["lamassu"] for first, _ in calls(path, "Finding") if first}
    for path in OF_AREA["configuration"]:
        found |= {f"configuration {second or 'section'}" for _, second in calls(path, "Finding")}
    return found


def test_every_finding_is_explained() -> None:
    documented = re.findall(r"^\| `([a-z]+ [a-z-]+)` \| ([^|]+) \| ", document("doctor.md"), re.MULTILINE)
    assert sorted(name for name, _ in documented) == sorted(in_source())
    assert {level for _, levels in documented for level in levels.split(", ")} <= {"FAIL", "WARN", "–"}
    assert len(in_source()) > 40
