"""The picture of an interval: one scale for a column, ends in their places, an alternative text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from evalharness.pages.whisker import HEIGHT, WIDTH, scale_of, whisker


def test_a_scale_spans_what_is_known() -> None:
    assert scale_of([0.5, None, 0.2]) == (0.2, 0.5)
    assert scale_of([None]) is None


def test_ends_stand_where_the_scale_has_them() -> None:
    picture = ElementTree.fromstring(whisker(0.5, 0.0, 1.0, (0.0, 1.0), "<half> [0, 1]"))
    (line,) = [line for line in picture.findall("line") if line.attrib["class"] == "whisker"]
    assert (float(line.attrib["x1"]), float(line.attrib["x2"])) == (4, WIDTH - 4)
    assert float(picture.find("circle").attrib["cx"]) == WIDTH / 2  # type: ignore[union-attr]
    assert picture.attrib["aria-label"] == "<half> [0, 1]"
    assert picture.attrib["height"] == str(HEIGHT)


def test_a_value_without_an_interval_is_a_point() -> None:
    picture = ElementTree.fromstring(whisker(2.0, None, None, (2.0, 2.0), "2"))
    assert [line.attrib["class"] for line in picture.findall("line")] == ["axis"]
