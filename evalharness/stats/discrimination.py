"""How well a score tells two kinds of samples apart: the area under the ROC curve, and its error.

A positive weight says that a sample is of the kind that should score high, a negative one that it is of the other.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Sequence

from evalharness.errors import UsageError
from evalharness.stats.intervals import Estimate, check_confidence, t_quantile
from evalharness.stats.paired import PairedDifference, correlation


def auroc(
    values: Sequence[float],
    weights: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """The chance that a sample of positive weight scores above one of negative weight, ties one half.

    ``A = 1/mn ΣΣ [x_i > y_j] + [x_i = y_j] / 2``, which is Mann and Whitney's U over mn. Its error is that of DeLong et
    al. 1988, Biometrics 44: each sample's placement among the other kind, less A, is its share in A, and
    ``SE² = S_x / m + S_y / n`` with the variances of the placements. Shares of one cluster are summed before they are
    squared (Obuchowski 1997, Biometrics 53). Student's t of units - 1 degrees of freedom, cut to [0, 1]; no interval
    where the kinds are wholly apart, since nothing then says how close it was.

    Values of weight 0 are left out; not a number, of no samples, where a kind has no value.

    Raises:
        UsageError: not as many weights or clusters as values, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    area, shares = _placed(values, weights)
    used = [place for place, weight in enumerate(weights) if weight]
    if math.isnan(area):
        return Estimate(value=area, n=0)
    error, units = _error([shares[place] for place in used], _of(used, clusters))
    if error is None or area in (0.0, 1.0):
        return Estimate(value=area, n=len(used))
    margin = t_quantile(units - 1, confidence) * error
    return Estimate(
        value=area,
        standard_error=error,
        low=max(0.0, area - margin),
        high=min(1.0, area + margin),
        n=len(used),
        method="t" if units == len(used) else "clustered t",
    )


def auroc_difference(
    candidate: Sequence[float],
    baseline: Sequence[float],
    weights: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> PairedDifference:
    """What two scores of the same samples differ by in `auroc`, candidate less baseline: the shares are subtracted
    sample by sample (DeLong et al. 1988).

    Raises:
        UsageError: as `auroc`.
    """
    from scipy.special import stdtr

    (new, new_shares), (old, old_shares) = _placed(candidate, weights), _placed(baseline, weights)
    used = [place for place, weight in enumerate(weights) if weight]
    value = new - old
    error, units = _error([new_shares[place] - old_shares[place] for place in used], _of(used, clusters))
    if math.isnan(value):
        error = None
    margin = None if error is None else t_quantile(units - 1, confidence) * error
    p_value = None
    if error is not None:
        p_value = 2 * float(stdtr(units - 1, -abs(value) / error)) if error else float(value == 0)
    found = Estimate(
        value=value,
        standard_error=error,
        low=None if margin is None else value - margin,
        high=None if margin is None else value + margin,
        n=0 if math.isnan(value) else len(used),
        method="none" if margin is None else "t" if units == len(used) else "clustered t",
    )
    return PairedDifference(
        estimate=found, degrees=max(units - 1, 0), p_value=p_value, correlation=correlation(candidate, baseline)
    )


def _placed(values: Sequence[float], weights: Sequence[float]) -> tuple[float, list[float]]:
    """The area, and each sample's share in it, scaled so that the sum of their squares is DeLong's variance; the share
    of a kind's only sample is 0, since it has no variance."""
    if len(values) != len(weights):
        raise UsageError(f"every value needs a weight, not {len(weights)} for {len(values)}.")
    highs = sorted(value for value, weight in zip(values, weights, strict=True) if weight > 0)
    lows = sorted(value for value, weight in zip(values, weights, strict=True) if weight < 0)
    if not highs or not lows or not all(math.isfinite(value) for value in (*highs, *lows)):
        return math.nan, [0.0] * len(values)
    placements = [
        _below(value, lows) if weight > 0 else 1 - _below(value, highs)
        for value, weight in zip(values, weights, strict=True)
    ]
    area = math.fsum(p for p, weight in zip(placements, weights, strict=True) if weight > 0) / len(highs)
    scales = {
        sign: 1 / math.sqrt(len(side) * (len(side) - 1)) if len(side) > 1 else 0.0
        for sign, side in ((True, highs), (False, lows))
    }
    return area, [
        scales[weight > 0] * (p - area) if weight else 0.0 for p, weight in zip(placements, weights, strict=True)
    ]


def _below(value: float, others: Sequence[float]) -> float:
    """Share of the sorted others that the value is above, ties one half."""
    return (bisect_left(others, value) + bisect_right(others, value)) / (2 * len(others))


def _of(used: Sequence[int], clusters: Sequence[Hashable] | None) -> list[Hashable]:
    if clusters is None:
        return list(used)
    if used and used[-1] >= len(clusters):
        raise UsageError(f"every value needs a cluster, not {len(clusters)}.")
    return [clusters[place] for place in used]


def _error(shares: Sequence[float], clusters: Sequence[Hashable]) -> tuple[float | None, int]:
    """Standard error and number of independent units; no error of fewer than two."""
    sums: dict[Hashable, list[float]] = {}
    for share, cluster in zip(shares, clusters, strict=True):
        sums.setdefault(cluster, []).append(share)
    if len(sums) < 2:
        return None, len(sums)
    return math.sqrt(math.fsum(math.fsum(group) ** 2 for group in sums.values())), len(sums)
