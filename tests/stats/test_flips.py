"""The score interval of paired proportions, against its definition solved by scipy, and its exact coverage."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from evalharness.errors import UsageError
from evalharness.stats.flips import Flips


def _by_likelihood(fixed: int, broken: int, n: int, difference: float) -> float:
    """z with the chance of a broken sample found by maximising the trinomial likelihood numerically."""

    def minus(chance: float) -> float:
        same = max(1e-300, 1 - 2 * chance - difference)
        first = fixed * math.log(max(1e-300, chance + difference)) if fixed else 0.0
        second = broken * math.log(max(1e-300, chance)) if broken else 0.0
        return -(first + second + (n - fixed - broken) * math.log(same))

    low, high = max(0.0, -difference), (1 - difference) / 2
    chance = optimize.minimize_scalar(minus, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    return (fixed - broken - n * difference) / math.sqrt(n * (2 * chance + difference * (1 - difference)))


@pytest.mark.parametrize(
    ("fixed", "broken", "n", "difference"),
    [(7, 12, 100, -0.03), (7, 12, 100, 0.05), (1, 9, 40, -0.3), (20, 20, 400, 0.01), (3, 5, 50, -0.1)],
)
def test_the_score_is_that_of_the_constrained_likelihood(fixed: int, broken: int, n: int, difference: float) -> None:
    assert Flips(fixed, broken, n).score(difference) == pytest.approx(
        _by_likelihood(fixed, broken, n, difference), abs=2e-5
    )


def test_at_zero_it_is_mcnemars_statistic() -> None:
    assert Flips(7, 19, 100).score(0.0) ** 2 == pytest.approx((7 - 19) ** 2 / (7 + 19), rel=1e-12)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))))
def test_bounds_lie_around_the_difference_and_swap_with_the_sides(counts: tuple[int, int, int]) -> None:
    n, fixed, broken = counts
    if fixed + broken > n:
        fixed, broken = n - broken, broken
    flips, other = Flips(fixed, broken, n), Flips(broken, fixed, n)
    low, high = flips.bound(0.05, "lower"), flips.bound(0.05, "upper")
    assert -1 <= low <= flips.difference + 1e-9
    assert flips.difference - 1e-9 <= high <= 1
    assert other.bound(0.05, "upper") == pytest.approx(-low, abs=1e-9)


def test_without_a_flip_the_bound_is_what_so_many_samples_can_tell() -> None:
    z = stats.norm.ppf(0.95)
    assert Flips(0, 0, 400).bound(0.05, "lower") == pytest.approx(-z * z / (400 + z * z), rel=1e-9)


@pytest.mark.parametrize("broken_only", [0.03, 0.1])
def test_the_level_holds_where_flips_are_rare_and_all_one_way(broken_only: float) -> None:
    """Exactly, over all counts: Student's t would call `ok` at the margin 9 times in a hundred, this about 5."""
    n, chance = 400, 0.0
    for broken in range(n + 1):
        weight = stats.binom.pmf(broken, n, broken_only)
        if weight > 1e-12 and Flips(0, broken, n).bound(0.05, "lower") > -broken_only:
            chance += weight
    assert chance <= 0.065


def test_p_and_the_bound_agree() -> None:
    flips = Flips(10, 40, 400)
    assert flips.p_at_least(flips.bound(0.01, "upper")) == pytest.approx(0.01, rel=1e-6)


@pytest.mark.parametrize("counts", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_impossible_counts(counts: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        Flips(*counts)
