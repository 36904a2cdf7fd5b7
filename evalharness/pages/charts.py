"""Charts as inline SVG: a bar with its interval, a bar of shares, a histogram, a reliability diagram.

A value that is not finite is drawn nowhere. Colours come from the classes of the common style, light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from evalharness.pages.badges import badge_class

MOST_BARS = 30
"""Bars of a histogram at most."""


def whisker_bar(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    *,
    least: float = 0.0,
    most: float = 1.0,
    width: int = 180,
) -> str:
    """A horizontal bar from zero to the value with its interval, for the row of a table that says the numbers.

    Args:
        least, most: the values at the ends of the axis, which holds zero.
    """
    least, most = min(least, 0.0), max(most, 0.0)
    span = (most - least) or 1.0

    def x(of: float) -> float:
        return 2 + (width - 4) * (min(max(of, least), most) - least) / span

    parts = [f'<line class="axis" x1="{x(least):.1f}" x2="{x(most):.1f}" y1="15" y2="15"/>']
    if value is not None and math.isfinite(value):
        left, right = sorted((x(0.0), x(value)))
        parts.append(
            f'<rect class="bar" opacity="0.45" x="{left:.1f}" y="4" width="{max(right - left, 1):.1f}" height="8"/>'
        )
        if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
            left, right = x(low), x(high)
            path = f"M{left:.1f} 4V12M{left:.1f} 8H{right:.1f}M{right:.1f} 4V12"
            parts.append(f'<path class="whisker" fill="none" d="{path}"/>')
    return f'<svg width="{width}" height="18" viewBox="0 0 {width} 18" aria-hidden="true">{"".join(parts)}</svg>'


def shares_bar(counts: Sequence[tuple[str, int]], *, title: str, width: int = 560, height: int = 18) -> str:
    """A horizontal bar in parts as long as their counts, each in the colour of its label (`badges`, `code.css`).

    Args:
        counts: labels, in the order in which they are drawn.
        title: plain text that says what is shown, for screen readers too.
    """
    whole = sum(count for _, count in counts)
    parts, begin = [], 0.0
    for label, count in counts:
        long = width * count / whole
        says = escape(f"{label}: {count:,} of {whole:,} ({count / whole:.1%})")
        parts.append(
            f'<rect class="label {badge_class(label)}" x="{begin:.1f}" y="0" width="{max(long - 1, 0.5):.1f}" '
            f'height="{height}"><title>{says}</title></rect>'
        )
        begin += long
    return _image(width, height, title, parts)


def histogram(values: Sequence[float], *, title: str, unit: str) -> str:
    """How many values lie where, in at most thirty bars whose width is 1, 2 or 5 times a power of ten, from 1 up.

    Args:
        title: plain text that says what is shown, for screen readers too.
        unit: what the values count, under the axis.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    step = _step(min(finite), max(finite))
    first = math.floor(min(finite) / step)
    counts = [0] * (math.floor(max(finite) / step) - first + 1)
    for value in finite:
        counts[math.floor(value / step) - first] += 1
    left, top, width, height = 50, 14, 560, 130
    most, bar = max(counts), width / len(counts)
    parts = []
    for place, count in enumerate(counts):
        begin = (first + place) * step
        tall = height * count / most
        says = f"{begin:,.0f}" if step == 1 else f"{begin:,.0f} to {begin + step - 1:,.0f}"
        parts.append(
            f'<rect class="bar" x="{left + place * bar:.1f}" y="{top + height - tall:.1f}" '
            f'width="{max(bar - 1, 0.5):.1f}" height="{tall:.1f}"><title>{says}: {count:,}</title></rect>'
        )
    labels = sorted({0, len(counts) // 4, len(counts) // 2, 3 * len(counts) // 4, len(counts) - 1})
    parts += [
        f'<text x="{left + (place + 0.5) * bar:.1f}" y="{top + height + 16}" text-anchor="middle">'
        f"{(first + place) * step:,.0f}</text>"
        for place in labels
    ]
    parts.append(f'<text x="{left - 6}" y="{top + 10}" text-anchor="end">{most:,}</text>')
    parts.append(f'<text x="{left - 6}" y="{top + height}" text-anchor="end">0</text>')
    parts.append(f'<line class="axis" x1="{left}" x2="{left + width}" y1="{top + height}" y2="{top + height}"/>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 34}" text-anchor="middle">{escape(unit)}</text>')
    return _image(left + width + 10, top + height + 42, title, parts)


def _step(least: float, most: float) -> int:
    magnitude = 1
    while True:
        for step in (magnitude, 2 * magnitude, 5 * magnitude):
            if math.floor(most / step) - math.floor(least / step) < MOST_BARS:
                return step
        magnitude *= 10


class ReliabilityPoint(NamedTuple):
    """The samples of one bin of confidence."""

    low: float
    high: float
    n: int
    confidence: float
    """Their mean."""
    accuracy: float
    interval: tuple[float, float] | None = None
    """Of the accuracy."""


def reliability_diagram(points: Sequence[ReliabilityPoint], *, title: str) -> str:
    """Accuracy against confidence in bins, beside the diagonal on which both are equal; counts stand above the axis."""
    left, top, side = 48, 12, 300

    def x(value: float) -> float:
        return left + side * value

    def y(value: float) -> float:
        return top + side * (1 - value)

    parts = [
        f'<rect class="axis" fill="none" x="{left}" y="{top}" width="{side}" height="{side}"/>',
        f'<line style="stroke:var(--faint)" stroke-dasharray="4 4" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>',
    ]
    for point in points:
        if not point.n:
            continue
        centre = x((point.low + point.high) / 2)
        parts.append(
            f'<rect class="bar" opacity="0.25" x="{x(point.low) + 1:.1f}" y="{y(point.accuracy):.1f}" '
            f'width="{x(point.high) - x(point.low) - 2:.1f}" height="{side * point.accuracy:.1f}"/>'
        )
        if point.interval is not None:
            low, high = point.interval
            parts.append(f'<path class="whisker" d="M{x(point.confidence):.1f} {y(low):.1f}V{y(high):.1f}"/>')
        parts.append(
            f'<circle class="point" cx="{x(point.confidence):.1f}" cy="{y(point.accuracy):.1f}" r="4">'
            f"<title>confidence {point.confidence:.3f}, accuracy {point.accuracy:.3f}, n {point.n:,}</title></circle>"
        )
        parts.append(
            f'<text x="{centre:.1f}" y="{y(0) - 4}" text-anchor="middle" style="font-size:9px">{point.n}</text>'
        )
    for tick in (0.0, 0.5, 1.0):
        parts.append(f'<text x="{x(tick)}" y="{y(0) + 16}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{left - 6}" y="{y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    parts.append(f'<text x="{x(0.5)}" y="{y(0) + 34}" text-anchor="middle">confidence</text>')
    turned = f"rotate(-90 14 {y(0.5)})"
    parts.append(f'<text x="14" y="{y(0.5)}" text-anchor="middle" transform="{turned}">accuracy</text>')
    return _image(left + side + 12, top + side + 42, title, parts)


def _image(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    told = escape(title)
    return (
        f'<svg role="img" aria-label="{told}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:100%"><title>{told}</title>{"".join(parts)}</svg>'
    )
