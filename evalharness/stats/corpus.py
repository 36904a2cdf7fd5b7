"""Metrics of a corpus that are no mean of its samples: BLEU, chrF, TER, Cohen's kappa and length-controlled win rates
as functions of sums of counts.

Every sample brings its counts (`Score.parts`), the corpus has their sums, and the metric is computed from these; so
a bootstrap resamples counts and reads no text (`stats.resampling`). Of several subsets (language pairs, say) each is a
corpus of its own, and the value is their mean: counts of two languages have no common sum.

Letters in names: N samples, S subsets, K parts of a sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalharness.stats.intervals import Estimate
from evalharness.stats.length_control import length_controlled, spread
from evalharness.stats.resampling import OfSums, bootstrap, jackknife

CorpusAggregate = Literal["corpus_bleu", "corpus_chrf", "corpus_ter", "corpus_kappa", "corpus_length_controlled"]
Floats = NDArray[np.float64]

MOST_RESAMPLED = 2_000
"""Units above which the error is found by leaving out one at a time: the metric is then as good as normal."""
_ROUNDS = 2_000
_ORDERS = 4
"""Longest n-grams of BLEU, in words."""
_BETA_SQUARED = 4.0
"""chrF2 weighs recall twice as much as precision."""


def corpus_bleu(sums: Floats) -> Floats:
    """BLEU of 0 to 100 from [hypothesis words, reference words, matches of 1 to 4 words, n-grams of 1 to 4 words].

    ``min(1, exp(1 - r/h)) exp(Σ log p_n / 4)`` (Papineni et al. 2002); a precision without a match is smoothed to
    ``1 / (2^k n-grams)`` for the k-th such order, as sacreBLEU does by default (``smooth:exp``; Post 2018,
    arXiv:1804.08771).
    """
    hypothesis, reference = sums[..., 0], sums[..., 1]
    matches, ngrams = sums[..., 2 : 2 + _ORDERS], sums[..., 2 + _ORDERS :]
    halvings = np.cumsum((matches == 0) & (ngrams > 0), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.where(matches > 0, matches, 0.5**halvings) / ngrams
        brevity = np.exp(np.minimum(0.0, 1 - reference / hypothesis))
        values = 100 * brevity * np.exp(np.log(precisions).mean(-1))
    # Where an order has no n-gram at all there is nothing to smooth, and the score is 0.
    return np.where((matches[..., 0] > 0) & (ngrams > 0).all(-1), values, 0.0)


def corpus_chrf(sums: Floats) -> Floats:
    """chrF2 of 0 to 100 from [hypothesis n-grams, reference n-grams, matches] of each order.

    ``(1 + β²) P R / (β² P + R)`` with P and R the means over the orders that both sides have (Popović 2015; the word
    orders of chrF++ are further ones; Popović 2017).
    """
    hypothesis, reference, matches = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    counted = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(counted.sum(-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(counted, matches / hypothesis, 0.0).sum(-1) / orders
        recall = np.where(counted, matches / reference, 0.0).sum(-1) / orders
        values = 100 * (1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall)
    return np.where(precision + recall > 0, values, 0.0)


def corpus_ter(sums: Floats) -> Floats:
    """Edits per hundred reference words from [edits, reference words] (Snover et al. 2006); lower is better.

    Without any reference word it is 100 where there are edits, else 0.
    """
    edits, words = sums[..., 0], sums[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(words > 0, 100 * edits / words, np.where(edits > 0, 100.0, 0.0))


def corpus_kappa(sums: Floats) -> Floats:
    """Cohen's kappa of two raters, ``(o - e) / (1 - e)``, from the counts of their pairs of labels, a square by rows.

    Not a number where both say one label only; `stats.agreement.cohen_kappa` is the same of two lists of ratings.
    """
    labels = math.isqrt(sums.shape[-1])
    counts = sums.reshape(*sums.shape[:-1], labels, labels)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = counts / counts.sum((-1, -2), keepdims=True)
        observed = np.trace(shares, axis1=-2, axis2=-1)
        expected = (shares.sum(-1) * shares.sum(-2)).sum(-1)
        return np.asarray(np.where(expected < 1, (observed - expected) / (1 - expected), np.nan))


CORPUS_METRICS: Mapping[CorpusAggregate, OfSums] = {
    "corpus_bleu": corpus_bleu,
    "corpus_chrf": corpus_chrf,
    "corpus_ter": corpus_ter,
    "corpus_kappa": corpus_kappa,
    "corpus_length_controlled": length_controlled,
}


def corpus_sums(
    aggregate: CorpusAggregate, parts: Sequence[Sequence[float]], subsets: Sequence[str | None]
) -> tuple[Floats, OfSums]:
    """Parts [N, S K], those of a sample at the place of its subset, and the metric as a function of their sums.

    A subset that a resample leaves out, or of which the metric is no number, is left out of its mean.
    """
    metric, rows_NK = CORPUS_METRICS[aggregate], np.asarray(parts, dtype=np.float64)
    if aggregate == "corpus_length_controlled":  # no function of sums over pairs: every pair keeps a place of its own
        rows_NK = spread(rows_NK)
    places = {subset: place for place, subset in enumerate(sorted(set(subsets), key=str))}
    if len(places) == 1:
        return rows_NK, metric
    count, (n, width) = len(places), rows_NK.shape
    spread_NSK = np.zeros((n, count, width))
    spread_NSK[np.arange(n), [places[subset] for subset in subsets]] = rows_NK
    return spread_NSK.reshape(n, count * width), _mean_over(metric, count, width)


def _mean_over(metric: OfSums, subsets: int, width: int) -> Callable[[Floats], Floats]:
    def mean(sums: Floats) -> Floats:
        apart = sums.reshape(*sums.shape[:-1], subsets, width)
        values = metric(apart)
        there = (apart > 0).any(-1) & np.isfinite(values)
        return np.asarray(np.where(there, values, 0.0).sum(-1) / np.maximum(there.sum(-1), 1))

    return mean


def corpus_estimate(
    aggregate: CorpusAggregate,
    parts: Sequence[Sequence[float]],
    subsets: Sequence[str | None],
    clusters: Sequence[Hashable],
    confidence: float = 0.95,
) -> Estimate:
    """The metric of all samples, with its bootstrap interval (BCa), or a normal one of many samples.

    Raises:
        UsageError: there is no sample, or a confidence outside (0, 1).
    """
    parts_NK, metric = corpus_sums(aggregate, parts, subsets)
    if len(set(clusters)) <= MOST_RESAMPLED:
        return bootstrap(parts_NK, metric, clusters=clusters, confidence=confidence, rounds=_ROUNDS)
    found = jackknife(parts_NK, metric, clusters=clusters)
    margin = NormalDist().inv_cdf((1 + confidence) / 2) * found.standard_error
    return Estimate(
        value=found.value,
        standard_error=found.standard_error,
        low=found.value - margin,
        high=found.value + margin,
        n=len(parts),
        method="normal",
    )
