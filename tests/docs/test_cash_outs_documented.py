"""docs/lamassu.md has every verdict and reason that the code can give, in its order."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from dca_daemon.lamassu.columns import COLUMNS
from dca_daemon.services import mirror
from dca_daemon.services.filters import LEFT_OUT, FilterKind
from tests.docs.sources import SOURCE, document, section


def verdicts() -> Iterator[tuple[str, str]]:
    """(verdict, reason) of every `Classification(…)` in the domain, in the order in which they are decided."""
    tree = ast.parse((SOURCE / "domain/cash_out.py").read_text(encoding="utf-8"))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    found = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Classification"]
    for call in sorted(found, key=lambda call: call.lineno):
        verdict, reason = call.args[:2]
        assert isinstance(verdict, ast.Attribute) and isinstance(reason, ast.Constant)
        yield verdict.attr.lower(), str(reason.value)


def reasons_of_services() -> set[str]:
    """Reasons that the services add: the third argument of `Mirrored(…)`, those in the baseline's SQL, and those
    that have a name."""
    found = {mirror.OPERATOR, mirror.REVERSED, mirror.AWAITS_POOL, *LEFT_OUT}
    for name in ("intake", "baseline"):
        text = (SOURCE / f"services/{name}.py").read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Mirrored":
                reason = node.args[2]
                if isinstance(reason, ast.Constant):
                    found.add(str(reason.value))
        found |= set(re.findall(r"\breason = '([a-z-]+)'", text))
    return found


def test_the_table_of_cases_is_the_code() -> None:
    text = section(document("lamassu.md"), "What a cash-out means")
    cases = re.findall(r"^\| [^|]+ \| (\w+) \| `([a-z-]+)` \| [^|]+ \|$", text, re.MULTILINE)
    assert cases == list(verdicts())


def test_the_other_reasons_are_there() -> None:
    text = section(document("lamassu.md"), "What a cash-out means")
    assert set(re.findall(r"^\| [\w-]+ \| `([a-z-]+)` \| [^|]+ \|$", text, re.MULTILINE)) == reasons_of_services()


def test_every_kind_of_filter_has_its_reason() -> None:
    assert list(LEFT_OUT) == [f"filter-{kind}" for kind in FilterKind]


def test_every_column_that_is_read_is_named() -> None:
    text = section(document("lamassu.md"), "The role and its rights")
    for table in {column.table for column in COLUMNS}:
        row = re.search(rf"^\| `{table}`[^|]*\|(.*)\|$", text, re.MULTILINE)
        assert row, table
        assert set(re.findall(r"`(\w+)`", row[1])) == {column.name for column in COLUMNS if column.table == table}
