"""Checkpoints in their order, from a trend.jsonl and from a family's runs, and the picture of them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from evalharness.errors import DataError
from evalharness.leaderboards.options import Model
from evalharness.leaderboards.trend_lines import Point, Series, in_order, of_file
from evalharness.leaderboards.trend_plot import plot


def line(checkpoint: str, gain: float | None) -> str:
    facts = {
        "gain": gain,
        "lower": None if gain is None else gain - 0.01,
        "upper": None if gain is None else gain + 0.01,
    }
    return json.dumps({"checkpoint": checkpoint, "gate": "own", "tasks": {"easy": facts}})


def test_a_file_tells_the_gain_by_task(tmp_path: Path) -> None:
    path = tmp_path / "trend.jsonl"
    path.write_text("\n".join([line("step-200", -0.1), line("step-1000", None), line("step-200", 0.2)]) + "\n")
    (series,) = of_file(path)
    assert series.title == "easy"
    assert series.points == (
        Point(checkpoint="step-200", value=0.2, low=pytest.approx(0.19), high=pytest.approx(0.21)),
        Point(checkpoint="step-1000", value=None),
    )


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file; `evalharness check --trend FILE`"):
        of_file(tmp_path / "trend.jsonl")


def test_a_family_is_in_the_order_of_its_numbers() -> None:
    models = [Model(name=name, family="own") for name in ("step-1000", "step-200", "step-30")] + [Model(name="x-1")]
    assert [model.name for model in in_order(models, "own")] == ["step-30", "step-200", "step-1000"]


def test_the_line_breaks_where_nothing_was_measured() -> None:
    points = [Point(checkpoint=f"<{number}>", value=number, low=number - 1, high=number + 1) for number in range(5)]
    points[2] = Point(checkpoint="gone", value=None)
    picture = ElementTree.fromstring(plot(Series(title="a & b", what="acc", points=tuple(points))))
    assert len(picture.findall("polyline")) == 2
    assert len(picture.findall("polygon")) == 2
    assert len(picture.findall("circle")) == 4
    assert picture.attrib["aria-label"] == "a & b: acc, over 5 checkpoints"


def test_nothing_measured_is_said() -> None:
    assert "No checkpoint" in plot(Series(title="a", what="acc", points=(Point(checkpoint="x", value=None),)))
