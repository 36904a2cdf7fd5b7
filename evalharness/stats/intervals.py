"""Point estimates with standard error and confidence interval, from one value a sample.

Sums are exactly rounded (`math.fsum`), so that the order of the samples never changes an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

from evalharness.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An aggregate over samples, and how well the samples determine it."""

    value: float
    """Not a number where there is no sample, or where a sample's value is none."""
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    n: int
    """Samples with a positive weight."""
    method: Literal["wilson", "exact", "t", "clustered t", "normal", "bca", "none"] = "none"
    """How `low` and `high` were found; ``none`` where there are too few samples for an interval."""


def estimate(
    values: Sequence[float],
    weights: Sequence[float] | None = None,
    aggregate: Literal["mean", "geometric_mean", "difference", "auroc"] = "mean",
    confidence: float = 0.95,
    clusters: Sequence[Hashable] | None = None,
) -> Estimate:
    """The aggregate of the values with the interval that suits them.

    Unweighted values of which some share a cluster get `clustered_mean`, or where all are 0 or all are 1 Wilson's
    interval of as many values as there are clusters; other unweighted zeros and ones Wilson's interval, everything
    else Student's t. Values of weight 0 are left out. A difference of means is
    `clustered_difference`, an area under the ROC curve `discrimination.auroc`.

    Raises:
        UsageError: as `mean_t`, `geometric_mean_t`, `clustered_mean`, `clustered_difference` and `auroc` do.
    """
    if aggregate == "geometric_mean":
        return geometric_mean_t(values, weights, confidence)
    if aggregate == "difference":
        from evalharness.stats.clusters import clustered_difference

        return clustered_difference(values, weights or [1.0] * len(values), clusters or range(len(values)), confidence)
    if aggregate == "auroc":
        from evalharness.stats.discrimination import auroc

        return auroc(values, weights or [1.0] * len(values), clusters, confidence)
    if weights is not None and 0 in weights:
        kept = [place for place, weight in enumerate(weights) if weight != 0]
        values, weights = [values[place] for place in kept], [weights[place] for place in kept]
        clusters = None if clusters is None else [clusters[place] for place in kept]
    unweighted = weights is None or all(weight == 1 for weight in weights)
    if unweighted and clusters is not None and len(set(clusters)) < len(clusters):
        from evalharness.stats.clusters import clustered_mean

        if set(values) in ({0}, {1}):  # no spread to estimate an error from, which is not the same as no error
            alike = len(set(clusters))
            return replace(wilson(alike if values[0] else 0, alike, confidence), n=len(values))
        return clustered_mean(values, clusters, confidence)
    if values and unweighted and all(value in (0, 1) for value in values):
        return wilson(sum(value == 1 for value in values), len(values), confidence)
    return mean_t(values, weights, confidence)


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """Wilson's score interval of a proportion p = successes / n (Wilson 1927, JASA 22).

    ``(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)``, with z the normal quantile of the confidence.
    The standard error is that of a mean of n values, ``√(p(1-p) / (n-1))``, and None for n = 1.

    Raises:
        UsageError: n < 1, successes outside 0..n, or a confidence outside (0, 1).
    """
    if n < 1 or not 0 <= successes <= n:
        raise UsageError(f"a proportion needs 0 <= successes <= n and n >= 1, not {successes} of {n}.")
    check_confidence(confidence)
    p = successes / n
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    center = p + z * z / (2 * n)
    margin = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Estimate(
        value=p,
        standard_error=math.sqrt(p * (1 - p) / (n - 1)) if n > 1 else None,
        low=0.0 if successes == 0 else (center - margin) / scale,
        high=1.0 if successes == n else (center + margin) / scale,
        n=n,
        method="wilson",
    )


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """The exact interval of a proportion (Clopper and Pearson 1934, Biometrika 26): never too narrow, often too wide.

    Its bounds are the proportions at which a binomial tail as far out as `successes` has (1 - confidence) / 2.

    Raises:
        UsageError: as `wilson` does.
    """
    from scipy.special import betaincinv

    found = wilson(successes, n, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return replace(found, low=low, high=high, method="exact")


def mean_t(values: Sequence[float], weights: Sequence[float] | None = None, confidence: float = 0.95) -> Estimate:
    """Weighted mean ``R = Σ w x / Σ w`` with Student's t interval of n - 1 degrees of freedom.

    Weights are random like the values (a document's length), so R is a ratio estimator; its variance is
    linearised: ``n/(n-1) Σ (w (x - R))² / (Σ w)²`` (Cochran 1977, Sampling Techniques, 6.4). With equal
    weights this is the variance of the mean, s²/n. Samples of weight 0 are left out.

    Raises:
        UsageError: as many weights as values are not given, a weight is negative or not finite, or the
            confidence lies outside (0, 1).
    """
    check_confidence(confidence)
    pairs = _weighted(values, weights)
    n = len(pairs)
    if n == 0:
        return Estimate(value=math.nan, n=0)
    if not all(math.isfinite(x) for x, _ in pairs):
        return Estimate(value=_mean_of_non_finite([x for x, _ in pairs]), n=n)
    total = math.fsum(w for _, w in pairs)
    mean = math.fsum(w / total * x for x, w in pairs)
    if n == 1:
        return Estimate(value=mean, n=1)
    squares = math.fsum((w / total * (x - mean)) ** 2 for x, w in pairs)
    error = math.sqrt(n / (n - 1) * squares)
    margin = t_quantile(n - 1, confidence) * error
    return Estimate(value=mean, standard_error=error, low=mean - margin, high=mean + margin, n=n, method="t")


def geometric_mean_t(
    values: Sequence[float], weights: Sequence[float] | None = None, confidence: float = 0.95
) -> Estimate:
    """Weighted geometric mean ``exp(Σ w ln x / Σ w)``: `mean_t` of the logarithms, exponentiated.

    The standard error is carried over by the delta method: value times the logarithm's standard error.

    Raises:
        UsageError: a value is not positive, or as `mean_t` does.
    """
    if any(value <= 0 for value in values):
        raise UsageError("a geometric mean needs positive values.")
    logarithm = mean_t([math.log(value) for value in values], weights, confidence)
    value = _exp(logarithm.value)
    if logarithm.standard_error is None or logarithm.low is None or logarithm.high is None:
        return replace(logarithm, value=value)
    return replace(
        logarithm,
        value=value,
        standard_error=value * logarithm.standard_error,
        low=_exp(logarithm.low),
        high=_exp(logarithm.high),
    )


def _weighted(values: Sequence[float], weights: Sequence[float] | None) -> list[tuple[float, float]]:
    if weights is None:
        return [(value, 1.0) for value in values]
    if len(weights) != len(values):
        raise UsageError(f"a weighted mean needs a weight a value, not {len(weights)} for {len(values)}.")
    if not all(0 <= weight < math.inf for weight in weights):
        raise UsageError("a weight must be a finite number of at least 0.")
    return [(value, weight) for value, weight in zip(values, weights, strict=True) if weight > 0]


def _mean_of_non_finite(values: list[float]) -> float:
    """What the mean is when some values are infinite or not a number; the finite ones do not matter."""
    extremes = {value for value in values if math.isinf(value)}
    return extremes.pop() if len(extremes) == 1 and not any(math.isnan(value) for value in values) else math.nan


def t_quantile(degrees: int, confidence: float) -> float:
    """What Student's t of so many degrees of freedom exceeds with (1 - confidence) / 2."""
    from scipy.special import stdtrit  # a third of the import time of scipy.stats

    return float(stdtrit(degrees, (1 + confidence) / 2))


def _exp(exponent: float) -> float:
    try:
        return math.exp(exponent)
    except OverflowError:
        return math.inf


def check_confidence(confidence: float) -> None:
    """Raises UsageError where a confidence lies outside (0, 1)."""
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence must lie between 0 and 1, as 0.95 does, not {confidence}.")
