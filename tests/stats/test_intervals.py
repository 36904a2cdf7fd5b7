import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalharness.errors import UsageError
from evalharness.stats.intervals import Estimate, clopper_pearson, estimate, geometric_mean_t, mean_t, wilson

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30)
weighted = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.01, 100)), min_size=2, max_size=30)


@given(
    st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.sampled_from([0.5, 0.95, 0.999]),
)
def test_wilson_is_scipys(case: tuple[int, int], confidence: float) -> None:
    successes, n = case
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    got = wilson(successes, n, confidence)
    assert (got.value, got.n, got.method) == (successes / n, n, "wilson")
    assert got.low == pytest.approx(expected.low, abs=1e-12)
    assert got.high == pytest.approx(expected.high, abs=1e-12)
    assert got.low is not None
    assert got.high is not None
    assert 0 <= got.low <= got.value <= got.high <= 1


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson_is_scipys(case: tuple[int, int]) -> None:
    expected = stats.binomtest(*case).proportion_ci(method="exact")
    got = clopper_pearson(*case)
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_covers_what_it_promises() -> None:
    """The exact binomial coverage at n = 100, averaged over p: between 94 and 96 %."""
    bounds = [wilson(k, 100) for k in range(101)]
    shares = np.linspace(0.005, 0.995, 199)
    covered = [
        sum(stats.binom.pmf(k, 100, p) for k, found in enumerate(bounds) if found.low <= p <= found.high)
        for p in shares
    ]
    assert 0.94 < np.mean(covered) < 0.96


@given(values, st.sampled_from([0.8, 0.95]))
def test_mean_t_is_scipys(xs: list[float], confidence: float) -> None:
    got = mean_t(xs, confidence=confidence)
    assert got.value == pytest.approx(np.mean(xs), abs=1e-9)
    assert got.standard_error == pytest.approx(stats.sem(xs), abs=1e-9)
    if stats.sem(xs) > 1e-9:
        low, high = stats.t.interval(confidence, len(xs) - 1, loc=np.mean(xs), scale=stats.sem(xs))
        assert (got.low, got.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@given(weighted, st.floats(0.1, 10))
def test_only_the_proportions_of_weights_matter(pairs: list[tuple[float, float]], factor: float) -> None:
    xs, ws = zip(*pairs, strict=True)
    one, other = mean_t(xs, ws), mean_t(xs, [factor * w for w in ws])
    assert one.value == pytest.approx(np.average(xs, weights=ws), abs=1e-9)
    assert other.value == pytest.approx(one.value, abs=1e-9)
    assert other.standard_error == pytest.approx(one.standard_error, abs=1e-9)


@given(values)
def test_equal_weights_are_no_weights(xs: list[float]) -> None:
    one, other = mean_t(xs), mean_t(xs, [7.0] * len(xs))
    assert other.value == pytest.approx(one.value, abs=1e-9)
    assert other.standard_error == pytest.approx(one.standard_error, abs=1e-9)


@given(weighted, st.integers())
def test_order_changes_nothing_at_all(pairs: list[tuple[float, float]], seed: int) -> None:
    shuffled = random.Random(seed).sample(pairs, len(pairs))
    assert mean_t(*zip(*pairs, strict=True)) == mean_t(*zip(*shuffled, strict=True))


def test_the_weighted_error_is_that_of_the_ratio_of_sums() -> None:
    """Against the spread of the ratio itself over many samples drawn anew."""
    generator = np.random.default_rng(0)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        lengths = generator.integers(20, 200, size=400).astype(float)
        return generator.normal(3 + lengths / 100, 1), lengths

    draws = [draw() for _ in range(1500)]
    ratios = [np.average(xs, weights=ws) for xs, ws in draws]
    errors = [mean_t(list(xs), list(ws)).standard_error for xs, ws in draws[:100]]
    assert np.mean(errors) == pytest.approx(np.std(ratios, ddof=1), rel=0.08)


def test_the_t_interval_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        got = mean_t(list(generator.normal(5, 2, size=12)))
        assert got.low is not None
        assert got.high is not None
        covered += got.low <= 5 <= got.high
    assert 920 <= covered <= 975  # 950 expected; about 4 binomial standard deviations either way


@given(st.lists(st.tuples(st.floats(0.01, 1e4), st.floats(0.1, 50)), min_size=2, max_size=20))
def test_the_geometric_mean_is_the_mean_of_logarithms(pairs: list[tuple[float, float]]) -> None:
    xs, ws = zip(*pairs, strict=True)
    got, logs = geometric_mean_t(xs, ws), mean_t([math.log(x) for x in xs], ws)
    assert got.value == pytest.approx(stats.gmean(xs, weights=ws), rel=1e-9)
    assert logs.low is not None
    assert got.low == pytest.approx(math.exp(logs.low), rel=1e-9) if logs.low < 700 else True
    assert logs.standard_error is not None
    assert got.standard_error == pytest.approx(got.value * logs.standard_error, rel=1e-9)


def test_a_geometric_interval_may_be_wider_than_numbers_reach() -> None:
    got = geometric_mean_t([1e300, 1.0])
    assert got.value == pytest.approx(1e150)
    assert (got.low, got.high) == (0.0, math.inf)


def test_estimate_chooses_the_interval() -> None:
    assert estimate([1, 0, 1.0]) == wilson(2, 3)
    assert estimate([True, False]) == wilson(1, 2)
    assert estimate([1, 0], [1, 1.0]) == wilson(1, 2)
    assert estimate([1, 0], [2, 1]).method == "t"
    assert estimate([1, 0.5]).method == "t"
    assert estimate([1, 1], aggregate="geometric_mean").method == "t"
    assert estimate([2, 8], aggregate="geometric_mean").value == pytest.approx(4)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_clusters_that_all_agree_leave_doubt(value: float) -> None:
    found = estimate([value] * 6, clusters=["a", "a", "b", "b", "c", "c"])
    three = wilson(int(value) * 3, 3)
    assert (found.low, found.high, found.method, found.n) == (three.low, three.high, "wilson", 6)


def test_few_samples() -> None:
    assert estimate([0.5]) == Estimate(value=0.5, n=1)
    assert estimate([3.0], [5.0], "geometric_mean") == Estimate(value=pytest.approx(3.0), n=1)  # type: ignore[arg-type]
    one = estimate([1])
    assert (one.value, one.standard_error, one.method) == (1.0, None, "wilson")
    for aggregate in ("mean", "geometric_mean"):
        empty = estimate([], aggregate=aggregate)  # type: ignore[arg-type]
        assert (math.isnan(empty.value), empty.n, empty.method) == (True, 0, "none")


def test_without_variance_the_interval_is_the_value() -> None:
    got = mean_t([0.5] * 4)
    assert (got.value, got.standard_error, got.low, got.high) == (0.5, 0.0, 0.5, 0.5)


def test_samples_without_weight_are_left_out() -> None:
    assert mean_t([1.0, 2.0, 99.0], [1, 2, 0]) == mean_t([1.0, 2.0], [1, 2])
    assert math.isnan(mean_t([1.0], [0.0]).value)


def test_a_value_that_is_no_number_makes_none() -> None:
    got = estimate([1.0, math.nan, 3.0])
    assert (math.isnan(got.value), got.low, got.method) == (True, None, "none")
    assert estimate([1.0, math.inf]).value == math.inf
    assert math.isnan(estimate([-math.inf, math.inf]).value)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: wilson(3, 2), "not 3 of 2"),
        (lambda: wilson(0, 0), "not 0 of 0"),
        (lambda: mean_t([1.0], [1.0, 2.0]), "not 2 for 1"),
        (lambda: mean_t([1.0], [-1.0]), "at least 0"),
        (lambda: mean_t([1.0], [math.nan]), "at least 0"),
        (lambda: mean_t([1.0], confidence=95), "between 0 and 1"),
        (lambda: geometric_mean_t([0.0, 1.0]), "positive"),
    ],
)
def test_what_makes_no_sense_is_refused(call: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        call()  # type: ignore[operator]
