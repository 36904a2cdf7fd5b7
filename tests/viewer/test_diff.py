"""What became of each sample between two runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from evidence_for_tests import judged, verdict
from runs_for_tests import write_run
from viewer.made import line, run_of

from evalharness.errors import NotComparableError
from evalharness.records.scores import scores_of_run
from evalharness.viewer.diff import outcome_changes, run_diff
from evalharness.viewer.index import Index
from evalharness.viewer.reader import Journal


def test_every_sample_of_either_run_is_told_once(tmp_path: Path) -> None:
    ids = ["a", "b", "c", "d", "e", "x"]
    first = write_run(tmp_path / "1", [0, 1, 1, None, math.nan, 1], ids=ids)
    second = write_run(tmp_path / "2", [1, 0, 1, 1, 1, 1], ids=[*ids[:5], "y"])
    found = run_diff(scores_of_run(first), scores_of_run(second), None)
    assert found.ids == {
        "fixed": ["a"], "broken": ["b"], "unchanged": ["c"], "unscored": ["d", "e"], "first": ["x"], "second": ["y"],
    }  # fmt: skip


def test_where_lower_is_better_a_lower_score_is_fixed(tmp_path: Path) -> None:
    first = write_run(tmp_path / "1", [3.0, 2.0], higher_is_better=False)
    second = write_run(tmp_path / "2", [2.0, 3.0], higher_is_better=False)
    found = run_diff(scores_of_run(first), scores_of_run(second), None)
    assert (found.ids["fixed"], found.ids["broken"]) == (["0"], ["1"])


def test_what_keeps_runs_from_comparing_is_told(tmp_path: Path) -> None:
    first = write_run(tmp_path / "1", [1.0])
    second = write_run(tmp_path / "2", [1.0], protocol="9" * 64)
    assert "protocol" in run_diff(scores_of_run(first), scores_of_run(second), None).pair.obstacles[0]


def test_a_metric_that_one_lacks_is_named(tmp_path: Path) -> None:
    first = write_run(tmp_path / "1", {"acc": [1.0], "f1": [1.0]})
    second = write_run(tmp_path / "2", {"acc": [1.0]})
    with pytest.raises(NotComparableError, match="no metric 'f1'"):
        run_diff(scores_of_run(first), scores_of_run(second), "f1")


def test_changed_outcomes_are_counted(tmp_path: Path) -> None:
    def index(name: str, labels: Mapping[str, str | None]) -> Index:
        made = [judged(line(id), [verdict(label)] if label else []) for id, label in labels.items()]
        return Journal(run_of(tmp_path / name, made).journal).index()

    first = index("1", {"a": "fail", "b": "fail", "c": "pass", "d": "error", "e": None, "x": "pass"})
    second = index("2", {"a": "pass", "b": "pass", "c": "timeout", "d": "error", "e": "pass", "y": "fail"})
    assert outcome_changes(first, second) == [("fail", "pass", 2), ("pass", "timeout", 1)]
    assert outcome_changes(first, index("3", {"a": None})) == []
