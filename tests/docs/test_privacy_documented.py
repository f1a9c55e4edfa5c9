"""docs/privacy.md classifies every column, and erasing reaches every text in which somebody may be named."""

from __future__ import annotations

import re
from pathlib import Path

from dca_daemon.ledger.db import Database, rows
from dca_daemon.services import erasing_places, retention

DOCUMENT = Path(__file__).parents[2] / "docs" / "privacy.md"
KINDS = {"client", "user", "layperson", "visitor", "text", "secret"}
# Texts that erasing treats by a statement of their own, and those of clients that it replaces or deletes.
BY_ITSELF = {
    ("audit_log", "before"), ("audit_log", "after"), ("audit_log", "reason"), ("event", "data"),
    ("client", "name"), ("client_opening", "external_id"), ("api_token", "name"),
    ("destination", "name"), ("destination", "address"), ("destination", "wallet_id"),
    ("payout", "bolt11"), ("payout", "receiver_wallet_id"),
}  # fmt: skip


def inventory() -> dict[str, dict[str, str]]:
    """Column → its kind, or empty for one that tells of nobody; by table."""
    section = DOCUMENT.read_text(encoding="utf-8").split("## Every column")[1].split("\n## ")[0]
    found: dict[str, dict[str, str]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not (len(cells) == 4 and re.fullmatch(r"`\w+`", cells[0])):
            continue
        columns = found.setdefault(cells[0].strip("`"), {})
        for group in cells[1].split(";"):
            kind, _, names = group.strip().partition(": ")
            for name in re.findall(r"`(\w+)`", names):
                assert kind in KINDS and name not in columns, (cells[0], group)
                columns[name] = kind
        for name in re.findall(r"`(\w+)`", cells[2]):
            assert name not in columns, (cells[0], name)
            columns[name] = ""
    return found


async def test_every_column_is_classified(books: Database) -> None:
    async with books.transaction() as conn:
        found = await rows(
            conn, "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        )
    known = {(table, column) for table, columns in inventory().items() for column in columns}
    there = {(r.table_name, r.column_name) for r in found}
    assert there - known == set(), "classify these in docs/privacy.md: do they tell of a person?"
    assert known - there == set(), "these are in docs/privacy.md only"


def test_erasing_reaches_every_text() -> None:
    named = {
        (t, c) for t, columns in inventory().items() for c, kind in columns.items() if kind in ("client", "text")
    }
    places = {**erasing_places.TEXTS, **erasing_places.JSON}
    reached = {(table, column) for table, columns in places.items() for column in columns}
    assert named == reached | BY_ITSELF


def test_what_is_forgotten_is_documented() -> None:
    section = DOCUMENT.read_text(encoding="utf-8").split("## What is forgotten after a time")[1]
    for name, rule in retention.RULES.items():
        assert f"`{rule.table}`" in section, name
        assert rule.days is None or f"`{rule.days}`" in section, name
