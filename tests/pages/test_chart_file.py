"""A chart that is a file of its own."""

from __future__ import annotations

from xml.etree import ElementTree

from evalharness.pages.chart_file import chart_file
from evalharness.pages.line_chart import Line, Point

SVG = "{http://www.w3.org/2000/svg}"


def test_it_needs_no_page_and_names_every_line_below() -> None:
    names = ["clean & whole", "poisoned", "spikes <on>"]
    lines = [Line(name, [Point(1, 2), Point(2, look)], look) for look, name in enumerate(names)]
    root = ElementTree.fromstring(chart_file(lines, title="Losses", x_title="step"))
    assert root.tag == f"{SVG}svg"
    below = [text for text in root.findall(f"{SVG}text") if int(text.attrib["y"]) > 280]
    assert [text.text for text in below] == names
    assert len({(text.attrib["x"], text.attrib["y"]) for text in below}) == len(names)
    assert max(int(text.attrib["y"]) for text in below) < int(root.attrib["height"])
    assert ".look-2" in (root.findtext(f"{SVG}style") or "")


def test_points_have_a_point_beside_their_name() -> None:
    lines = [Line("measured", [Point(1, 2)], 1, "points"), Line("fitted", [Point(1, 2), Point(2, 3)], 2)]
    root = ElementTree.fromstring(chart_file(lines, title="Losses", x_title="step"))
    assert [sign.attrib["class"] for sign in root.findall(f"{SVG}circle")] == ["dot look-1"]
    assert [sign.attrib["class"] for sign in root.findall(f"{SVG}line")] == ["curve look-2"]
