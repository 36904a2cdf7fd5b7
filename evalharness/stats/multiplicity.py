"""Several tests at once: p-values that hold over all of them."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values; rejecting those below alpha errs anywhere with chance alpha at most (Holm 1979).

    The i-th smallest of m becomes the largest of ``(m - j + 1) p_(j)`` over j <= i, at most 1. Nothing is assumed about
    how the tests depend on each other.
    """
    count = len(p_values)
    adjusted, least = [0.0] * count, 0.0
    for rank, at in enumerate(sorted(range(count), key=lambda at: p_values[at])):
        least = max(least, min(1.0, (count - rank) * p_values[at]))
        adjusted[at] = least
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values; of those below alpha, a share of alpha at most is false on average (1995, JRSS B 57).

    The i-th smallest of m becomes the smallest of ``m p_(j) / j`` over j >= i, at most 1. For tests that are
    independent or positively dependent.
    """
    count = len(p_values)
    adjusted, most = [0.0] * count, 1.0
    for rank, at in reversed(list(enumerate(sorted(range(count), key=lambda at: p_values[at]), start=1))):
        most = min(most, count * p_values[at] / rank)
        adjusted[at] = most
    return adjusted
