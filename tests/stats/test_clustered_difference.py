"""The difference of two means, with an error that knows which values go together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.errors import UsageError
from evalharness.stats.clusters import clustered_difference, clustered_mean
from evalharness.stats.intervals import estimate, mean_t

VALUES = st.lists(st.floats(-5, 5), min_size=2, max_size=12)


@given(VALUES, VALUES)
def test_of_independent_values_it_is_the_sum_of_both_variances(first: list[float], second: list[float]) -> None:
    """Up to the factor for the number of units, which is that of all of them here."""
    n, m = len(first), len(second)
    found = clustered_difference(first + second, [1.0] * n + [-1.0] * m, range(n + m))
    assert found.value == pytest.approx(np.mean(first) - np.mean(second), abs=1e-12)
    variance = (np.var(first) / n + np.var(second) / m) * (n + m) / (n + m - 1)
    assert found.standard_error == pytest.approx(math.sqrt(variance), abs=1e-9)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=2, max_size=12))
def test_of_pairs_it_is_the_mean_of_their_differences(pairs: list[tuple[float, float]]) -> None:
    values = [value for pair in pairs for value in pair]
    clusters = [number for number in range(len(pairs)) for _ in range(2)]
    found = clustered_difference(values, [1.0, -1.0] * len(pairs), clusters)
    paired = mean_t([one - other for one, other in pairs])
    assert found.value == pytest.approx(paired.value, abs=1e-9)
    assert found.standard_error == pytest.approx(paired.standard_error, abs=1e-7)
    assert found.low == pytest.approx(paired.low, abs=1e-6)


def test_values_of_weight_zero_count_nowhere() -> None:
    plain = clustered_difference([1.0, 0.0, 0.0, 1.0], [1.0, 1.0, -1.0, -1.0], range(4))
    assert clustered_difference([1.0, 0.0, 0.0, 1.0, 7.0], [1.0, 1.0, -1.0, -1.0, 0.0], range(5)) == plain
    assert estimate([1.0, 0.0, 0.0, 1.0], [1.0, 1.0, -1.0, -1.0], "difference") == plain


def test_one_side_alone_has_no_difference() -> None:
    found = clustered_difference([1.0, 2.0], [1.0, 1.0], [0, 1])
    assert math.isnan(found.value)
    assert (found.n, found.low) == (0, None)
    with pytest.raises(UsageError, match="needs a weight and a cluster"):
        clustered_difference([1.0], [1.0, 1.0], [0])


def test_left_out_values_leave_the_interval_of_the_others() -> None:
    """A condition of half the samples gets Wilson's interval of that half, and clusters count."""
    half = estimate([1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0])
    assert half == estimate([1.0, 0.0])
    assert half.method == "wilson"
    values, clusters = [1.0, 1.0, 0.0, 9.0], ["a", "a", "b", "b"]
    assert estimate(values, [1.0, 1.0, 1.0, 0.0], clusters=clusters) == clustered_mean(values[:3], clusters[:3])
