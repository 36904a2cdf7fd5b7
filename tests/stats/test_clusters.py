import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.errors import UsageError
from evalharness.stats.clusters import clustered_mean, design_effect, intraclass_correlation
from evalharness.stats.intervals import mean_t

VALUES = st.lists(st.floats(-5, 5), min_size=2, max_size=40)


@given(VALUES, st.integers(1, 6), st.integers(0, 100))
def test_the_error_is_that_of_a_clustered_regression_on_a_constant(values, kinds, seed):
    statsmodels = pytest.importorskip("statsmodels.api")
    clusters = np.random.default_rng(seed).integers(0, kinds, len(values))
    found = clustered_mean(values, clusters.tolist())
    assert found.value == pytest.approx(np.mean(values), abs=1e-12)
    if len(set(clusters.tolist())) < 2:
        assert found.standard_error is None
        return
    fit = statsmodels.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    assert found.standard_error == pytest.approx(float(fit.bse[0]), rel=1e-9, abs=1e-9)


@given(VALUES)
def test_samples_that_are_clusters_of_their_own_are_independent(values):
    alone, plain = clustered_mean(values, range(len(values))), mean_t(values)
    assert alone.standard_error == pytest.approx(plain.standard_error, rel=1e-9, abs=1e-12)
    assert alone.low == pytest.approx(plain.low, rel=1e-9, abs=1e-9)


def test_copies_of_samples_add_nothing():
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    copied = [value for value in values for _ in range(5)]
    clusters = [number for number in range(len(values)) for _ in range(5)]
    assert clustered_mean(copied, clusters).standard_error == pytest.approx(mean_t(values).standard_error)
    assert intraclass_correlation(copied, clusters) == pytest.approx(1)
    assert design_effect(copied, clusters) == pytest.approx(5 * 34 / 30)  # 1 + (m - 1), but for the degrees of freedom


def test_the_intraclass_correlation_is_that_of_the_mean_squares():
    values = [
        9,
        2,
        5,
        8,
        6,
        1,
        3,
        2,
        8,
        4,
        6,
        8,
        7,
        1,
        2,
        6,
        10,
        5,
        6,
        9,
        6,
        2,
        4,
        7,
    ]  # Shrout and Fleiss 1979, table 2
    clusters = [number // 4 for number in range(24)]
    assert intraclass_correlation(values, clusters) == pytest.approx(0.17, abs=0.005)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="not 1 for 2"):
        clustered_mean([1, 2], ["a"])
    assert math.isnan(intraclass_correlation([1, 2], ["a", "b"]))


@pytest.mark.parametrize("icc", [0.5])
def test_intervals_hold_where_plain_ones_fail(icc):
    """Coverage at 95 % over 4,000 draws of 60 clusters of 5."""
    random = np.random.default_rng(7)
    held = {"clustered": 0, "plain": 0}
    clusters = np.repeat(np.arange(60), 5).tolist()
    for _ in range(4000):
        shared = random.normal(0, math.sqrt(icc), 60).repeat(5)
        values = (shared + random.normal(0, math.sqrt(1 - icc), 300)).tolist()
        clustered, plain = clustered_mean(values, clusters), mean_t(values)
        held["clustered"] += clustered.low <= 0 <= clustered.high
        held["plain"] += plain.low <= 0 <= plain.high
    assert held["clustered"] / 4000 == pytest.approx(0.95, abs=0.015)
    assert held["plain"] / 4000 < 0.80
