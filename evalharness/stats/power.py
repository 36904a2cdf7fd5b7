"""What a comparison can see: the smallest difference, the samples it needs, and where the variance comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

from evalharness.errors import UsageError

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceParts:
    """Where the variance of a score comes from, when every sample was answered several times."""

    between: float
    """Variance of the samples' true scores: what more samples average out."""
    within: float
    """Mean variance of the repeats of one sample: what more repeats average out."""
    repeats: float
    """Harmonic mean of the number of repeats."""
    samples: int

    @property
    def standard_error(self) -> float:
        """Of the mean over samples of the mean over repeats: ``√((between + within / K) / n)``."""
        return math.sqrt((self.between + self.within / self.repeats) / self.samples)

    @property
    def share_of_repeats(self) -> float:
        """Which part of the error's square more repeats could remove; not a number without variance."""
        total = self.between + self.within / self.repeats
        return self.within / self.repeats / total if total > 0 else math.nan


def variance_parts(repeats_of_samples: Sequence[Sequence[float]]) -> VarianceParts:
    """Split the variance of scores into that between samples and that within a sample's repeats.

    One-way random effects: ``within`` is the mean of the samples' own variances, ``between`` what is left of the
    variance of their means, ``max(0, var(means) - within / K)`` (Miller 2024, arXiv:2411.00640, section 3.1).

    Raises:
        UsageError: fewer than two samples, or a sample with fewer than two repeats.
    """
    if len(repeats_of_samples) < 2 or min(map(len, repeats_of_samples)) < 2:
        raise UsageError("a split of the variance needs two samples or more, each with two repeats or more.")
    within = fmean(variance(repeats) for repeats in repeats_of_samples)
    count = len(repeats_of_samples) / math.fsum(1 / len(repeats) for repeats in repeats_of_samples)
    of_means = variance(fmean(repeats) for repeats in repeats_of_samples)
    return VarianceParts(
        between=max(0.0, of_means - within / count), within=within, repeats=count, samples=len(repeats_of_samples)
    )


def minimum_detectable_difference(standard_error: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that a two-sided test of level alpha finds with this power: ``(z_{α/2} + z_β) SE``.

    Raises:
        UsageError: alpha or power outside (0, 1).
    """
    return (_upper(alpha / 2, "alpha") + _upper(1 - power, "power")) * standard_error


def needed_samples(
    difference: float, deviation: float, alpha: float = 0.05, power: float = 0.8, two_sided: bool = True
) -> int:
    """Samples that a test needs to find a true difference: ``((z_α + z_β) sd / difference)²``, rounded up.

    `deviation` is the standard deviation of one sample's paired difference; with K repeats on each side it is
    ``√(ω² + σ_a² / K_a + σ_b² / K_b)`` (Miller 2024, arXiv:2411.00640, section 5).

    Raises:
        UsageError: a difference of 0, or alpha or power outside (0, 1).
    """
    if difference == 0:
        raise UsageError("no number of samples finds a difference of 0.")
    level = _upper(alpha / 2 if two_sided else alpha, "alpha")
    return max(2, math.ceil(((level + _upper(1 - power, "power")) * deviation / difference) ** 2))


def non_inferiority_power(drop: float, margin: float, standard_error: float, alpha: float = 0.05) -> float:
    """The chance to show that a candidate is not worse by `margin`, when its true drop is `drop`.

    ``Φ((margin - drop) / SE - z_α)``; at ``drop == margin`` this is alpha.

    Raises:
        UsageError: alpha outside (0, 1).
    """
    level = _upper(alpha, "alpha")
    if standard_error == 0:
        return float(drop < margin)
    return _NORMAL.cdf((margin - drop) / standard_error - level)


def _upper(tail: float, name: str) -> float:
    if not 0 < tail < 1:
        raise UsageError(f"{name} must lie between 0 and 1.")
    return _NORMAL.inv_cdf(1 - tail)
