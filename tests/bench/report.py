"""Figures, their table on the terminal, and build/bench.jsonl."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measurement. `baseline` is the bare cost in the same unit; `ratio` = value / baseline.

    `target` is a limit that `value` must stay below (or, with `at_least`, reach); None where there is none.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if not self.baseline else self.value / self.baseline

    @property
    def holds(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value < self.target


@dataclass
class Report:
    """Collects figures; says each as soon as it is known."""

    console: Console = field(default_factory=lambda: Console(stderr=True))
    figures: list[Figure] = field(default_factory=list)
    pages: list[Figure] = field(default_factory=list)  # of the console, the slowest first

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)
        self.console.print(f"  {figure.name}: {figure.value:,.3f} {figure.unit}", highlight=False)

    def write(self, path: Path) -> None:
        """One JSON object a figure."""
        path.parent.mkdir(parents=True, exist_ok=True)
        keys = ("name", "value", "unit", "baseline", "ratio", "target", "holds", "note")
        with path.open("w", encoding="utf-8") as file:
            for figure in (*self.figures, *self.pages):
                values = {**asdict(figure), "ratio": figure.ratio, "holds": figure.holds}
                file.write(json.dumps({key: values[key] for key in keys}) + "\n")

    @property
    def missed(self) -> bool:
        """Whether any target was."""
        return any(figure.holds is False for figure in (*self.figures, *self.pages))

    def table(self) -> Table:
        """For people."""
        return self._table("dca-daemon: make bench", self.figures)

    def pages_table(self, count: int = 25) -> Table:
        """The slowest pages; build/bench.jsonl has all."""
        return self._table("the console's slowest pages, until the first byte", self.pages[:count])

    def _table(self, title: str, figures: Sequence[Figure]) -> Table:
        table = Table(title=title)
        for name in ("figure", "value", "bare cost", "ratio", "target", ""):
            table.add_column(name, justify="left" if name in ("figure", "") else "right")
        for f in figures:
            sign = "≥" if f.at_least else "<"
            table.add_row(
                f.name,
                f"{f.value:,.2f} {f.unit}",
                "" if f.baseline is None else f"{f.baseline:,.2f} {f.unit}",
                "" if f.ratio is None else f"{f.ratio:,.2f}",
                "" if f.target is None else f"{sign} {f.target:,g} {f.unit}",
                {True: "holds", False: "MISSED", None: ""}[f.holds],
            )
        return table


def median_ms(seconds: Sequence[float]) -> float:
    """The median, in milliseconds."""
    return statistics.median(seconds) * 1000
