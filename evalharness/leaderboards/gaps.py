"""Which models the samples tell apart: paired differences in a column and of averages, and ranks from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

from evalharness.comparison.difference import of_sums
from evalharness.records.scores import MetricFacts, Scores
from evalharness.stats.discrimination import auroc_difference
from evalharness.stats.multiplicity import holm
from evalharness.stats.paired import paired_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What two models differ by."""

    first: str
    second: str
    value: float
    """The first's less the second's, in the metric's unit."""
    gain: float
    """The same, positive where the first is better."""
    standard_error: float | None
    low: float | None
    """Of the 95 % interval."""
    high: float | None
    p_value: float | None
    """Two-sided, of no difference."""
    p_adjusted: float = 1.0
    """Holm's, over all pairs."""


def gaps(scores: Mapping[str, Scores], metric: str, facts: MetricFacts) -> list[Gap]:
    """All pairs of models in one metric, over the samples that both scored, adjusted.

    Means are judged by the paired t of `stats.paired`, over clusters where there are some, areas under the ROC curve by
    that of their placements; weighted and geometric means (perplexities) by leaving out one unit at a time.
    """
    pairs = [_gap(pair, scores, metric, facts) for pair in combinations(sorted(scores), 2)]
    return adjusted(pairs)


def adjusted(pairs: Sequence[Gap]) -> list[Gap]:
    """The pairs with Holm's p over them; a pair without an error is not told apart."""
    p_values = holm([1.0 if pair.p_value is None else pair.p_value for pair in pairs])
    return [replace(pair, p_adjusted=p_value) for pair, p_value in zip(pairs, p_values, strict=True)]


def plain(scores: Scores, metric: str, facts: MetricFacts) -> bool:
    """Whether a metric is the unweighted mean of its samples."""
    return facts.aggregate == "mean" and not any(metric in sample.weights for sample in scores.samples.values())


def _gap(names: tuple[str, str], scores: Mapping[str, Scores], metric: str, facts: MetricFacts) -> Gap:
    one, other = (scores[name].samples for name in names)
    ids = sorted(id for id in one.keys() & other.keys() if metric in one[id].scores and metric in other[id].scores)
    clusters = [one[id].cluster or id for id in ids]
    clustered = clusters if len(set(clusters)) < len(clusters) else None
    area = facts.aggregate == "auroc"
    if area or all(plain(scores[name], metric, facts) for name in names):
        firsts, seconds = ([side[id].scores[metric] for id in ids] for side in (one, other))
        if area:
            found = auroc_difference(firsts, seconds, [one[id].weights.get(metric, 1.0) for id in ids], clustered)
        else:
            found = paired_difference(firsts, seconds, clustered)
        estimate, p_value = found.estimate, found.p_value
        value, error, low, high = estimate.value, estimate.standard_error, estimate.low, estimate.high
    else:
        value, error, low, high, p_value = _corpus(names, scores, ids, metric, facts, clustered)
    gain = value if facts.higher_is_better else -value
    return Gap(first=names[0], second=names[1], value=value, gain=gain, standard_error=error, low=low, high=high,
               p_value=p_value)  # fmt: skip


def _corpus(
    names: tuple[str, str],
    scores: Mapping[str, Scores],
    ids: Sequence[str],
    metric: str,
    facts: MetricFacts,
    clusters: Sequence[str] | None,
) -> tuple[float, float | None, float | None, float | None, float | None]:
    """Value, standard error, interval and p of a weighted or geometric mean: a function of sums of two parts."""
    from evalharness.stats.resampling import jackknife, paired_parts

    (first, aggregate), (second, _) = (
        of_sums([scores[name].samples[id] for id in ids], metric, facts) for name in names
    )
    both_NK, apart = paired_parts(first, second, aggregate)
    if len(set(clusters or ids)) < 2:
        return float(apart(both_NK.sum(0))), None, None, None, None
    found = jackknife(both_NK, apart, clusters=clusters)
    low, high = found.bound(0.025, "lower"), found.bound(0.025, "upper")
    return found.value, found.standard_error, low, high, found.p_value


def average_gap(names: tuple[str, str], parts: Sequence[tuple[float, float | None]], *, higher_is_better: bool) -> Gap:
    """The difference of two averages over k independent columns: the mean of the differences, ``SE = √(Σ SE²) / k``.

    Args:
        parts: difference and standard error in each column, on the scale that is averaged.
    """
    k = len(parts)
    value = math.fsum(part for part, _ in parts) / k
    errors = [error for _, error in parts if error is not None]
    gain = value if higher_is_better else -value
    if len(errors) < k:
        return Gap(first=names[0], second=names[1], value=value, gain=gain, standard_error=None, low=None, high=None,
                   p_value=None)  # fmt: skip
    error = math.sqrt(math.fsum(error * error for error in errors)) / k
    margin = NormalDist().inv_cdf(0.975) * error
    p_value = 2 * NormalDist().cdf(-abs(value) / error) if error else float(value == 0)
    return Gap(first=names[0], second=names[1], value=value, gain=gain, standard_error=error, low=value - margin,
               high=value + margin, p_value=p_value)  # fmt: skip


def separated(models: Sequence[str], pairs: Sequence[Gap], alpha: float) -> dict[str, set[str]]:
    """Who is separably better than each model."""
    better: dict[str, set[str]] = {model: set() for model in models}
    for pair in pairs:
        if pair.p_adjusted < alpha and pair.gain != 0:
            winner, loser = (pair.first, pair.second) if pair.gain > 0 else (pair.second, pair.first)
            better[loser].add(winner)
    return better


def dominated(rates: Mapping[str, float], columns: Sequence[Sequence[Gap]], alpha: float) -> dict[str, set[str]]:
    """Who is separably better than each model by win rate, which has no error of its own.

    A model is, where its rate is higher, it is separably better in a column, and in none separably worse; with Holm's
    correction over all pairs of all columns.
    """
    pairs = adjusted([pair for column in columns for pair in column if {pair.first, pair.second} <= rates.keys()])
    better = separated(list(rates), pairs, alpha)
    return {
        loser: {winner for winner in winners if loser not in better[winner] and rates[winner] > rates[loser]}
        for loser, winners in better.items()
    }
