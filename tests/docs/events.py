"""The log events that the source code has, found by reading it, and those that docs/events.md lists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/dca_daemon"
DOCUMENT = ROOT / "docs/events.md"
LOGGERS = {"log", "_log", "logger", "_logger"}
LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}
ORDER = list(dict.fromkeys(LEVELS.values()))
EVENT_NAME = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+")
# `library` is made by the logging set-up itself, for lines of libraries.
IMPLICIT = {"library"}


def log_calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Each call of a logger's method, with its level."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            target = node.func.value
            name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
            if name in LOGGERS:
                yield node, LEVELS[node.func.attr]


def literals(node: ast.expr | None) -> list[str] | None:
    """The texts that an argument may be: a literal, or one of two. None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        first, second = literals(node.body), literals(node.orelse)
        return None if first is None or second is None else first + second
    return None


def events_in_source(problems: list[str] | None = None) -> dict[str, set[str]]:
    """Event → its levels. Calls whose event is not a proper literal are added to `problems`."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for call, level in log_calls(ast.parse(path.read_text())):
            names = literals(call.args[0] if call.args else None)
            if names is None or not all(EVENT_NAME.fullmatch(name) for name in names):
                if problems is not None:
                    problems.append(f"{path.relative_to(ROOT)}:{call.lineno}")
                continue
            for name in names:
                found.setdefault(name, set()).add(level)
    return found


def severity(levels: set[str]) -> str:
    """As the document writes it: `info`, or `info, warning`."""
    return ", ".join(sorted(levels, key=ORDER.index))


def events_in_document() -> dict[str, list[str]]:
    """Event → the other cells of its row."""
    rows: dict[str, list[str]] = {}
    for line in DOCUMENT.read_text().splitlines():
        if match := re.match(r"\| `([^`]+)` \|(.*)\|$", line):
            assert match[1] not in rows, f"{match[1]} is listed twice"
            rows[match[1]] = [cell.strip() for cell in match[2].split(" | ")]
    return rows
