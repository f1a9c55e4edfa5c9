"""Every error code that the source can set is in docs/reference.md, and every one there can be set."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from dca_daemon.domain import errors
from tests.docs.sources import document, section, trees

# The one code that is put together: payout-<from>-to-<to>.
PATTERN = "payout-*-to-*"


def assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Name and value of each plain assignment."""
    for node in body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))


def constants(tree: ast.Module) -> dict[str, str]:
    """Names of the module that are bound to a text."""
    return {
        name: value.value
        for name, value in assigned(tree.body)
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }


def text_of(node: ast.expr, known: dict[str, str]) -> str:
    """A code as it is written: a literal, a constant of the module, or a pattern with * for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    raise AssertionError(f"line {node.lineno}: a code must be a literal or a constant of its module")


def codes(tree: ast.Module) -> Iterator[str]:
    """What error classes set as `code`, and what errors are raised with as `code=…`."""
    known = constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
            yield from (text_of(value, known) for name, value in assigned(node.body) if name == "code")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Error"):
            yield from (text_of(each.value, known) for each in node.keywords if each.arg == "code")


def in_source() -> set[str]:
    return {code for _, tree in trees() for code in codes(tree)}


def documented() -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", section(document("reference.md"), "Error codes"), re.MULTILINE)


def test_the_scan_sees_what_there_is() -> None:
    classes = {
        cls.code for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.DcaError)
    }
    assert classes | {PATTERN, "leader-lost", "source-timeout", "payout-superseded"} <= in_source()


def test_every_code_is_documented_once_and_every_documented_one_exists() -> None:
    assert sorted(documented()) == sorted(in_source())
