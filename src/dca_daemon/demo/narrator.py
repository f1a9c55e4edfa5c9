"""Tells the demo: with colours on a terminal, as plain text when piped."""

from __future__ import annotations

import contextlib
import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_PIPED_WIDTH = 116
_WIDE = 100  # columns; with fewer, tables are not indented under the text
_INDENT = 2
TEXT_COLUMN = 13  # where the text of labelled lines begins


class Narrator:
    """Writes headings, labelled lines and tables to one stream. Nothing in a text is taken for markup."""

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows ? and not a traceback
        self._console = Console(
            file=stream,
            width=None if stream.isatty() else _PIPED_WIDTH,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def title(self, text: str, more: str) -> None:
        """What the whole thing is."""
        self._console.print(Text(text, style="bold"))
        self._console.print(Text(more, style="dim"))

    def heading(self, text: str) -> None:
        """A new part of the story."""
        self._console.print()
        self._console.print(Text(text, style="bold cyan"))

    def scene(self, text: str) -> None:
        """One cash-out within a part."""
        self._console.print()
        self.say(" " * _INDENT + text, style="bold")

    def line(self, label: str, text: str, *, style: str = "") -> None:
        """A labelled sentence; what does not fit into the line continues under its beginning."""
        before = " " * TEXT_COLUMN
        lines = textwrap.wrap(
            text, max(40, self._console.width - TEXT_COLUMN), break_long_words=False, break_on_hyphens=False
        )
        shown = f"\n{before}".join(lines)
        start = f"{'':<{_INDENT}}{label:<{TEXT_COLUMN - _INDENT}}"
        self._console.print(Text.assemble((start, "dim"), (shown, style)), soft_wrap=True)

    def say(self, text: str = "", *, style: str = "") -> None:
        """A sentence by itself, never broken by us: it may be a command to copy."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = _INDENT) -> None:
        """Rows under headings; a heading that starts with `>` aligns to the right."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
        for heading in columns:
            right = heading.startswith(">")
            table.add_column(
                heading.removeprefix(">"),
                justify="right" if right else "left",
                no_wrap=right,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        if self._console.width < _WIDE:
            indent = min(indent, _INDENT)
        self._console.print(Padding(table, (0, 0, 0, indent), expand=False))

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Says that something takes a while; on a terminal with a sign of life."""
        if self._console.is_terminal:
            with self._console.status(Text(f"{text} …")):
                yield
        else:
            self.line("", f"{text} …")
            yield
