"""The points themselves: where they stand, and that they cost nothing while nobody uses them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

import pytest

from dca_daemon import fault_points
from tests.docs.sources import SOURCE, trees
from tests.faults.points import CALL_STEPS, COMMIT_STEPS, POINTS, STEPS, points_of

_TAKES_A_NAME = ("around_call", "self._step", "self._transaction")  # what passes it on to `run`, and the calls
_WALLET_CALLS = {"create_invoice", "pay", "sent", "received", "balance_msat"}


@pytest.fixture
def reached() -> Iterator[list[str]]:
    """The points that are come by, from now on."""
    names: list[str] = []

    async def note(point: str) -> None:
        names.append(point)

    fault_points.install(note)
    yield names
    fault_points.install(None)


async def _take(step_name: str) -> None:
    for commit in COMMIT_STEPS:
        if commit == step_name:
            await fault_points.before_commit(commit)
            await fault_points.after_commit(commit)
    for call in CALL_STEPS:
        if call == step_name:
            async with fault_points.around_call(call):
                pass


@pytest.mark.parametrize("step", STEPS)
async def test_a_handler_is_told_each_point_by_its_name(reached: list[str], step: str) -> None:
    await _take(step)
    assert tuple(reached) == points_of(step)


async def test_what_raises_within_a_call_is_not_after_it(reached: list[str]) -> None:
    with pytest.raises(ValueError, match="no"):
        async with fault_points.around_call("wallet.pay"):
            raise ValueError("no")
    assert reached == ["wallet.pay.before-call"]


async def test_a_transaction_without_a_name_has_no_points(reached: list[str]) -> None:
    await fault_points.before_commit(None)
    await fault_points.after_commit(None)
    assert not reached


@pytest.mark.parametrize("step", STEPS)
def test_without_a_handler_nothing_is_waited_for(step: str) -> None:
    with pytest.raises(StopIteration):  # it ran to its end at once: nothing gave the event loop a turn
        _take(step).send(None)


def test_the_program_itself_installs_none() -> None:
    for path, tree in trees():
        if path.name != "fault_points.py":
            named = {
                alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
            }
            calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
            assert "fault_points.install" not in calls, path
            assert "install" not in named or "fault_points" not in ast.unparse(tree), path


def test_each_name_stands_at_one_place() -> None:
    calls = [node for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = [
        argument
        for call in calls
        for argument in (
            *(call.args[:1] if ast.unparse(call.func) in _TAKES_A_NAME else []),
            *(keyword.value for keyword in call.keywords if keyword.arg == "step"),
        )
    ]
    assert Counter(a.value for a in given if isinstance(a, ast.Constant)) == Counter(STEPS)
    assert len(POINTS) == 2 * len(STEPS)


@pytest.mark.parametrize(
    ("module", "function"),
    [("services/intake.py", None), ("services/baseline.py", "_set"), ("payouts/books.py", None)],
)
def test_each_durable_step_is_named(module: str, function: str | None) -> None:
    tree: ast.AST = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    if function is not None:
        tree = next(n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef) and n.name == function)
    runs = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func).endswith("db.run")]
    assert runs
    assert all("step" in {keyword.arg for keyword in run.keywords} for run in runs)


def test_each_call_of_the_wallet_has_its_points() -> None:
    found: Counter[str] = Counter()
    for module in ("payouts/payout_steps.py", "payouts/funds.py", "payouts/payer.py"):
        tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
        guarded = {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.AsyncWith) and "around_call(" in ast.unparse(node.items[0])
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = node.func.attr
                if ast.unparse(node.func.value) in ("self._wallet", "wallet") and name in _WALLET_CALLS:
                    found[name] += 1
                    assert node in guarded, f"{module}:{node.lineno}"
    assert set(found) == _WALLET_CALLS
