import math

import numpy as np
import pytest
from scipy import stats

from evalharness.errors import UsageError
from evalharness.stats.resampling import (
    approximate_randomisation,
    bootstrap,
    mean_of_parts,
    paired_bootstrap,
)


def parts_of(values):
    return np.stack([np.asarray(values, dtype=float), np.ones(len(values))], axis=1)


def perplexity(sums):
    return np.exp(-sums[..., 0] / sums[..., 1])


def f1(sums):
    return 2 * sums[..., 0] / (sums[..., 1] + sums[..., 2])


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_scipys_bca(seed):
    values = np.random.default_rng(seed).exponential(size=60)
    found = bootstrap(parts_of(values), mean_of_parts, rounds=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", random_state=1)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.04 * width)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.04 * width)
    assert found.standard_error == pytest.approx(theirs.standard_error, rel=0.03)


def test_a_corpus_metric_is_resampled_as_a_function_of_sums():
    random = np.random.default_rng(0)
    counts = random.integers(1, 20, size=(80, 3)).astype(float)
    counts[:, 0] = np.minimum(counts[:, 1:].min(1), counts[:, 0])
    found = bootstrap(counts, f1, rounds=5_000)
    theirs = stats.bootstrap(
        (np.arange(80),), lambda rows: f1(counts[rows].sum(0)), n_resamples=5_000, vectorized=False, random_state=1
    )
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert found.value == f1(counts.sum(0))
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.06 * width)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.06 * width)


def test_a_seed_gives_the_same_interval_whatever_the_size_of_a_block(monkeypatch):
    from evalharness.stats import resampling

    parts = parts_of(np.random.default_rng(1).normal(size=50))
    expected = bootstrap(parts, mean_of_parts, rounds=700)
    monkeypatch.setattr(resampling, "CELLS_AT_ONCE", 50 * 13)
    found = bootstrap(parts, mean_of_parts, rounds=700)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_clusters_are_resampled_whole():
    values = np.random.default_rng(2).normal(size=40)
    copied = parts_of(np.repeat(values, 4))
    clusters = np.repeat(np.arange(40), 4).tolist()
    found = bootstrap(copied, mean_of_parts, clusters=clusters, rounds=4_000)
    alone = bootstrap(parts_of(values), mean_of_parts, rounds=4_000)
    assert found.standard_error == pytest.approx(alone.standard_error, rel=1e-9)
    assert bootstrap(copied, mean_of_parts, rounds=4_000).standard_error < 0.6 * found.standard_error


def test_a_paired_bootstrap_takes_out_what_pairs_share():
    random = np.random.default_rng(5)
    lengths = random.integers(5, 50, size=120).astype(float)
    shared = random.normal(-2, 1, size=120)
    old, new = shared * lengths, (shared + random.normal(0.02, 0.05, size=120)) * lengths
    found = paired_bootstrap(np.stack([new, lengths], 1), np.stack([old, lengths], 1), perplexity, rounds=4_000)
    assert found.value == pytest.approx(math.exp(-new.sum() / lengths.sum()) - math.exp(-old.sum() / lengths.sum()))
    assert found.low < found.value < found.high < 0
    alone = bootstrap(np.stack([new, lengths], 1), perplexity, rounds=4_000)
    assert found.high - found.low < 0.3 * (alone.high - alone.low)


@pytest.mark.parametrize("n", [5, 9])
def test_few_pairs_are_swapped_in_every_way(n):
    random = np.random.default_rng(n)
    new, old = random.normal(0.5, 1, n), random.normal(0, 1, n)
    theirs = stats.permutation_test(
        (new, old), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples", n_resamples=np.inf
    )
    assert approximate_randomisation(parts_of(new), parts_of(old), mean_of_parts) == pytest.approx(theirs.pvalue)


def test_many_pairs_are_swapped_at_random():
    random = np.random.default_rng(4)
    new, old = random.normal(0.25, 1, 80), random.normal(0, 1, 80)
    theirs = stats.permutation_test(
        (new, old),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        n_resamples=9_999,
        vectorized=True,
        random_state=1,
    )
    found = approximate_randomisation(parts_of(new), parts_of(old), mean_of_parts)
    assert found == pytest.approx(theirs.pvalue, abs=4 * math.sqrt(found * (1 - found) / 10_000) + 1e-4)


def test_systems_that_answer_alike_are_not_told_apart():
    parts = parts_of([0, 1, 1, 0, 1])
    assert approximate_randomisation(parts, parts, mean_of_parts) == 1
    assert paired_bootstrap(parts, parts, mean_of_parts, rounds=200).value == 0


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="no sample"):
        bootstrap(np.zeros((0, 2)), mean_of_parts)
    with pytest.raises(UsageError, match="one shape"):
        paired_bootstrap(parts_of([1, 2]), parts_of([1]), mean_of_parts)
    with pytest.raises(UsageError, match="needs its cluster"):
        bootstrap(parts_of([1, 2]), mean_of_parts, clusters=["a"])
    assert bootstrap(parts_of([1.0]), mean_of_parts).low is None
