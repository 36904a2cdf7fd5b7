"""Curves are where their numbers are, on every axis; what is no number is drawn nowhere."""

from __future__ import annotations

import math
import re

import pytest

from evalharness.pages.line_chart import MOST_POINTS, Level, Line, Mark, Point, line_chart, thinned, ticks, wide


def drawn(*lines: Line, **more: object) -> str:
    return line_chart(lines, title="made up", x_title="step", **more)  # type: ignore[arg-type]


def places(picture: str, of: str = "curve look-0") -> list[list[tuple[float, float]]]:
    """The points of every line of a class."""
    found = re.findall(rf'<poly\w+ class="{of}" points="([^"]*)"', picture)
    return [[tuple(map(float, place.split(","))) for place in points.split()] for points in found]  # type: ignore[misc]


def test_a_line_runs_from_corner_to_corner() -> None:
    points = [Point(0, 0.0), Point(50, 5.0), Point(100, 10.0)]
    # 66 to 624 across and 20 to 236 down, with a twentieth of the values' range above and below.
    assert places(drawn(Line("loss", points))) == [[(66.0, 226.2), (345.0, 128.0), (624.0, 29.8)]]


def test_on_a_logarithmic_axis_powers_of_ten_are_equally_far_apart() -> None:
    points = [Point(0, 1.0), Point(1, 10.0), Point(2, 100.0), Point(3, 0.0)]
    (line,) = places(drawn(Line("norm", points), logarithmic=True))
    (first, second, third) = [y for _, y in line]
    assert first - second == pytest.approx(second - third, abs=0.11)


@pytest.mark.parametrize("gap", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_breaks_the_line(gap: float) -> None:
    points = [Point(0, 1.0), Point(1, 2.0), Point(2, gap), Point(3, 2.0), Point(4, 1.0)]
    picture = drawn(Line("loss", points))
    assert [len(line) for line in places(picture)] == [2, 2]
    assert "nan" not in picture
    assert "inf" not in picture


def test_nothing_is_drawn_of_nothing() -> None:
    assert drawn() == ""
    assert drawn(Line("loss", [])) == ""
    assert "<polyline" not in drawn(Line("loss", [Point(0, math.nan)]))


def test_a_single_point_is_a_dot() -> None:
    assert drawn(Line("loss", [Point(7, 1.0)])).count("<circle") == 1


def test_scores_have_dots_with_their_numbers_and_intervals() -> None:
    points = [Point(100, 0.5, 0.4, 0.6), Point(200, 0.7, 0.6, 0.8), Point(300, 0.75)]
    picture = drawn(Line("exact_match", points, 1, "scores"))
    assert "<title>exact_match, 100: 0.5 (0.4 to 0.6)</title>" in picture
    assert "<title>exact_match, 300: 0.75</title>" in picture
    ((*upper, low_of_last, low_of_first),) = places(picture, "band look-1")
    assert [x for x, _ in upper] == [66.0, 345.0] == [low_of_first[0], low_of_last[0]]
    assert picture.count('class="whisker look-1"') == 2


def test_levels_and_marks() -> None:
    line = Line("acc", [Point(0, 0.0), Point(100, 1.0)])
    picture = drawn(line, levels=[Level(0.5, "chance 0.5")], marks=[Mark(50, "spike"), Mark(101, "beyond")])
    assert '<line class="level" x1="66" x2="624" y1="128.0" y2="128.0"/>' in picture
    assert '<line class="mark" x1="345.0" x2="345.0"' in picture
    assert "beyond" not in picture


def test_lines_are_told_apart_without_colours() -> None:
    one, two = (Line(name, [Point(0, 1.0), Point(1, 2.0)], look) for look, name in enumerate(("one", "two")))
    assert "legend" not in drawn(one)
    picture = drawn(one, two)
    assert re.findall(r'<li>.*?class="(.*?)".*?</svg> (\w+)</li>', picture) == [
        ("curve look-0", "one"),
        ("curve look-1", "two"),
    ]


def test_names_are_escaped() -> None:
    hostile = "<b>"
    lines = [Line(hostile, [Point(0, 1.0)]), Line(hostile, [Point(0, 1.0)])]
    picture = line_chart(lines, title=hostile, x_title=hostile, marks=[Mark(0, hostile)], levels=[Level(1.0, hostile)])
    assert hostile not in picture


def test_of_many_points_no_peak_is_lost() -> None:
    points = [Point(step, 1.0 + 0.001 * (step % 7)) for step in range(100_000)]
    points[54_321] = Point(54_321, 40.0)
    points[60_000] = Point(60_000, math.nan)
    few = thinned(points)
    assert MOST_POINTS - 2 <= len(few) <= MOST_POINTS + 1
    assert points[54_321] in few
    assert sum(math.isnan(point.y) for point in few) == 1
    assert [point.x for point in few] == sorted(point.x for point in few)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((0, 230), [0, 50, 100, 150, 200]),
        ((0.0, 1.0), [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ((0.13, 0.31), [0.15, 0.2, 0.25, 0.3]),
        ((-3, 3), [-2, 0, 2]),
        ((5, 5), [5]),
        ((1e-5, 3e-4), [5e-5, 1e-4, 1.5e-4, 2e-4, 2.5e-4, 3e-4]),
        ((0, 2_048_000), [0, 500_000, 1_000_000, 1_500_000, 2_000_000]),
    ],
)
def test_ticks_are_round(ends: tuple[float, float], expected: list[float]) -> None:
    assert ticks(*ends) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 29], False), ([1, 30], True), ([0, 30], False), ([math.nan], False), ([1, 99, math.nan], True)],
)
def test_values_far_apart(values: list[float], expected: bool) -> None:
    assert wide(values) is expected
