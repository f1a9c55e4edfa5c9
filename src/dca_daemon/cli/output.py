"""What commands print: tables for people, JSON for scripts. Data on stdout, everything else on stderr.

JSON is the interface that scripts rely on: sats are integers, fiat is a decimal string with the currency's own
digits, times are ISO 8601 with their zone, states have the names that they have everywhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import typer

from dca_daemon.domain.money import sats_text
from dca_daemon.domain.wording import NOTHING

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of text for people.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, metavar="N", help="At most so many lines.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for a confirmation.")]

SHORT_ID = 8  # so much of a payout's id names it
_UNLIMITED_WIDTH = 10_000
_TEXT_WIDTH = 24  # text is wrapped to no less than this
_GAP_WIDTH = 3  # between two columns


def print_json(data: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2, default=_plain) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"no JSON for {type(value).__name__}")


def say(text: str = "") -> None:
    """A line for people, on stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """A line beside the data, on stderr."""
    sys.stderr.write(text + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, empty: str
) -> None:
    """A table. A heading's first character tells how its column is shown: `>` a number, to the right; `#` a long
    id, of which a terminal shows the beginning; `~` text that may be wrapped. `empty`: said without rows."""
    if title:
        say(title)
    terminal = sys.stdout.isatty()
    cells = [[_cell(column, value, terminal) for column, value in zip(columns, row, strict=True)] for row in rows]
    if not cells:
        say(empty)
        return
    _draw(columns, cells, terminal)


def _cell(column: str, value: object, terminal: bool) -> str:
    if value is None:
        return NOTHING
    return str(value)[:SHORT_ID] if terminal and column.startswith("#") else str(value)


def _draw(columns: Sequence[str], cells: Sequence[Sequence[str]], terminal: bool) -> None:
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        wraps = terminal and column.startswith("~")
        table.add_column(column.lstrip(">#~"), justify=justify, no_wrap=not wraps, overflow="fold")
    for row in cells:
        table.add_row(*row)
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    least = sum(
        _TEXT_WIDTH if column.startswith("~") else max(cell_len(text) for text in (column.lstrip(">#~"), *texts))
        for column, *texts in zip(columns, *cells, strict=True)
    )
    # Amounts and ids are never broken or cut: rather is the table wider than the terminal, or than any file.
    console.width = max(console.width, least + _GAP_WIDTH * len(columns)) if terminal else _UNLIMITED_WIDTH
    console.print(table)


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Labelled values, one a line, aligned."""
    shown = [(label, NOTHING if value is None else str(value)) for label, value in pairs]
    width = max((len(label) for label, _ in shown), default=0)
    for label, value in shown:
        say(f"{label:<{width}}  {value}")


def when(moment: datetime | None) -> str | None:
    """A time for people, in this computer's zone, which it names."""
    return None if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def iso(moment: datetime | None) -> str | None:
    """A time for scripts."""
    return None if moment is None else moment.isoformat()


def sats_or_none(sats: int | None) -> str | None:
    """Sats for people, where there are any to speak of."""
    return None if sats is None else sats_text(sats)
