"""Length-controlled win rates: against scikit-learn, and on cases that are computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from evalharness.stats.corpus import corpus_estimate, corpus_sums
from evalharness.stats.length_control import PENALTY, fit, length_controlled, pair_parts, spread
from evalharness.stats.resampling import paired_bootstrap

Parts = list[tuple[float, ...]]


def rate(parts: Parts) -> float:
    return float(length_controlled(spread(np.array(parts)).sum(0)))


def drawn(n: int, *, length: float, level: float, seed: int = 0) -> Parts:
    """Pairs of which a judge prefers the longer side as strongly as `length` says."""
    random = np.random.default_rng(seed)
    longer, difficulty = random.normal(0, 300, n), random.normal(0, 1, n)
    logits = length * np.tanh(longer / longer.std(ddof=1)) + 0.5 * difficulty + level
    return [pair_parts(1 / (1 + math.exp(-x)), d, g) for x, d, g in zip(logits, longer, difficulty, strict=True)]


def theirs(parts: Parts, penalty: float = PENALTY) -> tuple[list[float], float]:
    """Coefficients and rate by scikit-learn: each pair twice, won with weight p and lost with weight 1 - p."""
    weights, preferences, longer, difficulty = np.array(parts).T
    deviation = longer.std(ddof=1)
    scaled = np.tanh(longer / deviation) if deviation > 0 else np.zeros_like(longer)
    features = np.stack((scaled, difficulty, np.ones_like(scaled)), axis=1)
    model = LogisticRegression(C=1 / penalty, fit_intercept=False, tol=1e-12, max_iter=10_000)
    won = np.repeat([1, 0], len(parts))
    model.fit(np.concatenate((features, features)), won, np.concatenate((weights * preferences, 1 - preferences)))
    equal = features * [0, 1, 1]
    return list(model.coef_[0]), float(model.predict_proba(equal)[:, 1].mean())


@pytest.mark.parametrize(
    "parts",
    [
        drawn(40, length=1.5, level=-0.3),
        drawn(200, length=0.0, level=1.0, seed=3),
        [pair_parts(float(won), 50.0 * won - 20) for won in (1, 1, 0, 1, 0, 0, 1)],
        [pair_parts(1.0, length) for length in (10, -30, 500)],
    ],
    ids=["length", "no length", "verdicts of one length each", "wins alone"],
)
def test_it_fits_what_scikit_learn_fits(parts: Parts) -> None:
    coefficients, found = theirs(parts)
    assert rate(parts) == pytest.approx(found, abs=1e-6)
    weights, preferences, longer, difficulty = np.array(parts).T
    features = np.stack((np.tanh(longer / longer.std(ddof=1)), difficulty, np.ones_like(longer)), axis=1)
    assert fit(features, preferences, weights) == pytest.approx(np.array(coefficients), abs=2e-4)


def test_of_one_length_it_is_the_win_rate_by_hand() -> None:
    """With no length and no difficulty the model is a constant θ with n (σ(θ) - p) + λ θ = 0."""
    parts = [pair_parts(p, 7.0) for p in (1.0, 1.0, 0.0, 1.0)]
    theta = math.log(3)
    for _ in range(50):
        share = 1 / (1 + math.exp(-theta))
        theta -= (4 * (share - 0.75) + PENALTY * theta) / (4 * share * (1 - share) + PENALTY)
    assert rate(parts) == pytest.approx(1 / (1 + math.exp(-theta)), abs=1e-9)
    assert rate(parts) == pytest.approx(0.75, abs=0.004)


def test_a_win_rate_that_comes_of_length_alone_is_one_half() -> None:
    """Two pairs, d = ±c: the longer side always wins, so that σ(θ tanh(1/√2)) takes all and nothing is left."""
    assert rate([pair_parts(1.0, 100.0), pair_parts(0.0, -100.0)]) == pytest.approx(0.5, abs=1e-9)
    assert rate([pair_parts(1.0, -100.0), pair_parts(1.0, -50.0), pair_parts(0.0, 300.0)]) > 0.6


def test_longer_answers_of_the_candidate_are_taken_off() -> None:
    """`longer` counts the other side's characters: a judge that likes length, and a candidate that is shorter."""
    random = np.random.default_rng(5)
    gaps = random.normal(-200, 200, 400)  # the candidate writes more
    parts = [pair_parts(1 / (1 + math.exp(gap / 150)), gap) for gap in gaps]
    raw = float(np.mean([part[1] for part in parts]))
    assert raw > 0.7
    assert rate(parts) < raw - 0.1


def test_the_interval_comes_of_refits_and_widens_with_clusters() -> None:
    parts = drawn(60, length=1.0, level=0.2)
    found = corpus_estimate("corpus_length_controlled", parts, [None] * 60, list(range(60)))
    assert found.value == pytest.approx(rate(parts))
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert found.method == "bca"
    clustered = corpus_estimate("corpus_length_controlled", parts * 2, [None] * 120, [*range(60), *range(60)])
    assert clustered.value == pytest.approx(found.value, abs=0.001)
    assert clustered.standard_error == pytest.approx(found.standard_error, rel=0.1)


def test_dropped_pairs_count_nothing_and_none_is_no_number() -> None:
    parts = drawn(20, length=1.0, level=0.2)
    assert rate([*parts, (0.0, 0.0, 0.0, 0.0)]) == pytest.approx(rate(parts), abs=1e-12)
    assert math.isnan(rate([(0.0, 0.0, 0.0, 0.0)]))
    assert rate([pair_parts(1.0, 5.0)]) > 0.5


def test_two_systems_are_compared_pair_by_pair() -> None:
    worse, better = drawn(50, length=0.5, level=-0.5), drawn(50, length=0.5, level=0.5)
    (old, metric), (new, _) = (corpus_sums("corpus_length_controlled", side, [None] * 50) for side in (worse, better))
    found = paired_bootstrap(new, old, metric, rounds=300)
    assert found.value == pytest.approx(rate(better) - rate(worse))
    assert found.low is not None
    assert found.low > 0
