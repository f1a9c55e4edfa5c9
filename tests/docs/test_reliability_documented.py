"""docs/reliability.md names tests that exist, and every test of tests/faults."""

from __future__ import annotations

import ast
import re

from tests.docs.sources import ROOT, document

TESTS = ROOT / "tests"
# These test the tools of the others, or that nothing is left out of them.
OF_TOOLS = {"test_fault_points", "test_lnbits_double"}


def named() -> set[str]:
    return set(re.findall(r"`([a-z_]+/test_[a-z_]+\.py(?:::test_\w+)?)`", document("reliability.md")))


def functions_of(name: str) -> set[str]:
    tree = ast.parse((TESTS / name).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {f"{name}::{node.name}" for node in functions if node.name.startswith("test_")}


def test_every_test_that_is_named_exists() -> None:
    for reference in named():
        name, _, test = reference.partition("::")
        assert (TESTS / name).is_file(), reference
        assert not test or reference in functions_of(name), reference


def test_every_file_of_fault_tests_is_in_the_table() -> None:
    files = {path.relative_to(TESTS).as_posix() for path in (TESTS / "faults").glob("test_*.py")}
    files = {name for name in files if name.removeprefix("faults/").removesuffix(".py") not in OF_TOOLS}
    assert files <= {reference.partition("::")[0] for reference in named()}
