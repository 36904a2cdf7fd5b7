"""Differences between two systems that answered the same samples.

A pair takes out what the samples share: with a correlation of .9 between two systems the paired error is a third of
the unpaired one. Differences are candidate minus baseline.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from evalharness.errors import UsageError
from evalharness.stats.clusters import clustered_mean
from evalharness.stats.intervals import Estimate, mean_t


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """What two systems differ by on the same samples."""

    estimate: Estimate
    """Of the mean difference, with its two-sided interval."""
    degrees: int
    """Degrees of freedom of Student's t: independent units less one."""
    p_value: float | None
    """Two-sided, that the mean difference is 0; None where there is no error to judge by."""
    correlation: float
    """Between the two systems' scores; not a number where one does not vary."""

    def bound(self, alpha: float, side: Literal["upper", "lower"]) -> float | None:
        """The one-sided confidence bound, ``upper`` or ``lower``, of level 1 - alpha."""
        from scipy.special import stdtrit

        error = self.estimate.standard_error
        if error is None:
            return None
        margin = float(stdtrit(self.degrees, 1 - alpha)) * error
        return self.estimate.value + (margin if side == "upper" else -margin)


def paired_difference(
    candidate: Sequence[float],
    baseline: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> PairedDifference:
    """The mean of ``candidate[i] - baseline[i]`` with Student's t, over clusters where they are given.

    ``SE = sd(d) / √n`` (Miller 2024, arXiv:2411.00640), or that of `clustered_mean`.

    Raises:
        UsageError: the two do not have the same number of scores, or as `clustered_mean` does.
    """
    from scipy.special import stdtr

    if len(candidate) != len(baseline):
        raise UsageError(f"a paired difference needs pairs, not {len(candidate)} scores beside {len(baseline)}.")
    differences = [new - old for new, old in zip(candidate, baseline, strict=True)]
    if clusters is None:
        found, units = mean_t(differences, confidence=confidence), len(differences)
    else:
        found, units = clustered_mean(differences, clusters, confidence), len(set(clusters))
    p_value = None
    if found.standard_error:
        p_value = 2 * float(stdtr(units - 1, -abs(found.value) / found.standard_error))
    elif found.standard_error == 0:
        p_value = 1.0 if found.value == 0 else 0.0
    return PairedDifference(
        estimate=found, degrees=max(units - 1, 0), p_value=p_value, correlation=correlation(candidate, baseline)
    )


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's r; not a number where one side does not vary."""
    if not first:
        return math.nan
    means = math.fsum(first) / len(first), math.fsum(second) / len(second)
    xs, ys = [x - means[0] for x in first], [y - means[1] for y in second]
    norms = math.fsum(x * x for x in xs) * math.fsum(y * y for y in ys)
    return math.fsum(x * y for x, y in zip(xs, ys, strict=True)) / math.sqrt(norms) if norms > 0 else math.nan
