"""Means over samples that come in clusters, and what the clusters cost.

Several questions on one document, repeats of a sample, the languages of one question and both orders of a judge go
together: an interval that takes them as independent is too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from evalharness.errors import UsageError
from evalharness.stats.intervals import Estimate, check_confidence, mean_t, t_quantile


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable], confidence: float = 0.95) -> Estimate:
    """The mean m of all n values, with an error that holds where the values of a cluster go together.

    ``SE² = G/(G-1) Σ_c (Σ_{i in c} (x_i - m))² / n²`` over G clusters, and Student's t of G - 1 degrees of freedom:
    Miller 2024 (arXiv:2411.00640), with the factor for few clusters of Cameron and Miller 2015 (J. Human Resources 50).
    Where each sample is a cluster of its own this is `mean_t`.

    Raises:
        UsageError: not as many clusters as values, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    groups = _grouped(values, clusters)
    plain = mean_t(values, confidence=confidence)
    if len(groups) < 2 or not math.isfinite(plain.value):
        return Estimate(value=plain.value, n=plain.n)
    residuals = (math.fsum(x - plain.value for x in group) for group in groups)
    error = math.sqrt(len(groups) / (len(groups) - 1) * math.fsum(r * r for r in residuals)) / plain.n
    margin = t_quantile(len(groups) - 1, confidence) * error
    return Estimate(
        value=plain.value,
        standard_error=error,
        low=plain.value - margin,
        high=plain.value + margin,
        n=plain.n,
        method="clustered t",
    )


def clustered_difference(
    values: Sequence[float], weights: Sequence[float], clusters: Sequence[Hashable], confidence: float = 0.95
) -> Estimate:
    """The weighted mean of the values of positive weight less that of the values of negative weight.

    ``D = Σ⁺ w x / Σ⁺ w - Σ⁻ |w| x / Σ⁻ |w|``. Each value's share in D, ``w (x - m) / Σ w`` within its side, is summed
    over its cluster, and ``SE² = G/(G-1) Σ_c (Σ_{i in c} share_i)²`` (linearised as in `mean_t`): where the two sides
    of a pair share a cluster, what they have in common cancels. Student's t of G - 1 degrees of freedom. Values of
    weight 0 are left out; not a number, of no samples, where a side has no value.

    Raises:
        UsageError: not as many weights or clusters as values, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    if not len(values) == len(weights) == len(clusters):
        raise UsageError(f"every value needs a weight and a cluster, not {len(weights)} and {len(clusters)}.")
    used = [each for each in zip(values, weights, clusters, strict=True) if each[1]]
    if not any(weight > 0 for _, weight, _ in used) or not any(weight < 0 for _, weight, _ in used):
        return Estimate(value=math.nan, n=0)
    shares: list[tuple[Hashable, float]] = []
    value = 0.0
    for sign in (1, -1):
        side = [(x, sign * w, cluster) for x, w, cluster in used if sign * w > 0]
        total = math.fsum(w for _, w, _ in side)
        mean = math.fsum(w / total * x for x, w, _ in side)
        value += sign * mean
        shares += [(cluster, sign * w / total * (x - mean)) for x, w, cluster in side]
    groups = _grouped([share for _, share in shares], [cluster for cluster, _ in shares])
    if len(groups) < 2 or not math.isfinite(value):
        return Estimate(value=value, n=len(used))
    error = math.sqrt(len(groups) / (len(groups) - 1) * math.fsum(math.fsum(group) ** 2 for group in groups))
    margin = t_quantile(len(groups) - 1, confidence) * error
    return Estimate(
        value=value,
        standard_error=error,
        low=value - margin,
        high=value + margin,
        n=len(used),
        method="clustered t",
    )


def intraclass_correlation(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """How alike the values of a cluster are: the ANOVA estimate ICC(1) (Donner 1986, Int. Stat. Review 54).

    ``(B - W) / (B + (n0 - 1) W)`` with the mean squares between (B) and within (W) clusters and
    ``n0 = (n - Σ n_c² / n) / (G - 1)``; not a number where there are fewer than two clusters, no cluster with
    two values, or no variance.

    Raises:
        UsageError: not as many clusters as values.
    """
    groups = _grouped(values, clusters)
    n, count = len(values), len(groups)
    if count < 2 or count == n:
        return math.nan
    mean = math.fsum(values) / n
    means = [math.fsum(group) / len(group) for group in groups]
    between = math.fsum(len(group) * (m - mean) ** 2 for group, m in zip(groups, means, strict=True)) / (count - 1)
    within = math.fsum((x - m) ** 2 for group, m in zip(groups, means, strict=True) for x in group) / (n - count)
    size = (n - math.fsum(len(group) ** 2 for group in groups) / n) / (count - 1)
    total = between + (size - 1) * within
    return (between - within) / total if total > 0 else math.nan


def design_effect(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """How many times the variance of the mean grows with the clusters: n divided by it is the effective n.

    The ratio of the two estimated variances (Kish 1965, Survey Sampling); near ``1 + (m - 1) ICC`` where every
    cluster has m values. Not a number where either is 0 or unknown.

    Raises:
        UsageError: not as many clusters as values.
    """
    clustered, plain = clustered_mean(values, clusters).standard_error, mean_t(values).standard_error
    return (clustered / plain) ** 2 if clustered is not None and plain else math.nan


def _grouped(values: Sequence[float], clusters: Sequence[Hashable]) -> list[list[float]]:
    if len(values) != len(clusters):
        raise UsageError(f"every value needs its cluster, not {len(clusters)} for {len(values)}.")
    groups: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        groups.setdefault(cluster, []).append(value)
    return list(groups.values())
