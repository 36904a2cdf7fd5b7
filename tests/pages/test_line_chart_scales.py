"""A logarithmic axis of places, and points without a line between them."""

from __future__ import annotations

import re

import pytest

from evalharness.pages.line_chart import Line, Point, line_chart

FAR_APART = [Point(1e10, 3.0), Point(1e12, 2.5), Point(1e14, 2.0)]


def drawn(line: Line, *others: Line) -> str:
    return line_chart([line, *others], title="made up", x_title="operations", logarithmic_x=True)


def test_places_whose_powers_are_equally_far_apart_are_too() -> None:
    points = re.findall(r'<polyline class="curve look-0" points="([^"]*)"', drawn(Line("loss", FAR_APART)))[0]
    xs = [float(place.partition(",")[0]) for place in points.split()]
    assert xs == pytest.approx([66.0, 345.0, 624.0])


def test_powers_of_ten_are_written_below() -> None:
    picture = drawn(Line("loss", FAR_APART))
    assert re.findall(r">(10B|100B|1e12|1e13|1e14)<", picture) == ["10B", "100B", "1e12", "1e13", "1e14"]


def test_a_stretch_without_three_powers_has_round_numbers() -> None:
    picture = drawn(Line("loss", [Point(3e6, 3.0), Point(4e6, 2.5)]))
    assert ">3M<" in picture
    assert ">3.4M<" in picture


def test_points_have_no_line() -> None:
    picture = drawn(Line("runs", FAR_APART, 0, "points"))
    assert picture.count('<circle class="dot') == 3
    assert "<polyline" not in picture


def test_the_legend_shows_points_as_points() -> None:
    legend = drawn(Line("runs", FAR_APART, 0, "points"), Line("law", FAR_APART, 1)).partition("<ul")[2]
    assert legend.count("<circle") == 1
    assert legend.count("<line") == 1
