"""The scores of a training's checkpoints as a picture: `curve.py runs/tiny-symbolic/training > curve.svg`."""

from __future__ import annotations

import sys
from pathlib import Path

from evalharness.pages.chart_file import chart_file
from evalharness.pages.line_chart import Level, Line
from evalharness.report.training_log import read_training


def picture(training: Path) -> str:
    """An SVG with a line for each kind of question, its 95 % intervals, and what it is called."""
    scores = read_training(training).scores()
    return chart_file(
        [Line(task, scored.points, look, "scores") for look, ((task, _), scored) in enumerate(scores.items())],
        title="Right answers by checkpoint",
        x_title="step",
        levels=[Level(0.5, "chance of coin_flip")],
        holds_x=[0],
        holds_y=[0, 1],
    )


if __name__ == "__main__":
    print(picture(Path(sys.argv[1])), end="")
