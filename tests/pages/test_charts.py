"""Charts draw what they are given, and nothing of what is no number."""

from __future__ import annotations

import math
import re

import pytest

from evalharness.pages.charts import (
    MOST_BARS,
    ReliabilityPoint,
    histogram,
    reliability_diagram,
    shares_bar,
    whisker_bar,
)


def test_a_bar_is_as_long_as_its_value() -> None:
    assert 'x="2.0" y="4" width="50.0"' in whisker_bar(0.5, 0.4, 0.6, width=104)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_no_number_has_no_bar(value: float | None) -> None:
    drawn = whisker_bar(value, math.nan, 0.6)
    assert "rect" not in drawn
    assert "nan" not in drawn


@pytest.mark.parametrize("values", [[7], [1, 2, 2, 30], list(range(5000)), [0, 10**9], [-40, 3.5]])
def test_a_histogram_counts_every_value_in_few_bars(values: list[float]) -> None:
    counts = [
        int(told.replace(",", "")) for told in re.findall(r": ([\d,]+)</title>", histogram(values, title="", unit=""))
    ]
    assert sum(counts) == len(values)
    assert len(counts) <= MOST_BARS


def test_a_histogram_of_nothing_is_nothing() -> None:
    assert histogram([math.nan], title="", unit="") == ""


def test_the_parts_of_a_bar_are_as_long_as_their_counts() -> None:
    drawn = shares_bar([("pass", 30), ("timeout", 10)], title="made up", width=400)
    assert re.findall(r'class="label (\S+)" x="([\d.]+)" y="0" width="([\d.]+)"', drawn) == [
        ("pass", "0.0", "299.0"),
        ("timeout", "300.0", "99.0"),
    ]
    assert "timeout: 10 of 40 (25.0%)" in drawn


def test_titles_are_escaped() -> None:
    assert "<b>" not in histogram([1], title="<b>", unit="<b>")
    assert "<b>" not in shares_bar([('"><b>', 1)], title="<b>")


def test_an_empty_bin_has_no_point() -> None:
    points = [ReliabilityPoint(0.0, 0.1, 0, math.nan, math.nan), ReliabilityPoint(0.9, 1.0, 3, 0.95, 1.0)]
    drawn = reliability_diagram(points, title="made up")
    assert drawn.count("<circle") == 1
    assert "nan" not in drawn
