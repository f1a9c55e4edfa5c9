"""Charts as SVG within the page: drawn by the server, in the page's own colours, with a tooltip on each mark.

What a chart shows stands beside it as a table too (`templates/charts.html`), for who can't see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 720
HEIGHT = 200
LEFT = 8
TOP = 16
BOTTOM = 22
_SCALE = 1000  # positions are whole thousandths: amounts never become floats


@dataclass(frozen=True, slots=True)
class Mark:
    """One bar or point: what it stands for, its exact text, and where it is, in SVG units."""

    label: str
    text: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`marks` in order; `points` joins them as a line; `top` is the text of the largest value."""

    title: str
    marks: tuple[Mark, ...]
    points: str
    first: str
    last: str
    top: str
    width: int = WIDTH
    height: int = HEIGHT


def chart(title: str, series: Sequence[tuple[str, int, str]], *, from_zero: bool = True) -> Chart:
    """A chart of (label, value, text of the value); values are whole, and not negative."""
    values = [value for _, value, _ in series]
    least = 0 if from_zero or not values else min(values)
    most = max(values, default=0)
    room, high = (WIDTH - 2 * LEFT) * _SCALE, (HEIGHT - TOP - BOTTOM) * _SCALE
    step = room // max(1, len(series))
    marks = []
    for nth, (label, value, text) in enumerate(series):
        tall = high * (value - least) // max(1, most - least)
        marks.append(
            Mark(
                label,
                text,
                _units(LEFT * _SCALE + nth * step + step // 10),
                _units(TOP * _SCALE + high - tall),
                _units(max(1, step - step // 5)),
                _units(tall),
            )
        )
    points = " ".join(f"{_units(LEFT * _SCALE + n * step + step // 2)},{mark.y}" for n, mark in enumerate(marks))
    top = next((text for _, value, text in series if value == most), "")
    return Chart(title, tuple(marks), points, series[0][0] if series else "", series[-1][0] if series else "", top)


def _units(thousandths: int) -> str:
    return f"{thousandths // _SCALE}.{thousandths % _SCALE:03d}"
