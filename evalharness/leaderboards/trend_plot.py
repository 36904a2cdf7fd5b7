"""A line over checkpoints with the band of its intervals, as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from evalharness.leaderboards.trend_lines import Point, Series
from evalharness.pages.whisker import scale_of

WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 12, 34
_LABELS = 8
"""Checkpoints that are named below the axis; more would overlap."""
_LONGEST = 16
"""Characters of such a name."""


class _Place(NamedTuple):
    x: float
    point: Point


def plot(series: Series) -> str:
    """The picture. A checkpoint that was not measured breaks the line."""
    scale = scale_of(end for point in series.points for end in (point.value, point.low, point.high))
    if scale is None:
        return "<p>No checkpoint was measured.</p>"
    least, most = _padded(scale)

    def y(value: float) -> float:
        return _TOP + (most - value) / (most - least) * (HEIGHT - _TOP - _BOTTOM)

    places = [_Place(_x(number, len(series.points)), point) for number, point in enumerate(series.points)]
    parts = [*_axis(least, most, y(least), y(most)), *_labels(places)]
    for measured, run in groupby(places, key=lambda place: place.point.value is not None):
        if measured:
            parts += _stretch(list(run), y)
    label = f"{series.title}: {series.what}, over {len(series.points)} checkpoints"
    return (
        f'<svg class="trend" role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"{''.join(parts)}</svg>"
    )


def _padded(scale: tuple[float, float]) -> tuple[float, float]:
    """Some room above and below, also where all values are one."""
    least, most = scale
    room = 0.05 * (most - least) or 0.05 * abs(most) or 1.0
    return least - room, most + room


def _x(number: int, count: int) -> float:
    width = WIDTH - _LEFT - _RIGHT
    return _LEFT + width / 2 if count == 1 else _LEFT + width * number / (count - 1)


def _axis(least: float, most: float, bottom: float, top: float) -> Iterator[str]:
    for step in range(5):
        value = least + (most - least) * step / 4
        y = bottom + (top - bottom) * step / 4
        yield f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'


def _labels(places: Sequence[_Place]) -> Iterator[str]:
    every = -(-len(places) // _LABELS)
    for place in places[::every]:
        name = place.point.checkpoint
        short = name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :]
        anchor = "middle" if _LEFT + 40 < place.x < WIDTH - 60 else "start" if place.x <= _LEFT + 40 else "end"
        yield f'<text x="{place.x:.1f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{escape(short)}</text>'


def _stretch(places: Sequence[_Place], y: Callable[[float], float]) -> Iterator[str]:
    """Neighbouring checkpoints that were measured: band, line, points."""
    for banded, run in groupby(places, key=lambda place: None not in (place.point.low, place.point.high)):
        if banded:
            inside = list(run)
            upper = [f"{place.x:.1f},{y(place.point.high or 0.0):.1f}" for place in inside]
            lower = [f"{place.x:.1f},{y(place.point.low or 0.0):.1f}" for place in reversed(inside)]
            yield f'<polygon class="band" points="{" ".join(upper + lower)}"/>'
    line = " ".join(f"{place.x:.1f},{y(place.point.value or 0.0):.1f}" for place in places)
    yield f'<polyline class="line" points="{line}"/>'
    for place in places:
        value = place.point.value or 0.0
        title = f"<title>{escape(place.point.checkpoint)}: {value:.4g}</title>"
        yield f'<circle class="point" cx="{place.x:.1f}" cy="{y(value):.1f}" r="3.5">{title}</circle>'
