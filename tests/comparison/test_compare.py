"""Comparison of runs: pairing, the test that suits the values, flips, parts, correction, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs_for_tests import write_run
from scipy import stats

from evalharness.comparison import compare_formats
from evalharness.comparison.abilities import by_ability
from evalharness.comparison.compare import compare
from evalharness.comparison.sources import load, load_all
from evalharness.errors import NotComparableError, UsageError
from evalharness.records.scores import Scores, scores_of_run
from evalharness.stats.multiplicity import benjamini_hochberg, holm


def scores(folder: Path, values: object, **changes: object) -> Scores:
    return scores_of_run(write_run(folder, values, **changes))  # type: ignore[arg-type]


def test_zeros_and_ones(tmp_path: Path) -> None:
    old = scores(tmp_path / "a", [1.0] * 50 + [0.0] * 50)
    new = scores(tmp_path / "b", [1.0] * 40 + [0.0] * 10 + [1.0] * 25 + [0.0] * 25)
    (found,) = compare([old, new])
    told = found.difference
    assert told.value == pytest.approx(0.15)
    assert (len(told.better), len(told.worse)) == (25, 10)
    assert told.worse[0] == "40"
    exact = 2 * stats.binom.cdf(10, 35, 0.5) - stats.binom.pmf(10, 35, 0.5)
    assert told.p_value == pytest.approx(exact, rel=1e-9)
    assert told.unit_interval
    assert found.verdict == "better"
    assert "model-a is better, by 15.0 points" in compare_formats.sentence(found)


def test_other_means_are_students(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(0, 1, 60), random.normal(0.1, 1, 60)
    (found,) = compare([scores(tmp_path / "a", list(first)), scores(tmp_path / "b", list(second))])
    theirs = stats.ttest_rel(second, first)
    assert found.difference.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert found.difference.interval() == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-9)
    assert found.verdict == "no difference"
    assert "no difference found; this n could have seen 0." in compare_formats.sentence(found)


def test_clusters_widen_the_interval(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    shifts = np.repeat(random.normal(0, 1, 30), 5)
    first = random.normal(0, 0.1, 150)
    clusters = [str(place // 5) for place in range(150)]
    plain, clustered = (
        compare([
            scores(tmp_path / name / "a", list(first), clusters=given),
            scores(tmp_path / name / "b", list(first + shifts), clusters=given),
        ])[0].difference
        for name, given in (("plain", None), ("clustered", clusters))
    )  # fmt: skip
    assert clustered.units == 30
    assert clustered.standard_error is not None
    assert plain.standard_error is not None
    assert clustered.standard_error > 1.8 * plain.standard_error
    assert clustered.test == "paired t over clusters"


def test_zeros_and_ones_in_clusters_are_worth_fewer(tmp_path: Path) -> None:
    """Every sample three times: the bounds are those of a third of the samples."""
    random = np.random.default_rng(3)
    olds, news = ([float(value) for value in random.integers(0, 2, 100)] for _ in range(2))
    clusters = [str(place // 3) for place in range(300)]
    thrice = [scores(tmp_path / f"{name}3", list(np.repeat(values, 3)), clusters=clusters)
              for name, values in (("a", olds), ("b", news))]  # fmt: skip
    once = [scores(tmp_path / name, values) for name, values in (("a", olds), ("b", news))]
    three, one = compare(thrice)[0].difference, compare(once)[0].difference
    assert three.test == "score test over clusters"
    assert three.interval() == pytest.approx(one.interval(), rel=0.02)
    assert three.standard_error == pytest.approx(one.standard_error, rel=0.01)


def test_clusters_in_which_nothing_flips_leave_a_bound(tmp_path: Path) -> None:
    clusters = ["twice", "twice", *map(str, range(98))]
    runs = [scores(tmp_path / name, [1.0] * 100, clusters=clusters) for name in ("a", "b")]
    bound = compare(runs)[0].difference.bound(0.05, "lower")
    assert bound is not None
    assert bound < -0.02


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_p_of_a_drop_is_the_level_whose_bound_is_the_margin(tmp_path: Path, higher_is_better: bool) -> None:
    """By the formula, as by halving for tests that have none."""
    random = np.random.default_rng(4)
    olds, news = ([float(value) for value in random.integers(0, 2, 200)] for _ in range(2))
    runs = [scores(tmp_path / name, values, higher_is_better=higher_is_better)
            for name, values in (("a", olds), ("b", news))]  # fmt: skip
    found = compare(runs)[0].difference
    halved = replace(found, tail=None)
    for margin in (0.0, 0.05, 0.2):
        assert found.p_worse(margin) == pytest.approx(halved.p_worse(margin), abs=1e-6)


def test_a_weighted_mean_of_many_samples_is_judged_like_that_of_few(tmp_path: Path) -> None:
    """By leaving out one at a time beside the bootstrap: the errors agree."""
    random = np.random.default_rng(2)

    def pair(n: int, folder: str) -> list[Scores]:
        logs, words = random.normal(3, 0.3, n), {"acc": list(random.uniform(100, 900, n))}
        shifted = logs + random.normal(0.01, 0.05, n)
        return [
            scores(tmp_path / folder / name, [math.exp(value) for value in values], weights=words,
                   aggregate="geometric_mean", higher_is_better=False)
            for name, values in (("a", logs), ("b", shifted))
        ]  # fmt: skip

    few, many = compare(pair(2000, "few"))[0].difference, compare(pair(2001, "many"))[0].difference
    assert few.test == "approximate randomisation"
    assert many.test == "leaving out one at a time"
    assert few.standard_error == pytest.approx(many.standard_error, rel=0.1)


def test_an_equal_run_is_said_to_be_equal(tmp_path: Path) -> None:
    (found,) = compare([scores(tmp_path / "a", [1.0, 0.0] * 20), scores(tmp_path / "b", [1.0, 0.0] * 20)])
    assert found.verdict == "equal"
    assert compare_formats.sentence(found) == "every one of the 40 scores is equal."


def test_the_intersection_is_used_and_stated(tmp_path: Path) -> None:
    old = scores(tmp_path / "a", [1.0] * 10)
    new = scores(tmp_path / "b", [0.0] * 6, ids=[str(place) for place in range(4, 10)])
    (found,) = compare([old, new])
    assert found.difference.n == 6
    assert found.pair.notes[0].startswith("6 samples are shared, of 10 of the baseline and 6 of the candidate")


def test_small_weights_are_noted(tmp_path: Path) -> None:
    old, new = (scores(tmp_path / name, [1.0, 0.0] * 10) for name in ("a", "b"))
    small = replace(new, model={**new.model, "weights": "int8"})
    (found,) = compare([old, small])
    assert "weights: as they are stored and int8" in found.pair.notes
    (found,) = compare([small, small])
    assert not any("weights" in note for note in found.pair.notes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "f" * 64}, "hash of the protocol"),
        ({"version": 3}, "versions are 1 and 3"),
        ({"contents": ["a" * 64] * 20}, "20 of 20 shared samples have another content hash, the first '0'"),
    ],
)
def test_what_does_not_compare_is_refused_unless_forced(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    runs = [scores(tmp_path / "a", [1.0, 0.0] * 10), scores(tmp_path / "b", [0.0, 1.0] * 10, **changes)]
    with pytest.raises(NotComparableError, match=said):
        compare(runs)
    (found,) = compare(runs, force=True)
    lines = compare_formats.text([found])
    assert sum("FORCED" in line for line in lines) == 2
    assert all(said in line for line in lines if "FORCED" in line)


def test_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(NotComparableError, match="no task has two runs here"):
        compare([scores(tmp_path / "a", [1.0], task="one"), scores(tmp_path / "b", [1.0], task="two")])
    with pytest.raises(NotComparableError, match="has no sample"):
        compare([scores(tmp_path / "c", [1.0]), scores(tmp_path / "d", [])])
    with pytest.raises(UsageError, match="no metric 'accc'; did you mean 'acc'"):
        compare([scores(tmp_path / "e", [1.0]), scores(tmp_path / "f", [1.0])], metric="accc")


@pytest.mark.parametrize(("correction", "oracle"), [("holm", holm), ("bh", benjamini_hochberg), ("none", list)])
def test_p_is_corrected_over_the_table(tmp_path: Path, correction: str, oracle: object) -> None:
    runs = []
    for number, broken in enumerate((3, 8, 20)):
        for name, down in (("a", 0), ("b", broken)):
            values = [0.0] * down + [1.0] * (60 - down)
            runs.append(scores(tmp_path / f"{number}{name}", values, task=f"task{number}"))
    found = compare(runs, correction=correction)  # type: ignore[arg-type]
    expected = oracle([one.difference.p_value for one in found])  # type: ignore[operator]
    assert [one.p_adjusted for one in found] == pytest.approx(expected)


def test_subjects_and_groups(tmp_path: Path) -> None:
    subsets = ["algebra", "law", "virology"] * 20
    groups = {"stem": ["algebra", "virology"], "humanities": ["law"]}
    old = scores(tmp_path / "a", [0.0] * 60, subsets=subsets, groups=groups)
    new = scores(tmp_path / "b", [1.0, 0.0, 0.0] * 20, subsets=subsets, groups=groups)
    (found,) = compare([old, new])
    assert {name: part.value for name, part in found.subjects.items()} == {"algebra": 1.0, "law": 0.0, "virology": 0.0}
    assert {name: part.value for name, part in found.groups.items()} == {"humanities": 0.0, "stem": 0.5}
    assert any(line.strip().startswith("virology") for line in compare_formats.text([found], subjects=True))


def test_a_folder_is_every_run_in_it(tmp_path: Path) -> None:
    for number in range(3):
        write_run(tmp_path / f"run{number}", [1.0, 0.0], created=f"2026-11-0{number + 1}T00:00:00+00:00")
    assert [found.run for found in load(tmp_path)] == ["run0", "run1", "run2"]
    assert [found.run for found in load(tmp_path, newest=True)] == ["run2"]
    assert len(load_all([tmp_path / "run1", tmp_path])) == 4
    with pytest.raises(UsageError, match="no such run, baseline or folder"):
        load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="neither runs nor baselines are there"):
        load(tmp_path / "empty")


def test_abilities_are_means_over_tasks(tmp_path: Path) -> None:
    runs = []
    for number, down in enumerate((10, 30)):
        for side, broken in (("a", 0), ("b", down)):
            values = [0.0] * broken + [1.0] * (100 - broken)
            runs.append(scores(tmp_path / f"{number}{side}", values, task=f"task{number}"))
    (found,) = by_ability(compare(runs))
    assert found.estimate.value == pytest.approx(-0.2)
    errors = [one.difference.standard_error or 0.0 for one in compare(runs)]
    assert found.estimate.standard_error == pytest.approx(math.hypot(*errors) / 2)
    assert any("-20.0 points" in line and "task0, task1" in line for line in compare_formats.text(compare(runs)))
