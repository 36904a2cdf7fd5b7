"""The scores of a training's checkpoints as a picture: `curve.py runs/tiny-symbolic/training > curve.svg`."""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

from evalharness.pages.line_chart import HEIGHT, WIDTH, Level, Line, line_chart
from evalharness.pages.shell import asset
from evalharness.report.training_log import read_training

ROW = 20
STYLE = """
svg { color-scheme: light; --faint: #59636e; --bad: #b3261e; }
text { font: 12px sans-serif; fill: #24292f; }
.axis { stroke: #d0d7de; }
"""


def picture(training: Path) -> str:
    """An SVG with a line for each kind of question, its 95 % intervals, and what it is called."""
    scores = read_training(training).scores()
    lines = [Line(task, scored.points, look, "scores") for look, ((task, _), scored) in enumerate(scores.items())]
    title = "Right answers by checkpoint"
    chart = line_chart(
        lines, title=title, x_title="step", levels=[Level(0.5, "chance of coin_flip")], holds_x=[0], holds_y=[0, 1]
    )
    inner = chart.partition("</svg>")[0] + "</svg>"
    names = "".join(
        f'<line class="scores look-{line.look}" x1="{x}" x2="{x + 30}" y1="{y - 4}" y2="{y - 4}"/>'
        f'<text x="{x + 38}" y="{y}">{escape(line.name)}</text>'
        for line, (x, y) in zip(lines, _places(len(lines)), strict=True)
    )
    height = HEIGHT + ROW * -(-len(lines) // 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f'<style>{STYLE}{asset("curves.css")}</style><rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<svg width="{WIDTH}" height="{HEIGHT}">{inner}</svg>{names}</svg>\n'
    )


def _places(count: int) -> list[tuple[int, int]]:
    """Of the names, in two columns below the chart."""
    rows = -(-count // 2)
    return [(66 + 290 * (number // rows), HEIGHT + 12 + ROW * (number % rows)) for number in range(count)]


if __name__ == "__main__":
    print(picture(Path(sys.argv[1])), end="")
