"""How far raters agree beyond chance: judges with people, judges with each other, a judge with itself.

A rating is any label; a missing one is None. Distances between labels: `nominal` (same or not), `ordinal` (by rank, for
Krippendorff by how many ratings lie between), `interval` (squared difference), for Cohen and Gwet also as weights.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalharness.errors import UsageError

Floats = NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]
Ratings = Sequence[Sequence[Hashable | None]]
"""For each unit what its raters said."""


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable], weights: Level = "nominal") -> float:
    """Cohen's kappa of two raters, ``1 - Σ w o / Σ w e`` over pairs of labels (Cohen 1960, 1968).

    With o the observed and e the expected shares of pairs, and the disagreement w: 1 for different labels, for
    `ordinal` the difference of their places in sorted order (linear weights), for `interval` its square (quadratic
    weights). Not a number where both raters say one label only.

    Raises:
        UsageError: the raters did not rate the same number of units, or none.
    """
    if len(first) != len(second) or not first:
        raise UsageError(f"agreement needs the same units rated twice, not {len(first)} and {len(second)} ratings.")
    labels = _sorted({*first, *second})
    places = {label: place for place, label in enumerate(labels)}
    observed = np.zeros((len(labels), len(labels)))
    for one, other in zip(first, second, strict=True):
        observed[places[one], places[other]] += 1 / len(first)
    expected = np.outer(observed.sum(1), observed.sum(0))
    weighed = _disagreement(len(labels), weights)
    chance = float((weighed * expected).sum())
    return 1 - float((weighed * observed).sum()) / chance if chance > 0 else math.nan


def fleiss_kappa(ratings: Ratings) -> float:
    """Fleiss' kappa of several raters, each unit rated equally often (Fleiss 1971, Psychological Bulletin 76).

    Raises:
        UsageError: no unit, a missing rating, or units rated a different number of times or only once.
    """
    counts, raters = _counts(ratings)
    if not len(counts) or len(set(raters)) > 1 or raters[0] < 2 or any(None in unit for unit in ratings):
        raise UsageError("Fleiss' kappa needs every unit rated equally often, twice or more, and no rating missing.")
    shares = counts.sum(0) / counts.sum()
    chance = float((shares**2).sum())
    agreed = float(_agreement_of_units(counts, np.eye(counts.shape[1])).mean())
    return (agreed - chance) / (1 - chance) if chance < 1 else math.nan


def krippendorff_alpha(ratings: Ratings, level: Level = "nominal") -> float:
    """Krippendorff's alpha, ``1 - D_o / D_e``, for any number of raters and missing ratings (Krippendorff 2011).

    Units with one rating say nothing and are left out. Not a number where all ratings are the same or nothing pairs.

    Raises:
        UsageError: labels that are no numbers at the `interval` level.
    """
    pairable = [[label for label in unit if label is not None] for unit in ratings]
    counts, raters = _counts([unit for unit in pairable if len(unit) > 1])
    if not len(counts):
        return math.nan
    labels = _sorted({label for unit in pairable if len(unit) > 1 for label in unit})
    # Coincidences of labels within units, each unit weighing its number of ratings.
    coincidences = sum(
        (np.outer(row, row) - np.diag(row)) / (count - 1) for row, count in zip(counts, raters, strict=True)
    )
    totals = counts.sum(0)
    distances = _distances(labels, totals, level)
    n = float(totals.sum())
    chance = float((np.outer(totals, totals) * distances).sum()) / (n - 1)
    return 1 - float((coincidences * distances).sum()) / chance if chance > 0 else math.nan


def gwet_ac(ratings: Ratings, weights: Level = "nominal") -> float:
    """Gwet's AC1, or AC2 where labels have an order: ``(p_a - p_e) / (1 - p_e)``.

    Gwet 2008 (Br. J. Math. Stat. Psych. 61): ``p_e = Σ w / (q (q - 1)) Σ_k π_k (1 - π_k)`` with q labels, their mean
    shares π and agreements w. Unlike kappa it does not fall to 0 where nearly all ratings are one label. Any number of
    raters; missing ratings are left out.

    Raises:
        UsageError: no unit has two ratings.
    """
    rated = [[label for label in unit if label is not None] for unit in ratings]
    counts, raters = _counts([unit for unit in rated if unit])
    paired = np.array(raters) > 1
    if not len(counts) or not paired.any():
        raise UsageError("agreement needs a unit with two ratings.")
    kinds = counts.shape[1]
    if kinds == 1:
        return 1.0
    agreement = 1 - _disagreement(kinds, weights) / _disagreement(kinds, weights).max()
    agreed = float(_agreement_of_units(counts[paired], agreement).mean())
    shares = (counts / counts.sum(1, keepdims=True)).mean(0)
    chance = float(agreement.sum()) / (kinds * (kinds - 1)) * float((shares * (1 - shares)).sum())
    return float((agreed - chance) / (1 - chance))


def _counts(ratings: Ratings) -> tuple[Floats, list[int]]:
    """How often each label was given, [units, labels], and how often each unit was rated."""
    labels = _sorted({label for unit in ratings for label in unit if label is not None})
    counts = np.zeros((len(ratings), len(labels)))
    for row, unit in zip(counts, ratings, strict=True):
        given = Counter(unit)
        row[:] = [given[label] for label in labels]
    return counts, [int(row.sum()) for row in counts]


def _agreement_of_units(counts: Floats, agreement: Floats) -> Floats:
    """For each unit the mean agreement of two of its ratings."""
    raters = counts.sum(1)
    return np.asarray((counts * (counts @ agreement - 1)).sum(1) / (raters * (raters - 1)))


def _disagreement(kinds: int, weights: Level) -> Floats:
    places = np.arange(kinds, dtype=np.float64)
    apart = np.abs(places[:, None] - places)
    return {"nominal": (apart > 0).astype(np.float64), "ordinal": apart, "interval": apart**2}[weights]


def _distances(labels: Sequence[Any], totals: Floats, level: Level) -> Floats:
    """Krippendorff's squared distances between labels."""
    if level == "nominal":
        return 1 - np.eye(len(labels))
    if level == "ordinal":
        # Ratings that lie between two labels, half of the labels' own.
        middles = np.cumsum(totals) - totals / 2
        return np.asarray((middles[:, None] - middles) ** 2)
    try:
        values = np.array([float(label) for label in labels])
    except (TypeError, ValueError):
        raise UsageError("agreement at the interval level needs numbers for labels.") from None
    return np.asarray((values[:, None] - values) ** 2)


def _sorted(labels: set[Any]) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError:
        return sorted(labels, key=lambda label: (type(label).__name__, str(label)))
