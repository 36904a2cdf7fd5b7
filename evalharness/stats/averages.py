"""One number from the estimates of several tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from evalharness.errors import UsageError
from evalharness.stats.intervals import Estimate, check_confidence


def macro_average(
    parts: Sequence[Estimate], weights: Sequence[float] | None = None, confidence: float = 0.95
) -> Estimate:
    """``Σ w m / Σ w`` of independent tasks' means, each counted alike unless weighted; ``SE = √(Σ w² SE²) / Σ w``.

    The tasks are those that one cares about, not a draw from many: their spread is no error. An average needs all its
    parts: it is not a number where one is none, and has no interval where one has none.

    Raises:
        UsageError: no part, not as many weights as parts, or weights that are negative or sum to 0.
    """
    check_confidence(confidence)
    shares = _shares(len(parts), weights)
    value = math.fsum(share * part.value for share, part in zip(shares, parts, strict=True))
    return _normal(value, shares, parts, confidence)


def micro_average(parts: Sequence[Estimate], confidence: float = 0.95) -> Estimate:
    """The mean over all samples of independent tasks: each task weighs as many samples as it has.

    Raises:
        UsageError: no part, or parts without samples.
    """
    return macro_average(parts, [part.n for part in parts], confidence)


def _shares(count: int, weights: Sequence[float] | None) -> list[float]:
    found = [1.0] * count if weights is None else list(weights)
    if not count or len(found) != count:
        raise UsageError(f"an average needs parts and a weight for each, not {count} parts and {len(found)} weights.")
    total = math.fsum(found)
    if min(found) < 0 or total <= 0:
        raise UsageError("weights must not be negative, and not all be 0.")
    return [weight / total for weight in found]


def _normal(value: float, shares: Sequence[float], parts: Sequence[Estimate], confidence: float) -> Estimate:
    n = sum(part.n for part in parts)
    errors = [part.standard_error for part in parts]
    if not math.isfinite(value) or any(error is None for error in errors):
        return Estimate(value=value, n=n)
    error = math.sqrt(math.fsum((share * (of or 0.0)) ** 2 for share, of in zip(shares, errors, strict=True)))
    margin = NormalDist().inv_cdf((1 + confidence) / 2) * error
    return Estimate(value=value, standard_error=error, low=value - margin, high=value + margin, n=n, method="normal")
