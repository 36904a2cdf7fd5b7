"""Intervals and tests by resampling, for metrics that are no mean of samples: BLEU, F1 of a corpus, perplexity.

Such a metric is a function of sums: every sample brings K parts (matches, guesses, lengths, log-likelihoods), the
corpus has their sum, and the metric is computed from it. A resample is then a product of counts and parts, so that ten
thousand of them cost little. The order of the samples decides which resample a seed draws: hand them over sorted.

Letters in names: N independent units (samples, or clusters of them), K parts, B resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalharness.errors import UsageError
from evalharness.stats.intervals import Estimate, check_confidence

Floats = NDArray[np.float64]
OfSums = Callable[[Floats], Floats]
"""A metric: from sums [..., K] to values [...]."""
ROUNDS = 10_000
CELLS_AT_ONCE = 1 << 22
"""Numbers of a block of resamples: 32 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resamples:
    """A metric, and what it was over resamples of the units."""

    value: float
    drawn_B: Floats
    left_out_N: Floats
    """The metric without each unit."""

    @property
    def standard_error(self) -> float:
        return float(np.std(self.drawn_B, ddof=1))

    def bound(self, alpha: float, side: Literal["upper", "lower"]) -> float:
        """The one-sided bound of level 1 - alpha, bias-corrected and accelerated (BCa; Efron 1987, JASA 82).

        The quantile ``Φ(z0 + (z0 + z) / (1 - a (z0 + z)))`` of the resampled values: z0 from the share of them below
        the observed value, the acceleration a from leaving out one unit at a time.
        """
        from scipy.special import ndtr, ndtri

        level = alpha if side == "lower" else 1 - alpha
        center = ndtri((np.mean(self.drawn_B < self.value) + np.mean(self.drawn_B <= self.value)) / 2)
        deviations = self.left_out_N.mean() - self.left_out_N
        scale = float((deviations**2).sum()) ** 1.5
        acceleration = float((deviations**3).sum()) / (6 * scale) if scale > 0 else 0.0
        with np.errstate(invalid="ignore"):
            shifted = center + ndtri(level)
            corrected = ndtr(center + shifted / (1 - acceleration * shifted))
        # Where every resample lies on one side, the plain quantile is what is left.
        return float(np.quantile(self.drawn_B, corrected if np.isfinite(corrected) else level))


def resamples(
    parts_NK: Floats,
    metric: OfSums,
    *,
    clusters: Sequence[Hashable] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Resamples | None:
    """Draw the units with replacement `rounds` times; None where fewer than two units, or no finite value, leave none.

    A resample of which the metric is no number (a kappa of one label alone) says nothing and is left out.

    Raises:
        UsageError: no sample, or not as many clusters as samples.
    """
    units_NK = _units(parts_NK, clusters)
    value = float(metric(units_NK.sum(0)))
    if len(units_NK) < 2 or not math.isfinite(value):
        return None
    drawn_B = np.concatenate([metric(counts_BN @ units_NK) for counts_BN in _resamples(len(units_NK), rounds, seed)])
    left_out_N = metric(units_NK.sum(0) - units_NK)
    drawn_B, left_out_N = drawn_B[np.isfinite(drawn_B)], left_out_N[np.isfinite(left_out_N)]
    return (
        Resamples(value=value, drawn_B=drawn_B, left_out_N=left_out_N)
        if min(len(drawn_B), len(left_out_N)) > 1
        else None
    )


@dataclass(frozen=True, slots=True)
class Jackknife:
    """A metric whose error was found by leaving out one unit at a time; normal."""

    value: float
    standard_error: float

    def bound(self, alpha: float, side: Literal["upper", "lower"]) -> float:
        """The one-sided bound of level 1 - alpha."""
        margin = NormalDist().inv_cdf(1 - alpha) * self.standard_error
        return self.value + (margin if side == "upper" else -margin)

    @property
    def p_value(self) -> float:
        """Two-sided, that the metric is 0."""
        if self.standard_error == 0:
            return float(self.value == 0)
        return 2 * NormalDist().cdf(-abs(self.value) / self.standard_error)


def jackknife(parts_NK: Floats, metric: OfSums, *, clusters: Sequence[Hashable] | None = None) -> Jackknife:
    """``SE² = (N - 1) / N Σ (θ_(i) - mean)²`` with θ_(i) the metric without unit i (Tukey 1958; Efron 1982).

    For smooth functions of sums over many units it is what a bootstrap comes to, without its resamples.

    Raises:
        UsageError: fewer than two units, or not as many clusters as samples.
    """
    units_NK = _units(parts_NK, clusters)
    if len(units_NK) < 2:
        raise UsageError("leaving out one needs two units or more.")
    left_out_N = metric(units_NK.sum(0) - units_NK)
    spread = float(((left_out_N - left_out_N.mean()) ** 2).sum())
    return Jackknife(float(metric(units_NK.sum(0))), math.sqrt((len(units_NK) - 1) / len(units_NK) * spread))


def bootstrap(
    parts_NK: Floats,
    metric: OfSums,
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Estimate:
    """The metric with its two-sided BCa interval (`Resamples.bound`).

    Raises:
        UsageError: no sample, not as many clusters as samples, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    found = resamples(parts_NK, metric, clusters=clusters, rounds=rounds, seed=seed)
    if found is None:
        return Estimate(value=float(metric(np.asarray(parts_NK, dtype=np.float64).sum(0))), n=len(parts_NK))
    tail = (1 - confidence) / 2
    return Estimate(
        value=found.value,
        standard_error=found.standard_error,
        low=found.bound(tail, "lower"),
        high=found.bound(tail, "upper"),
        n=len(parts_NK),
        method="bca",
    )


def paired_bootstrap(
    candidate_NK: Floats,
    baseline_NK: Floats,
    metric: OfSums,
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Estimate:
    """The difference of a metric between two systems, both resampled together (Koehn 2004), with its BCa interval.

    Raises:
        UsageError: the two have different shapes, or as `bootstrap` does.
    """
    both, difference = paired_parts(candidate_NK, baseline_NK, metric)
    return bootstrap(both, difference, clusters=clusters, confidence=confidence, rounds=rounds, seed=seed)


def paired_parts(candidate_NK: Floats, baseline_NK: Floats, metric: OfSums) -> tuple[Floats, OfSums]:
    """Both systems' parts side by side, [N, 2K], and the metric's difference as a function of their sums.

    Raises:
        UsageError: the two have different shapes.
    """
    width = candidate_NK.shape[1]

    def difference(sums: Floats) -> Floats:
        return np.asarray(metric(sums[..., :width]) - metric(sums[..., width:]))

    return _side_by_side(candidate_NK, baseline_NK), difference


def approximate_randomisation(
    candidate_NK: Floats,
    baseline_NK: Floats,
    metric: OfSums,
    *,
    clusters: Sequence[Hashable] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> float:
    """Two-sided p that two systems' metrics differ: how often swapping their answers at random differs as much.

    ``(c + 1) / (rounds + 1)`` with c the swaps whose absolute difference is at least the observed one (Noreen 1989;
    Riezler and Maxwell 2005). Clusters are swapped whole. Of means this is the permutation test of paired differences;
    up to 2^12 swaps are enumerated, and p is then exact.

    Raises:
        UsageError: the two have different shapes, there is no sample, or not as many clusters as samples.
    """
    units = _units(_side_by_side(candidate_NK, baseline_NK), clusters)
    width = candidate_NK.shape[1]
    total_2K, moved_NK = units.sum(0), units[:, width:] - units[:, :width]
    observed = abs(float(metric(total_2K[:width]) - metric(total_2K[width:])))
    exact = len(units) <= 12
    swaps = _all_swaps(len(units)) if exact else _random_swaps(len(units), rounds, seed)
    as_large = count = 0
    for swaps_BN in swaps:
        moved_BK = swaps_BN @ moved_NK
        found_B = np.abs(metric(total_2K[:width] + moved_BK) - metric(total_2K[width:] - moved_BK))
        as_large += int(np.count_nonzero(found_B >= observed * (1 - 1e-12) - 1e-15))
        count += len(found_B)
    return as_large / count if exact else (as_large + 1) / (count + 1)


def mean_of_parts(sums: Floats) -> Floats:
    """The metric of parts (score, 1): a mean."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def _side_by_side(candidate_NK: Floats, baseline_NK: Floats) -> Floats:
    if candidate_NK.shape != baseline_NK.shape:
        raise UsageError(f"pairs need two arrays of one shape, not {candidate_NK.shape} and {baseline_NK.shape}.")
    return np.concatenate((candidate_NK, baseline_NK), axis=1)


def _units(parts_NK: Floats, clusters: Sequence[Hashable] | None) -> Floats:
    """What is resampled: samples, or the sums of clusters in the order in which they first come."""
    if not len(parts_NK):
        raise UsageError("there is no sample to resample.")
    if clusters is None:
        return np.asarray(parts_NK, dtype=np.float64)
    if len(clusters) != len(parts_NK):
        raise UsageError(f"every sample needs its cluster, not {len(clusters)} for {len(parts_NK)}.")
    places: dict[Hashable, int] = {}
    rows = [places.setdefault(cluster, len(places)) for cluster in clusters]
    sums = np.zeros((len(places), parts_NK.shape[1]))
    np.add.at(sums, rows, parts_NK)
    return sums


def _resamples(units: int, rounds: int, seed: int) -> Iterator[Floats]:
    """How often each unit is drawn, [B, N] block by block; rows sum to N."""
    random = np.random.default_rng(seed)
    block = max(1, CELLS_AT_ONCE // units)
    for begin in range(0, rounds, block):
        yield random.multinomial(units, np.full(units, 1 / units), size=min(block, rounds - begin)).astype(np.float64)


def _random_swaps(units: int, rounds: int, seed: int) -> Iterator[Floats]:
    """Which units are swapped, [B, N] block by block."""
    random = np.random.default_rng(seed)
    block = max(1, CELLS_AT_ONCE // units)
    for begin in range(0, rounds, block):
        yield random.integers(0, 2, size=(min(block, rounds - begin), units)).astype(np.float64)


def _all_swaps(units: int) -> Iterator[Floats]:
    numbers = np.arange(1 << units)[:, None]
    yield (numbers >> np.arange(units) & 1).astype(np.float64)
