"""A small vocabulary for diagrams: boxes, arrows, words. What comes out is SVG that takes its page's colours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

Point = tuple[float, float]

# As part of a page the colours are the page's; as a picture of its own they are these.
_STYLE = """<style>
.diagram { --ink: #24292f; --faint: #6e7781; --paper: #fff; --fill: #f3f5f6; --strong: #14665e;
  background: var(--paper); font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
  .diagram { --ink: #e6edf3; --faint: #9aa4ad; --paper: #15191d; --fill: #22282e; --strong: #7fc9bf; } }
.diagram text { fill: var(--ink); text-anchor: middle; dominant-baseline: central; }
.diagram .label { font-size: 11.5px; fill: var(--faint); }
.diagram .label { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }
.diagram .left { text-anchor: start; }
.diagram .title { font-weight: 600; }
.diagram .box { fill: var(--fill); stroke: var(--faint); }
.diagram .strong { stroke: var(--strong); stroke-width: 2; }
.diagram .outside { fill: none; stroke-dasharray: 5 3; }
.diagram .arrow { fill: none; stroke: var(--faint); stroke-width: 1.3; }
.diagram .arrow.strong { stroke: var(--strong); stroke-width: 2; }
.diagram .head { fill: var(--faint); stroke: none; }
.diagram .head.strong { fill: var(--strong); }
.diagram .line { stroke: var(--faint); stroke-dasharray: 2 4; }
</style>"""


class Drawing:
    """Collects shapes; `svg` is the finished text."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._size = (width, height)
        self._title = title
        self._under: list[str] = []
        self._over: list[str] = []

    def box(
        self, at: Point, text: str, *, width: float = 120, kind: str = "", height: float | None = None
    ) -> None:
        """A box around its middle; the first line of several is its title."""
        lines = text.split("\n")
        tall = height if height is not None else 20 + 17 * len(lines)
        x, y = at
        self._over.append(
            f'<rect class="box {kind}" x="{x - width / 2:g}" y="{y - tall / 2:g}" width="{width:g}" '
            f'height="{tall:g}" rx="8"/>'
        )
        for number, line in enumerate(lines):
            dy = (number - (len(lines) - 1) / 2) * 17
            weight = "title" if number == 0 and len(lines) > 1 else ""
            self._over.append(f'<text class="{weight}" x="{x:g}" y="{y + dy:g}">{escape(line)}</text>')

    def arrow(self, points: Sequence[Point], label: str = "", *, kind: str = "", at: Point | None = None) -> None:
        """A line through the points, with its head at the last one; the label stands at `at`, or in the middle."""
        (x1, y1), (x2, y2) = points[-2], points[-1]
        angle = math.atan2(y2 - y1, x2 - x1)
        path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._under.append(f'<path class="arrow {kind}" d="{path}"/>')
        sides = [(x2 - 9 * math.cos(angle + turn), y2 - 9 * math.sin(angle + turn)) for turn in (-0.42, 0.42)]
        head = " ".join(f"{x:.1f},{y:.1f}" for x, y in [(x2, y2), *sides])
        self._under.append(f'<polygon class="head {kind}" points="{head}"/>')
        if label:
            middle = at or _middle(points)
            self.words(middle, label)

    def words(self, at: Point, text: str, *, kind: str = "label") -> None:
        lines = text.split("\n")
        for number, line in enumerate(lines):
            dy = (number - (len(lines) - 1) / 2) * 14
            self._over.append(f'<text class="{kind}" x="{at[0]:g}" y="{at[1] + dy:g}">{escape(line)}</text>')

    def line(self, start: Point, end: Point) -> None:
        self._under.append(
            f'<line class="line" x1="{start[0]:g}" y1="{start[1]:g}" x2="{end[0]:g}" y2="{end[1]:g}"/>'
        )

    def dot(self, at: Point) -> None:
        self._over.append(f'<circle class="head" cx="{at[0]:g}" cy="{at[1]:g}" r="6"/>')

    @property
    def svg(self) -> str:
        width, height = self._size
        return "\n".join(
            [
                f'<svg class="diagram" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                f'width="{width}" role="img" aria-label="{escape(self._title)}">',
                f"<title>{escape(self._title)}</title>",
                _STYLE,
                *self._under,
                *self._over,
                "</svg>\n",
            ]
        )


def _middle(points: Sequence[Point]) -> Point:
    (x1, y1), (x2, y2) = points[len(points) // 2 - 1], points[len(points) // 2]
    return ((x1 + x2) / 2, (y1 + y2) / 2)


def sequence(title: str, parts: Sequence[str], steps: Iterable[tuple[str, str, str]]) -> str:
    """Who says what to whom, from top to bottom."""
    every = list(steps)
    gap, top, row = 128, 60, 38
    width, height = gap * len(parts), top + row * len(every) + 20
    drawing = Drawing(width, height, title)
    place = {name: gap * (number + 0.5) for number, name in enumerate(parts)}
    for name, x in place.items():
        drawing.line((x, 44), (x, height - 8))
        drawing.box((x, 26), name, width=gap - 12, height=34)
    for number, (sender, receiver, text) in enumerate(every):
        y = top + row * number + 20
        drawing.arrow([(place[sender], y), (place[receiver], y)], kind="strong")
        drawing.words(((place[sender] + place[receiver]) / 2, y - 11), text)
    return drawing.svg
