"""Draws are proportional, seeded, and blind to how rows are stored."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.data.select import allocation, drawn, first
from evalharness.errors import UsageError
from evalharness.types import Sample


def _sample(subset: str | None, index: int) -> Sample:
    name = str(index) if subset is None else f"{subset}/{index}"
    return Sample(id=name, index=index, row={}, content_hash="", subset=subset)


def _samples(**sizes: int) -> list[Sample]:
    return [_sample(subset, index) for subset, size in sizes.items() for index in range(size)]


SIZES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 30), min_size=1)


def test_first_takes_no_more_than_it_was_asked_for() -> None:
    source = iter(_samples(a=10))
    assert [sample.index for sample in first(source, 3)] == [0, 1, 2]
    assert next(source).index == 3
    assert len(first(_samples(a=2), 50)) == 2


@pytest.mark.parametrize("n", [0, -3])
def test_numbers_below_one_are_refused(n: int) -> None:
    with pytest.raises(UsageError, match=f"--limit {n}: the number of samples must be at least 1"):
        first([], n)
    with pytest.raises(UsageError, match=f"--sample {n}: "):
        drawn([], n, seed=0)


@given(SIZES, st.integers(0, 3), st.data())
def test_shares_are_within_one_of_their_proportion_and_add_up(
    sizes: dict[str, int], seed: int, data: st.DataObject
) -> None:
    total = sum(sizes.values())
    n = data.draw(st.integers(1, total))
    shares = allocation(sizes, n, seed)
    assert sum(shares.values()) == n
    for name, size in sizes.items():
        assert abs(shares[name] - n * size / total) < 1
        assert shares[name] <= size


def test_the_largest_remainders_get_the_rest() -> None:
    # Proportions of 5 seats: 2.35, 1.7, 0.95. Floors 2, 1, 0; the two left go to .95 and .7.
    assert allocation({"a": 47, "b": 34, "c": 19}, 5, seed=0) == {"a": 2, "b": 2, "c": 1}


def test_equal_remainders_are_broken_by_the_seed() -> None:
    winners = Counter(
        name for seed in range(200) for name, share in allocation({"a": 9, "b": 9}, 1, seed).items() if share
    )
    assert min(winners["a"], winners["b"]) > 60


@given(SIZES, st.integers(0, 5), st.integers(1, 60), st.randoms(use_true_random=False))
def test_a_draw_keeps_the_order_and_is_blind_to_storage(
    sizes: dict[str, int], seed: int, n: int, shuffler: random.Random
) -> None:
    stored = _samples(**sizes)
    taken = drawn(stored, n, seed)
    assert len(taken) == min(n, len(stored))
    assert taken == [sample for sample in stored if sample in taken]
    shuffled = stored.copy()
    shuffler.shuffle(shuffled)
    assert {sample.id for sample in drawn(shuffled, n, seed)} == {sample.id for sample in taken}


def test_the_share_of_every_subset_is_drawn() -> None:
    counts = Counter(sample.subset for sample in drawn(_samples(a=40, b=20, c=40), 10, seed=1))
    assert counts == {"a": 4, "b": 2, "c": 4}


def test_seeds_differ_and_every_sample_is_as_likely() -> None:
    samples = [_sample(None, index) for index in range(20)]
    counts = Counter(sample.index for seed in range(400) for sample in drawn(samples, 5, seed))
    # Each is drawn in a quarter of 400: 100, standard deviation 8.7.
    assert all(65 < counts[index] < 135 for index in range(20))
