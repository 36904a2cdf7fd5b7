"""A chart as a file of its own: an SVG that needs no page around it, with the names of its lines below."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from evalharness.pages.line_chart import HEIGHT, WIDTH, Line, line_chart
from evalharness.pages.shell import asset

_ROW = 20
_STYLE = """
svg { color-scheme: light; --faint: #59636e; --bad: #b3261e; }
text { font: 12px sans-serif; fill: #24292f; }
.axis { stroke: #d0d7de; }
"""


def chart_file(lines: Sequence[Line], **chart: Any) -> str:
    """The SVG; `chart` is what `line_chart` takes beside the lines."""
    inner = line_chart(lines, **chart).partition("</svg>")[0] + "</svg>"
    names = "".join(
        f'{_sign(line, x, y - 4)}<text x="{x + 38}" y="{y}">{escape(line.name)}</text>'
        for line, (x, y) in zip(lines, _places(len(lines)), strict=True)
    )
    height = HEIGHT + _ROW * -(-len(lines) // 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f'<style>{_STYLE}{asset("curves.css")}</style><rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<svg width="{WIDTH}" height="{HEIGHT}">{inner}</svg>{names}</svg>\n'
    )


def _sign(line: Line, x: int, y: int) -> str:
    """How a line looks, beside its name."""
    if line.kind == "points":
        return f'<circle class="dot look-{line.look}" cx="{x + 15}" cy="{y}" r="3"/>'
    return f'<line class="{line.kind} look-{line.look}" x1="{x}" x2="{x + 30}" y1="{y}" y2="{y}"/>'


def _places(count: int) -> list[tuple[int, int]]:
    """Of the names, in two columns below the chart."""
    rows = -(-count // 2)
    return [(66 + 290 * (number // rows), HEIGHT + 12 + _ROW * (number % rows)) for number in range(count)]
