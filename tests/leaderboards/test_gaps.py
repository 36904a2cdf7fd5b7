"""Ranks: as `stats.ranks` in a column, from combined differences for an average, by dominance for a win rate."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from runs_for_tests import write_run
from scipy import stats

from evalharness.leaderboards.gaps import Gap, average_gap, dominated, gaps, separated
from evalharness.records.scores import MetricFacts, SampleScores, Scores, scores_of_run
from evalharness.stats.ranks import ranks, ranks_of


def scores(values: list[float], clusters: list[str] | None = None) -> Scores:
    samples = {
        str(place): SampleScores(str(place), "0", {"acc": value}, cluster=clusters[place] if clusters else None)
        for place, value in enumerate(values)
    }
    return Scores(
        place="", run="", task="easy", version=1, protocol="", ability="", subsets={}, hashes={}, model={"name": ""},
        options={}, created="", state="finished", asked=len(values), of=None, demo=False,
        metrics={"acc": MetricFacts()}, samples=samples,
    )  # fmt: skip


@given(some.integers(0, 10_000), some.booleans(), some.booleans())
def test_ranks_of_a_column_are_those_of_the_statistics(seed: int, higher: bool, clustered: bool) -> None:
    random = np.random.default_rng(seed)
    difficulty = random.normal(size=60)
    values = {
        name: [float(value) for value in difficulty + shift + random.normal(0, 0.6, 60)]
        for name, shift in (("a", 0.0), ("b", 0.1), ("c", 0.4), ("d", 0.5))
    }
    clusters = [str(place // 3) for place in range(60)] if clustered else None
    given_scores = {name: scores(column, clusters) for name, column in values.items()}
    pairs = gaps(given_scores, "acc", MetricFacts(higher_is_better=higher))
    expected = ranks(values, clusters, higher_is_better=higher)
    assert ranks_of(separated(list(values), pairs, 0.05)) == expected


def test_a_perplexity_is_judged_too(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    logs, words = random.normal(3, 0.3, 80), list(random.uniform(50, 90, 80))
    found = {
        name: scores_of_run(write_run(tmp_path / name, {"ppl": list(np.exp(logs + shift + random.normal(0, 0.02, 80)))},
                                      weights={"ppl": words}, aggregate="geometric_mean", higher_is_better=False))
        for name, shift in (("a", 0.0), ("b", 0.0), ("c", -0.1))
    }  # fmt: skip
    pairs = gaps(found, "ppl", MetricFacts(higher_is_better=False, aggregate="geometric_mean"))
    places = ranks_of(separated(list(found), pairs, 0.05))
    assert [(places[name].best, places[name].worst) for name in "abc"] == [(2, 3), (2, 3), (1, 1)]


def test_the_difference_of_averages_by_hand() -> None:
    found = average_gap(("a", "b"), [(4.0, 3.0), (2.0, 4.0)], higher_is_better=True)
    assert found.value == 3
    assert found.standard_error == pytest.approx(math.sqrt(9 + 16) / 2)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(3 / 2.5))
    assert found.low == pytest.approx(3 - stats.norm.ppf(0.975) * 2.5)


def test_a_difference_without_an_error_tells_nothing_apart() -> None:
    assert average_gap(("a", "b"), [(4.0, None), (2.0, 4.0)], higher_is_better=True).p_value is None


def gap(first: str, second: str, gain: float, p_value: float) -> Gap:
    return Gap(first=first, second=second, value=gain, gain=gain, standard_error=1, low=0, high=0, p_value=p_value)


def test_by_win_rate_a_model_is_ahead_where_nothing_speaks_against_it() -> None:
    columns = [[gap("a", "b", 1, 0.001), gap("a", "c", 1, 0.001)], [gap("a", "b", 1, 0.5), gap("a", "c", -1, 0.001)]]
    assert dominated({"a": 0.75, "b": 0.5, "c": 0.25}, columns, 0.05) == {"a": set(), "b": {"a"}, "c": set()}
