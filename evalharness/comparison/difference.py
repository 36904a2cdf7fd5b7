"""What two systems differ by in one metric, by the test that suits its values.

| values | interval | p of no difference |
|---|---|---|
| zeros and ones | score interval of paired proportions (`stats.flips`) | McNemar, exact, mid-p |
| zeros and ones, samples in clusters | the same of counts divided by the design effect | the score test of these |
| any other mean, samples in clusters | Student's t over clusters | the same |
| any other mean | Student's t of the differences | the same |
| area under the ROC curve | Student's t of the placements' differences (DeLong) | the same |
| weighted and geometric means, BLEU and the like, 2,000 units | paired bootstrap, BCa | approximate randomisation |
| the same, more units | normal, the error by leaving out one unit at a time | the same |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalharness.records.scores import MetricFacts, SampleScores
from evalharness.stats.discrimination import auroc, auroc_difference
from evalharness.stats.flips import Flips, mcnemar
from evalharness.stats.paired import correlation, paired_difference

if TYPE_CHECKING:
    from evalharness.stats.resampling import Floats, OfSums

Side = Literal["upper", "lower"]
Bound = Callable[[float, Side], float | None]
Tail = Callable[[float], float]
Pairs = Sequence[tuple[SampleScores, SampleScores]]

MOST_RESAMPLED = 2_000
"""Units above which a corpus metric's error is found by leaving out one at a time: ten thousand resamples would take
seconds, and the metric is then as good as normal."""
_HALVINGS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Candidate minus baseline in one metric, over the samples that both scored."""

    metric: str
    higher_is_better: bool
    n: int
    units: int
    """Independent ones: clusters, where samples share a source."""
    baseline: float
    """On these samples."""
    candidate: float
    standard_error: float | None
    """None where there are too few samples for one."""
    p_value: float | None
    """Two-sided, of no difference."""
    test: str
    correlation: float
    """Between the sides' scores; not a number where one does not vary."""
    better: tuple[str, ...]
    """Samples that the candidate does better on."""
    worse: tuple[str, ...]
    unit_interval: bool
    """Whether every score lies in [0, 1], so that a difference is told in points of a hundred."""
    bound: Bound
    """One-sided bound of level 1 - alpha: ``bound(alpha, "upper")``."""
    tail: Tail | None = None
    """One-sided p that the true difference is at least so large, where there is a formula for it."""

    @property
    def value(self) -> float:
        return self.candidate - self.baseline

    @property
    def gain(self) -> float:
        """The difference, positive where the candidate is better."""
        return self.value if self.higher_is_better else -self.value

    def gain_bound(self, alpha: float, side: Side) -> float | None:
        """One-sided bound of the gain."""
        if self.higher_is_better:
            return self.bound(alpha, side)
        found = self.bound(alpha, "lower" if side == "upper" else "upper")
        return None if found is None else -found

    def interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        tail = (1 - confidence) / 2
        low, high = self.bound(tail, "lower"), self.bound(tail, "upper")
        return None if low is None or high is None else (low, high)

    def p_worse(self, margin: float) -> float | None:
        """One-sided p that the gain is not below ``-margin``: the least alpha whose upper bound lies below it."""
        if self.tail is not None:
            return self.tail(-margin) if self.higher_is_better else 1 - self.tail(margin)
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            bound = self.gain_bound(middle, "upper")
            if bound is None:
                return None
            low, high = (low, middle) if bound < -margin else (middle, high)
        return high


def difference(pairs: Pairs, metric: str, facts: MetricFacts) -> Difference | None:
    """The difference in one metric; None where no sample has it, finite, on both sides."""
    used = [
        (old, new)
        for old, new in pairs
        if metric in old.scores
        and metric in new.scores
        and math.isfinite(old.scores[metric])
        and math.isfinite(new.scores[metric])
    ]
    if not used:
        return None
    olds, news = [old.scores[metric] for old, _ in used], [new.scores[metric] for _, new in used]
    clusters = [old.cluster or old.id for old, _ in used]
    clustered = len(set(clusters)) < len(clusters)
    plain = facts.aggregate == "mean" and not any(metric in old.weights or metric in new.weights for old, new in used)
    signs = [_sign(old, metric, facts) for old, _ in used]
    gains = [sign * (new - old) for sign, old, new in zip(signs, olds, news, strict=True)]
    better = tuple(old.id for (old, _), gain in zip(used, gains, strict=True) if gain > 0)
    worse = tuple(old.id for (old, _), gain in zip(used, gains, strict=True) if gain < 0)
    if facts.aggregate == "auroc":
        found = _areas(used, metric, clusters if clustered else None)
    elif not plain:
        found = _corpus(used, metric, facts, clusters if clustered else None)
    elif all(value in (0.0, 1.0) for value in olds + news):
        found = _flips(olds, news, clusters if clustered else None)
    else:
        found = _mean(olds, news, clusters if clustered else None)
    return Difference(
        metric=metric,
        higher_is_better=facts.higher_is_better,
        n=len(used),
        units=len(set(clusters)),
        baseline=found.baseline,
        candidate=found.candidate,
        standard_error=found.standard_error,
        p_value=found.p_value,
        test=found.test,
        correlation=correlation(olds, news),
        better=better,
        worse=worse,
        unit_interval=plain and min(olds + news) >= 0 and max(olds + news) <= 1,
        bound=found.bound,
        tail=found.tail,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    baseline: float
    candidate: float
    standard_error: float | None
    p_value: float | None
    test: str
    bound: Bound
    tail: Tail | None = None


def _sign(sample: SampleScores, metric: str, facts: MetricFacts) -> int:
    """1 where a higher score is better of this sample, -1 where a lower one is, 0 where it counts nowhere."""
    sign = 1 if facts.higher_is_better else -1
    if facts.aggregate != "auroc":
        return sign
    weight = sample.weights.get(metric, 1.0)
    return sign * ((weight > 0) - (weight < 0))


def _flips(olds: list[float], news: list[float], clusters: list[str] | None) -> _Found:
    n = len(olds)
    fixed = sum(new > old for old, new in zip(olds, news, strict=True))
    broken = sum(new < old for old, new in zip(olds, news, strict=True))
    plain = paired_difference(news, olds).estimate.standard_error
    error, effect = plain, 1.0
    if clusters is not None and plain:
        error = paired_difference(news, olds, clusters).estimate.standard_error
        effect = max(1.0, ((error or plain) / plain) ** 2)
    flips = Flips(fixed / effect, broken / effect, n / effect)
    if clusters is None:
        p_value, test = mcnemar(fixed, broken, mid_p=True), "McNemar, exact, mid-p"
    else:
        p_value, test = flips.p_value, "score test over clusters"
    baseline, candidate = math.fsum(olds) / n, math.fsum(news) / n
    return _Found(baseline, candidate, error, p_value, test, flips.bound, flips.p_at_least)


def _mean(olds: list[float], news: list[float], clusters: list[str] | None) -> _Found:
    found, n = paired_difference(news, olds, clusters), len(olds)
    test = "paired t" if clusters is None else "paired t over clusters"
    return _Found(
        math.fsum(olds) / n, math.fsum(news) / n, found.estimate.standard_error, found.p_value, test, found.bound
    )


def _areas(used: Pairs, metric: str, clusters: list[str] | None) -> _Found:
    weights = [old.weights.get(metric, 1.0) for old, _ in used]
    olds, news = [old.scores[metric] for old, _ in used], [new.scores[metric] for _, new in used]
    found = auroc_difference(news, olds, weights, clusters)
    test = "DeLong" if clusters is None else "DeLong over clusters"
    baseline, candidate = auroc(olds, weights).value, auroc(news, weights).value
    return _Found(baseline, candidate, found.estimate.standard_error, found.p_value, test, found.bound)


def _corpus(used: Pairs, metric: str, facts: MetricFacts, clusters: list[str] | None) -> _Found:
    from evalharness.stats.resampling import approximate_randomisation, jackknife, paired_parts, resamples

    (old_NK, aggregate), (new_NK, _) = (of_sums([pair[side] for pair in used], metric, facts) for side in (0, 1))
    baseline, candidate = float(aggregate(old_NK.sum(0))), float(aggregate(new_NK.sum(0)))
    both_NK, apart = paired_parts(new_NK, old_NK, aggregate)
    units = len(used) if clusters is None else len(set(clusters))
    if units > MOST_RESAMPLED:
        left = jackknife(both_NK, apart, clusters=clusters)
        return _Found(baseline, candidate, left.standard_error, left.p_value, "leaving out one at a time", left.bound)
    found = resamples(both_NK, apart, clusters=clusters)
    if found is None:
        return _Found(baseline, candidate, None, None, "none", lambda alpha, side: None)
    p_value = approximate_randomisation(new_NK, old_NK, aggregate, clusters=clusters)
    return _Found(baseline, candidate, found.standard_error, p_value, "approximate randomisation", found.bound)


def of_sums(samples: Sequence[SampleScores], metric: str, facts: MetricFacts) -> tuple[Floats, OfSums]:
    """What an aggregate sums up over the samples, [N, K], and the aggregate as a function of such sums."""
    kind = facts.aggregate
    if kind == "mean" or kind == "geometric_mean" or kind == "difference" or kind == "auroc":
        return corpus_parts(samples, metric, facts), corpus_metric(facts)
    from evalharness.stats.corpus import corpus_sums

    return corpus_sums(kind, [each.parts[metric] for each in samples], [each.subset for each in samples])


def corpus_parts(samples: Sequence[SampleScores], metric: str, facts: MetricFacts) -> Floats:
    """What a weighted or geometric mean sums up, [N, 2]: (weight x value or its logarithm, weight); a difference of two
    means sums up both sides, [N, 4]."""
    import numpy as np

    if facts.aggregate == "difference":
        sides = [(max(weight, 0.0), max(-weight, 0.0), value) for weight, value in _weighted(samples, metric)]
        return np.array([(first * value, first, second * value, second) for first, second, value in sides])
    geometric = facts.aggregate == "geometric_mean"
    return np.array(
        [(weight * (math.log(value) if geometric else value), weight) for weight, value in _weighted(samples, metric)]
    )


def _weighted(samples: Sequence[SampleScores], metric: str) -> list[tuple[float, float]]:
    return [(sample.weights.get(metric, 1.0), sample.scores[metric]) for sample in samples]


def corpus_metric(facts: MetricFacts) -> OfSums:
    """The mean, or the difference of two, as a function of such sums."""
    import numpy as np

    def aggregate(sums: Floats) -> Floats:
        if facts.aggregate == "difference":
            with np.errstate(invalid="ignore"):  # a resample may miss a side; it then says nothing
                return np.asarray(sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3])
        mean = sums[..., 0] / sums[..., 1]
        return np.asarray(np.exp(mean) if facts.aggregate == "geometric_mean" else mean)

    return aggregate
