"""Takes an entry back by its mirror image."""

from datetime import datetime

from dca_daemon.ledger.journal import Entry, Line


def reversal(
    *, entry_id: int, reversed_lines: tuple[Line, ...], happened_at: datetime, actor: str, cause: str
) -> Entry:
    """`reversed_lines` are the entry's own lines; what they did is undone, and both stay visible."""
    return Entry(
        template="reversal",
        key=f"reversal:{entry_id}",
        happened_at=happened_at,
        actor=actor,
        cause=cause,
        corrects_entry_id=entry_id,
        lines=tuple(Line(line.account, -line.amount) for line in reversed_lines),
    )
