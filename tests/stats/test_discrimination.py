"""The area under the ROC curve, held against scikit-learn, and its error against DeLong's formula and by hand."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.errors import UsageError
from evalharness.stats.discrimination import auroc, auroc_difference
from evalharness.stats.intervals import estimate

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=2, max_size=15)


@given(SCORES, SCORES)
def test_as_scikit_learn_has_it(highs: list[float], lows: list[float]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    found = auroc(highs + lows, [1.0] * len(highs) + [-1.0] * len(lows))
    labels = [1] * len(highs) + [0] * len(lows)
    assert found.value == pytest.approx(metrics.roc_auc_score(labels, highs + lows))
    assert found.n == len(labels)


def test_by_hand() -> None:
    """3 beats both, 1 beats 0 and ties 1: 3.5 of 4 pairs. Placements 1 and 3/4; 1 (of 0) and 3/4 (of 1)."""
    found = auroc([3, 1, 1, 0], [1, 1, -1, -1])
    assert found.value == 3.5 / 4
    # Both variances are (1/8)^2 + (1/8)^2 = 1/32 over one degree of freedom, each divided by two samples.
    assert found.standard_error == pytest.approx(math.sqrt(1 / 32))
    assert found.method == "t"
    assert found.low == pytest.approx(0.875 - 3.182446 / math.sqrt(32))
    assert found.high == 1.0


@given(SCORES, SCORES)
def test_the_error_is_delongs(highs: list[float], lows: list[float]) -> None:
    x, y = np.array(highs), np.array(lows)
    wins = (x[:, None] > y) + (x[:, None] == y) / 2
    expected = math.sqrt(wins.mean(1).var(ddof=1) / len(x) + wins.mean(0).var(ddof=1) / len(y))
    found = auroc(highs + lows, [1.0] * len(x) + [-1.0] * len(y))
    if found.value in (0, 1):
        assert found.standard_error is None
    else:
        assert found.standard_error == pytest.approx(expected, abs=1e-9)


def test_doubled_samples_of_one_cluster_bring_nothing_new() -> None:
    rng = random.Random(3)
    values = [rng.random() + number % 2 / 4 for number in range(40)]
    weights = [1.0 if number % 2 else -1.0 for number in range(40)]
    plain = auroc(values, weights)
    doubled = auroc(values * 2, weights * 2, [*range(40), *range(40)])
    assert doubled.value == plain.value
    assert doubled.method == "clustered t"
    assert doubled.standard_error == pytest.approx(plain.standard_error, rel=0.03)
    assert auroc(values * 2, weights * 2).standard_error == pytest.approx(
        (plain.standard_error or 0) / math.sqrt(2), rel=0.03
    )


def test_weight_zero_counts_nowhere_and_one_kind_alone_has_no_area() -> None:
    plain = auroc([3, 1, 1, 0], [1, 1, -1, -1])
    assert auroc([3, 1, 1, 0, 9], [1, 1, -1, -1, 0], list("abcde")) == plain
    assert estimate([3, 1, 1, 0], [1, 1, -1, -1], "auroc") == plain
    alone = auroc([1.0, 2.0], [1.0, 1.0])
    assert math.isnan(alone.value)
    assert (alone.n, alone.low) == (0, None)
    with pytest.raises(UsageError, match="needs a weight"):
        auroc([1.0], [])
    with pytest.raises(UsageError, match="needs a cluster"):
        auroc([1.0, 2.0], [1.0, -1.0], ["a"])


def test_two_scores_of_the_same_samples() -> None:
    weights = [1.0, 1.0, 1.0, -1.0, -1.0, -1.0]
    good, bad = [3.0, 2.0, 1.0, 1.5, 0.0, 0.5], [0.0, 2.0, 1.0, 1.5, 3.0, 0.5]
    found = auroc_difference(good, bad, weights)
    assert found.estimate.value == pytest.approx(auroc(good, weights).value - auroc(bad, weights).value)
    assert found.p_value is not None
    assert 0 < found.p_value < 1
    assert found.bound(0.025, "upper") == pytest.approx(found.estimate.high)
    same = auroc_difference(good, good, weights)
    assert (same.estimate.value, same.estimate.standard_error, same.p_value) == (0.0, 0.0, 1.0)
    assert auroc_difference([1.0, 2.0], [1.0, 2.0], [1.0, 1.0]).p_value is None


def test_the_difference_of_two_areas_against_delongs_covariance() -> None:
    rng = random.Random(8)
    weights = [1.0] * 20 + [-1.0] * 25
    first = [rng.gauss(1 if weight > 0 else 0, 1) for weight in weights]
    second = [value + rng.gauss(0, 1) for value in first]

    def components(values: list[float]) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.array(values[:20]), np.array(values[20:])
        wins = (x[:, None] > y) + (x[:, None] == y) / 2
        return wins.mean(1), wins.mean(0)

    (x1, y1), (x2, y2) = components(first), components(second)
    variance = np.var(x1 - x2, ddof=1) / 20 + np.var(y1 - y2, ddof=1) / 25
    assert auroc_difference(first, second, weights).estimate.standard_error == pytest.approx(math.sqrt(variance))
