"""Curves as inline SVG: lines over steps with bands of intervals, levels across and marks upright.

A value that is not finite breaks its line. Colours and dashes come from ``curves.css``, light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Literal, NamedTuple

WIDTH, HEIGHT = 640, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 16, 20, 44
MOST_POINTS = 600
"""Of a line; of more, the least and the greatest of each stretch are drawn."""
LOOKS = 6
"""Colours, each with its own dashes, so that lines are told apart without colours too."""
MOST_NAMED = 6
"""Marks whose names are drawn; more would overlap, and a pointer at rest shows them all."""
_TICKS = 6

Kind = Literal["curve", "raw", "lost", "scores", "points"]


class Point(NamedTuple):
    """One value, with its interval where there is one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line."""

    name: str
    points: Sequence[Point]
    look: int = 0
    """Number of its colour and dashes."""
    kind: Kind = "curve"
    """A plain curve; raw values behind a smoothed one; what was taken back; scores, with points and intervals; points
    alone."""


class Mark(NamedTuple):
    """Something that happened at a place of the axis."""

    x: float
    name: str


class Level(NamedTuple):
    """A value to compare with, drawn across."""

    y: float
    name: str


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_title: str,
    marks: Sequence[Mark] = (),
    levels: Sequence[Level] = (),
    logarithmic: bool = False,
    logarithmic_x: bool = False,
    holds_x: Sequence[float] = (),
    holds_y: Sequence[float] = (),
) -> str:
    """The picture; nothing where there is no point.

    Args:
        title: plain text that says what is shown, for screen readers too.
        holds_x, holds_y: values that the axes hold in any case; pictures side by side have one axis by the former.
        logarithmic: powers of ten are equally far apart; values that are not above 0 are left out.
        logarithmic_x: the same of places, all of which are above 0.
    """
    measured = [Line(line.name, list(_drawable(line.points, logarithmic)), line.look, line.kind) for line in lines]
    xs = [point.x for line in measured for point in line.points]
    if not xs:
        return ""
    ys = [*_heights(measured), *(level.y for level in levels), *holds_y]
    scale = _Scale.over([*xs, *holds_x], ys, logarithmic, logarithmic_x)
    parts = [*_axes(scale, x_title), *_levels(levels, scale), *_marks(marks, scale)]
    # What was taken back and raw values lie behind the curves that are read.
    for line in sorted(measured, key=lambda line: ("lost", "raw", "curve", "scores", "points").index(line.kind)):
        parts += _line(line, scale)
    told = escape(title)
    return (
        f'<svg class="curves" role="img" aria-label="{told}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"<title>{told}</title>{''.join(parts)}</svg>\n{_legend(lines)}"
    )


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most so many points: the least and the greatest of each of ``most / 2`` stretches, so that no peak is lost."""
    if len(points) <= most:
        return list(points)
    stretches = most // 2
    kept: list[Point] = []
    for number in range(stretches):
        part = points[number * len(points) // stretches : (number + 1) * len(points) // stretches]
        finite = [place for place, point in enumerate(part) if math.isfinite(point.y)]
        gaps = sorted(set(range(len(part))).difference(finite))
        ends = [pick(finite, key=lambda place: part[place].y) for pick in (min, max) if finite]
        kept += [part[place] for place in sorted({*ends, *gaps[:1]})]
    return kept


def ticks(least: float, most: float, wanted: int = _TICKS) -> list[float]:
    """Round numbers between two ends, 1, 2 or 5 times a power of ten apart, at most so many.

    >>> ticks(0, 230)
    [0.0, 50.0, 100.0, 150.0, 200.0]
    """
    span = most - least
    if span <= 0:
        return [least]
    power = 10.0 ** math.floor(math.log10(span / wanted))
    for factor in (1, 2, 5, 10, 20):
        step = power * factor
        # A little more than the ends: 3e-4 / 5e-5 is 5.999999999999999.
        first, last = math.ceil(least / step - 1e-9), math.floor(most / step + 1e-9)
        if last - first < wanted:
            break
    # Multiples, not sums, and rounded: no 0.30000000000000004.
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def wide(values: Iterable[float]) -> bool:
    """Whether values are so far apart that a logarithmic axis shows more: all above 0, the greatest 30 times the least
    or more."""
    known = [value for value in values if math.isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) >= 30 * min(known)


# --------------------------------------------------------------------------- scales


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to places of the picture."""

    least_x: float
    most_x: float
    least_y: float
    most_y: float
    logarithmic: bool
    logarithmic_x: bool

    @classmethod
    def over(cls, xs: Sequence[float], ys: Sequence[float], logarithmic: bool, logarithmic_x: bool) -> _Scale:
        least, most = min(ys), max(ys)
        if logarithmic:
            room = (most / least) ** 0.05 if most > least else 2.0
            return cls(min(xs), max(xs), least / room, most * room, True, logarithmic_x)
        room = 0.05 * (most - least) or 0.05 * abs(most) or 1.0
        return cls(min(xs), max(xs), least - room, most + room, False, logarithmic_x)

    def x(self, value: float) -> float:
        width = WIDTH - _LEFT - _RIGHT
        if self.most_x == self.least_x:
            return _LEFT + width / 2
        least, most = self.least_x, self.most_x
        if self.logarithmic_x:
            least, most, value = math.log(least), math.log(most), math.log(value)
        return _LEFT + width * (value - least) / (most - least)

    def y(self, value: float) -> float:
        least, most = self.least_y, self.most_y
        value = min(max(value, least), most)  # an end of an interval may be at or below 0 on a logarithmic axis
        if self.logarithmic:
            least, most, value = math.log(least), math.log(most), math.log(value)
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (most - value) / (most - least)

    def y_ticks(self) -> list[float]:
        return _ticks(self.least_y, self.most_y, self.logarithmic)

    def x_ticks(self) -> list[float]:
        return _ticks(self.least_x, self.most_x, self.logarithmic_x)


def _ticks(least: float, most: float, logarithmic: bool) -> list[float]:
    if not logarithmic:
        return ticks(least, most)
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    factors = (1,) if len(powers) > 4 else (1, 2, 5)
    found = [float(f"{factor * 10.0**power:.12g}") for power in powers for factor in factors]
    fitting = [value for value in found if least <= value <= most]
    return fitting if len(fitting) > 2 else ticks(least, most)


def _drawable(points: Sequence[Point], logarithmic: bool) -> Iterator[Point]:
    for point in thinned(points):
        fits = math.isfinite(point.y) and (point.y > 0 or not logarithmic)
        yield point if fits else Point(point.x, math.nan)


def _heights(lines: Sequence[Line]) -> Iterator[float]:
    """What the axis has to hold; a line with no finite value holds nothing."""
    found = False
    for line in lines:
        for point in line.points:
            for value in (point.y, point.low, point.high):
                if value is not None and math.isfinite(value):
                    found = True
                    yield value
    if not found:
        yield from (0.0, 1.0)


# --------------------------------------------------------------------------- parts


def _axes(scale: _Scale, x_title: str) -> Iterator[str]:
    bottom = HEIGHT - _BOTTOM
    for value in scale.y_ticks():
        y = scale.y(value)
        yield f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
    for value in scale.x_ticks():
        x = scale.x(value)
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{_short(value)}</text>'
    yield (
        f'<text x="{(_LEFT + WIDTH - _RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_title)}</text>'
    )


def _short(value: float) -> str:
    """``1,500``, ``2M``, ``0.02``, ``3e-05``, ``1e13``."""
    if abs(value) >= 1e12:
        digits, power = f"{value:.5e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.6g}{unit}"
    return f"{value:,.6g}"


def _levels(levels: Sequence[Level], scale: _Scale) -> Iterator[str]:
    for level in levels:
        y = scale.y(level.y)
        yield f'<line class="level" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="told" x="{WIDTH - _RIGHT}" y="{y - 4:.1f}" text-anchor="end">{escape(level.name)}</text>'


def _marks(marks: Sequence[Mark], scale: _Scale) -> Iterator[str]:
    for number, mark in enumerate(marks):
        if not scale.least_x <= mark.x <= scale.most_x:
            continue
        x, name = scale.x(mark.x), escape(mark.name)
        yield (
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}">'
            f"<title>{name}, {_short(mark.x)}</title></line>"
        )
        if len(marks) <= MOST_NAMED:
            anchor = "end" if x > WIDTH - 80 else "start"
            shift = -3 if anchor == "end" else 3
            row = _TOP - 6 + 12 * (number % 2)
            yield f'<text class="told" x="{x + shift:.1f}" y="{row}" text-anchor="{anchor}">{name}</text>'


def _line(line: Line, scale: _Scale) -> Iterator[str]:
    look = f"look-{line.look % LOOKS}"
    for finite, run in groupby(line.points, key=lambda point: math.isfinite(point.y)):
        if not finite:
            continue
        stretch = list(run)
        yield from _bands(stretch, line.kind, look, scale)
        places = _places(stretch, scale, lambda point: point.y)
        if len(stretch) > 1 and line.kind != "points":
            yield f'<polyline class="{line.kind} {look}" points="{places}"/>'
        if line.kind in ("scores", "points") or len(stretch) == 1:
            yield from (_dot(point, line.name, look, scale) for point in stretch)


def _bands(points: Sequence[Point], kind: Kind, look: str, scale: _Scale) -> Iterator[str]:
    """Intervals: a band over neighbours, unless these are points alone; and a whisker at each, unless in a curve."""
    for banded, run in groupby(points, key=lambda point: None not in (point.low, point.high)):
        if not banded:
            continue
        stretch = list(run)
        upper = _places(stretch, scale, lambda point: point.high or 0.0)
        lower = _places(list(reversed(stretch)), scale, lambda point: point.low or 0.0)
        if len(stretch) > 1 and kind != "points":
            yield f'<polygon class="band {look}" points="{upper} {lower}"/>'
        for point in stretch if kind != "curve" else ():
            ends = scale.y(point.low or 0.0), scale.y(point.high or 0.0)
            yield f'<path class="whisker {look}" d="M{scale.x(point.x):.1f} {ends[0]:.1f}V{ends[1]:.1f}"/>'


def _places(points: Sequence[Point], scale: _Scale, height: Callable[[Point], float]) -> str:
    return " ".join(f"{scale.x(point.x):.1f},{scale.y(height(point)):.1f}" for point in points)


def _dot(point: Point, name: str, look: str, scale: _Scale) -> str:
    interval = "" if point.low is None or point.high is None else f" ({point.low:.4g} to {point.high:.4g})"
    told = escape(f"{name}, {_short(point.x)}: {point.y:.4g}{interval}")
    return (
        f'<circle class="dot {look}" cx="{scale.x(point.x):.1f}" cy="{scale.y(point.y):.1f}" r="3">'
        f"<title>{told}</title></circle>"
    )


def _legend(lines: Sequence[Line]) -> str:
    """Which line is which; nothing of a single one."""
    if len(lines) < 2:
        return ""
    items = "".join(
        f'<li><svg width="30" height="10" aria-hidden="true">{_sign(line)}</svg> {escape(line.name)}</li>'
        for line in lines
    )
    return f'<ul class="legend">{items}</ul>\n'


def _sign(line: Line) -> str:
    look = f"look-{line.look % LOOKS}"
    if line.kind == "points":
        return f'<circle class="dot {look}" cx="15" cy="5" r="3"/>'
    return f'<line class="{line.kind} {look}" x1="0" x2="30" y1="5" y2="5"/>'
