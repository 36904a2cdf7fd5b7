"""Numbers and differences as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from evalharness.comparison.difference import Difference


def number(value: float | None) -> str:
    """Four significant digits."""
    return "-" if value is None else f"{value:.4g}"


def signed(value: float | None, difference: Difference) -> str:
    """A difference: ``+3.1 points`` of scores in [0, 1], ``-0.42`` of others."""
    if value is None:
        return "-"
    return f"{100 * value:+.1f} points" if difference.unit_interval else f"{value:+.3g}"


def unsigned(value: float | None, difference: Difference) -> str:
    """The size of a difference: ``3.1 points``, ``0.42``."""
    return "-" if value is None else signed(abs(value), difference)[1:]


def interval(difference: Difference, confidence: float = 0.95) -> str:
    """``[-0.9, +7.1]``, in points where the difference is."""
    found = difference.interval(confidence)
    if found is None:
        return "no interval"
    if difference.unit_interval:
        return f"[{100 * found[0]:+.1f}, {100 * found[1]:+.1f}]"
    return f"[{found[0]:+.3g}, {found[1]:+.3g}]"


def p(value: float | None) -> str:
    if value is None:
        return "-"
    return "< .0001" if value < 0.0001 else f"{value:.4f}".removeprefix("0") if value < 1 else "1"


def ids(samples: Sequence[str], most: int = 10) -> str:
    """The first few ids, and how many more there are."""
    more = f" and {len(samples) - most} more" if len(samples) > most else ""
    return ", ".join(samples[:most]) + more
