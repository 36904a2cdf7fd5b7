"""A value and its interval as a small picture in a cell, on a scale that a whole column shares."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

WIDTH, HEIGHT = 120, 14
_EDGE = 4
"""Room for the point at both ends."""

Scale = tuple[float, float]


def scale_of(values: Iterable[float | None]) -> Scale | None:
    """The least and the largest number; None where there is none."""
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None


def whisker(value: float, low: float | None, high: float | None, scale: Scale, label: str) -> str:
    """An SVG of one point with its interval.

    Args:
        scale: what the left and the right edge stand for.
        label: plain text that says the same to who does not see it.
    """
    middle = HEIGHT / 2
    parts = [f'<line class="axis" x1="0" x2="{WIDTH}" y1="{middle:g}" y2="{middle:g}"/>']
    if low is not None and high is not None:
        left, right = _at(low, scale), _at(high, scale)
        parts.append(f'<line class="whisker" x1="{left:.1f}" x2="{right:.1f}" y1="{middle:g}" y2="{middle:g}"/>')
    parts.append(f'<circle class="point" cx="{_at(value, scale):.1f}" cy="{middle:g}" r="3.5"/>')
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(parts)}</svg>'
    )


def _at(value: float, scale: Scale) -> float:
    least, most = scale
    share = (value - least) / (most - least) if most > least else 0.5
    return _EDGE + min(1.0, max(0.0, share)) * (WIDTH - 2 * _EDGE)
