import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalharness.errors import UsageError
from evalharness.stats.flips import mcnemar
from evalharness.stats.paired import correlation, paired_difference

PAIRS = st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=3, max_size=40)


@given(PAIRS)
def test_a_difference_is_scipys_paired_t_test(pairs):
    new, old = zip(*pairs, strict=True)
    found = paired_difference(new, old)
    if np.std(np.subtract(new, old)) < 1e-6:
        return
    theirs = stats.ttest_rel(new, old)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-12)
    interval = theirs.confidence_interval(0.95)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-9)
    # The one-sided bound of level 1 - alpha is an end of the two-sided interval of level 1 - 2 alpha.
    assert found.bound(0.025, "upper") == pytest.approx(found.estimate.high, rel=1e-9, abs=1e-9)
    assert found.bound(0.025, "lower") == pytest.approx(found.estimate.low, rel=1e-9, abs=1e-9)


def test_equal_runs_differ_by_nothing_for_sure():
    found = paired_difference([0.0, 1.0, 1.0], [0.0, 1.0, 1.0])
    assert (found.estimate.value, found.estimate.standard_error, found.p_value) == (0, 0, 1)
    assert found.bound(0.05, "lower") == 0


def test_pairs_see_what_unpaired_tests_do_not():
    """Two systems whose scores correlate at .9."""
    random = np.random.default_rng(3)
    shared = random.normal(size=400)
    old = math.sqrt(0.9) * shared + math.sqrt(0.1) * random.normal(size=400)
    new = math.sqrt(0.9) * shared + math.sqrt(0.1) * random.normal(size=400) - 0.1
    found = paired_difference(new.tolist(), old.tolist())
    assert found.correlation == pytest.approx(0.9, abs=0.02)
    assert found.p_value < 0.001
    unpaired = stats.ttest_ind(new, old)
    assert unpaired.pvalue > 0.1


def test_clusters_are_what_is_independent():
    found = paired_difference([1, 1, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0], clusters=["a", "a", "b", "b", "c", "c"])
    assert found.degrees == 2
    assert found.estimate.standard_error == pytest.approx(np.std([1, 0, 1], ddof=1) / math.sqrt(3))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_that_of_statsmodels(fixed, broken):
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
    theirs = contingency.mcnemar([[5, broken], [fixed, 5]], exact=True).pvalue
    assert mcnemar(fixed, broken) == pytest.approx(min(theirs, 1.0), rel=1e-9)
    half = stats.binom.pmf(min(fixed, broken), fixed + broken, 0.5)
    expected = 1.0 if fixed == broken else 2 * stats.binom.cdf(min(fixed, broken), fixed + broken, 0.5) - half
    assert mcnemar(fixed, broken, mid_p=True) == pytest.approx(expected, rel=1e-9)


@given(PAIRS)
def test_correlation_is_scipys(pairs):
    first, second = zip(*pairs, strict=True)
    if np.std(first) > 1e-6 and np.std(second) > 1e-6:
        assert correlation(first, second) == pytest.approx(stats.pearsonr(first, second).statistic, abs=1e-9)


def test_what_does_not_pair_is_refused():
    with pytest.raises(UsageError, match="not 1 scores beside 2"):
        paired_difference([1], [1, 2])
    with pytest.raises(UsageError, match="negative"):
        mcnemar(-1, 2)
    assert math.isnan(correlation([1, 1], [1, 2]))
