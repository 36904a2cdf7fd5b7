"""Normalisation and the mean win rate, by hand and against a plain recomputation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from evalharness.leaderboards.formulas import normalised, normalised_estimate, win_rates
from evalharness.stats.intervals import Estimate, wilson


@pytest.mark.parametrize(
    ("value", "chance", "best", "expected"),
    [(0.25, 0.25, 1, 0), (1, 0.25, 1, 100), (0.7, 0.25, 1, 60), (0.1, 0.25, 1, 0), (30, 50, 10, 50), (60, 50, 10, 0)],
)
def test_normalisation_by_hand(value: float, chance: float, best: float, expected: float) -> None:
    """The last two are perplexities, where less is better."""
    assert normalised(value, chance, best) == pytest.approx(expected)


def test_an_estimate_is_moved_with_its_interval() -> None:
    found = wilson(70, 100)
    moved = normalised_estimate(found, 0.25, 1)
    assert moved.value == pytest.approx(60)
    assert found.standard_error is not None
    assert moved.standard_error == pytest.approx(found.standard_error * 100 / 0.75)
    assert found.low is not None
    assert moved.low == pytest.approx(100 * (found.low - 0.25) / 0.75)


def test_the_interval_of_what_is_better_low_keeps_its_ends_in_order() -> None:
    moved = normalised_estimate(Estimate(value=30, low=20, high=40, n=9), 50, 10)
    assert (moved.low, moved.value, moved.high) == (25, 50, 75)


def test_win_rate_by_hand() -> None:
    columns = [({"a": 0.9, "b": 0.5, "c": 0.5}, True), ({"a": 3.0, "b": 2.0, "c": 1.0}, False)]
    assert win_rates(columns, ["a", "b", "c"]) == {"a": 0.5, "b": 0.375, "c": 0.625}


def test_a_column_with_one_value_is_passed_over() -> None:
    assert win_rates([({"a": 1.0, "b": 0.0}, True), ({"a": 0.1}, True)], ["a", "b"]) == {"a": 1.0, "b": 0.0}


def test_a_model_without_all_its_parts_has_no_rate() -> None:
    columns = [({"a": 1.0, "b": 0.0, "c": 0.5}, True), ({"a": 0.1, "b": 0.2}, True)]
    assert win_rates(columns, ["a", "b", "c"])["c"] is None


@given(some.lists(some.lists(some.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=4), some.booleans())
def test_win_rate_is_the_mean_of_duels(table: list[list[int]], higher: bool) -> None:
    """Against every other model: 1 where it is better, 1/2 where equal."""
    names = "abcd"
    found = win_rates([(dict(zip(names, map(float, row), strict=True)), higher) for row in table], names)
    for place, name in enumerate(names):
        duels = [
            0.5 if row[place] == other else float((row[place] > other) == higher)
            for row in table
            for at, other in enumerate(row)
            if at != place
        ]
        assert found[name] == pytest.approx(sum(duels) / len(duels))
    assert sum(rate or 0 for rate in found.values()) == pytest.approx(len(names) / 2)
