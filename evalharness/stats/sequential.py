"""Looking more than once: intervals that hold at all times, and alpha spent over looks."""

from __future__ import annotations

import math

from evalharness.errors import UsageError
from evalharness.stats.intervals import check_confidence


def confidence_sequence_margin(n: int, deviation: float, confidence: float = 0.95, tightest_at: int = 1_000) -> float:
    """Half the width of an interval of a mean that holds at every n at once, however often one looks.

    ``sd √(2 (n ρ² + 1) / (n² ρ²) · ln(√(n ρ² + 1) / α))``, the asymptotic confidence sequence of Waudby-Smith et al.
    2021 (arXiv:2103.06476, theorem 2.2), with ρ chosen to make it tightest near n = `tightest_at`:
    ``ρ² = (-2 ln α + ln(1 - 2 ln α)) / tightest_at`` (their appendix B.2).

    Raises:
        UsageError: n or tightest_at below 1, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    if n < 1 or tightest_at < 1:
        raise UsageError("a confidence sequence needs n >= 1 and tightest_at >= 1.")
    alpha = 1 - confidence
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / tightest_at
    spread = n * rho2 + 1
    return deviation * math.sqrt(2 * spread / (n * n * rho2) * math.log(math.sqrt(spread) / alpha))


def spent_alpha(look: int, alpha: float = 0.05) -> float:
    """What of alpha the `look`-th look (from 1) may spend when nobody knows how many will come.

    ``α / (k (k + 1))``, which sums to alpha over all k: any look that errs at most so often keeps the whole at alpha,
    however the looks depend on each other (a union bound).

    Raises:
        UsageError: a look below 1, or alpha outside (0, 1).
    """
    check_confidence(1 - alpha)
    if look < 1:
        raise UsageError(f"looks are counted from 1, not {look}.")
    return alpha / (look * (look + 1))
