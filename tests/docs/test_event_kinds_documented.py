"""docs/events-and-webhooks.md has every kind of event that the code can write; its example works."""

from __future__ import annotations

import ast
import fnmatch
import re
import time
from collections.abc import Iterator
from typing import Any

from dca_daemon.services.webhook_http import new_secret, signed_headers
from tests.docs.sources import ROOT, SOURCE, document, trees

KIND = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9*-]+)+")

LOG_LINE = re.compile(
    r"return (?:self\.)?cash_out_id, \"([a-z]+)\", |\[\(row\.id, \"([a-z]+)\", |VALUES \(:id, '([a-z]+)', CAST"
)


def text_of(node: ast.AST) -> Iterator[str]:
    """What a literal may be, with * for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from text_of(node.body)
        yield from text_of(node.orelse)
    elif isinstance(node, ast.Name):  # a constant of its module, like webhooks.TEST
        yield f"${node.id}"


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def audited() -> Iterator[str]:
    """Actions: what is passed as `action`, or to a function that audits."""
    for _, tree in trees():
        constants = {
            f"${target.id}": node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                given = [k.value for k in node.keywords if k.arg == "action"]
                if called(node).endswith("audit"):
                    given += node.args
                for text in (text for argument in given for text in text_of(argument)):
                    kind = constants.get(text, text)
                    if isinstance(kind, str) and KIND.fullmatch(kind):
                        yield kind


def logged() -> Iterator[str]:
    """Lines of the logs of cash-outs and payouts."""
    for path, tree in trees():
        source = path.read_text(encoding="utf-8")
        if re.search(r"write_log|cash_out_log|-> Event", source) and path.parent == SOURCE / "services":
            for found in LOG_LINE.findall(source):
                yield f"cash-out.{''.join(found)}"
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or path.parts[-2] not in ("payouts", "services"):
                continue
            position = {"write_log": 2, "move": 3}.get(called(node))
            if position is not None and len(node.args) > position:
                yield from (f"payout.{text}" for text in text_of(node.args[position]) if text.isalpha())
    yield from ("payout.failed", "payout.expired", "payout.void")  # store.release: named as the outcome


def triggered() -> Iterator[str]:
    """What the triggers write of themselves."""
    migrations = "".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "alembic/versions").glob("*.py"))
    )
    yield from ("fixed-run.done", "fixed-run.nothing", "fixed-run.skipped", "commission.released")
    yield from ("reconcile.agrees", "reconcile.differs", "reconcile.incomplete")
    prefixes = re.findall(r"SELECT (?:l\.)?at, '([a-z.-]+)'", migrations)
    assert prefixes == ["cash-out.", "payout.", "fixed-run.", "commission.released", "reconcile."]


def in_source() -> set[str]:
    return {*audited(), *logged(), *triggered()}


def documented() -> list[str]:
    return re.findall(r"^\| `([a-z0-9.-]+\.[a-z0-9-]+)` \| `", document("events-and-webhooks.md"), re.MULTILINE)


def test_the_scan_sees_what_there_is() -> None:
    assert {
        "cash-out.seen",
        "cash-out.reversed",
        "payout.settled",
        "payout.resubmitted",
        "deposit.confirm",
        "client.set-*",
        "cash.*",
        "fixed.off",
        "payout.adopt",
        "webhook.test",
    } <= in_source()


def test_every_kind_is_documented_once_and_every_documented_one_exists() -> None:
    kinds, known = documented(), in_source()
    assert len(kinds) == len(set(kinds))
    missing = sorted(k for k in known if not fnmatch.filter(kinds, k))
    assert not missing, f"add to docs/events-and-webhooks.md: {', '.join(missing)}"
    stale = sorted(k for k in kinds if not any(fnmatch.fnmatch(k, pattern) for pattern in known))
    assert not stale, f"remove from docs/events-and-webhooks.md: {', '.join(stale)}"


def test_the_example_verifies_what_is_sent() -> None:
    example = re.search(r"^```python\n(.*?)^```", document("events-and-webhooks.md"), re.MULTILINE | re.DOTALL)
    assert example
    names: dict[str, Any] = {}
    exec(example[1], names)
    secret, body = new_secret(), '{"id": 1, "kind": "naïve"}'.encode()
    now = int(time.time())
    headers = signed_headers(secret, "evt_1_ab", now, body)
    assert names["verified"](secret, headers, body)
    assert not names["verified"](secret, headers, body + b" ")
    assert not names["verified"](new_secret(), headers, body)
    assert not names["verified"](secret, signed_headers(secret, "evt_1_ab", now - 400, body), body)
