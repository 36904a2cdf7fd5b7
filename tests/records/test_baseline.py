"""A baseline holds what a comparison needs of a run, and not a word of what was asked or said."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from runs_for_tests import write_run

from evalharness.errors import DataError
from evalharness.records.baseline import read_baseline, save_baseline, scores_of_baseline
from evalharness.records.scores import Scores, scores_of_run


def kept(scores: Scores, path: Path, why: str = "first", by: str = "Ida") -> Scores:
    save_baseline(scores, path, by=by, why=why, date="2026-11-02T00:00:00+00:00")
    return scores_of_baseline(path)


def test_what_comes_back_is_what_was_kept(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run",
        {"acc": [1.0, 0.0, None, 0.5], "loss": [0.1, math.inf, None, math.nan]},
        subsets=["a", "b", "a", "b"],
        groups={"all": ["a", "b"]},
        clusters=["x", "x", "y", "z"],
        weights={"loss": [1.0, 2.0, 3.0, 4.0]},
        options={"sample": 4, "data_dir": "/secret/place"},
    )
    scores = scores_of_run(run)
    back = kept(scores, tmp_path / "base.json")
    assert list(back.samples) == list(scores.samples)
    for id, sample in scores.samples.items():
        other = back.samples[id]
        assert sample.content_hash.startswith(other.content_hash)
        assert len(other.content_hash) == 16
        assert repr(dict(other.scores)) == repr(dict(sample.scores))  # NaN is NaN
        assert (other.subset, other.cluster, other.flags, other.failed) == (
            sample.subset, sample.cluster, sample.flags, sample.failed,
        )  # fmt: skip
        if not sample.failed:
            assert other.weights == sample.weights
    assert back.metrics == scores.metrics
    assert back.hashes == scores.hashes
    assert back.options == {"task": ["made_up"], "sample": 4}


def test_no_text_is_kept(tmp_path: Path) -> None:
    kept(scores_of_run(write_run(tmp_path / "run", [1.0, 0.0])), tmp_path / "base.json")
    text = (tmp_path / "base.json").read_text()
    assert "even?" not in text
    assert " yes" not in text


def test_the_history_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    kept(scores_of_run(write_run(tmp_path / "one", [1.0, 0.0], model="old")), path)
    kept(scores_of_run(write_run(tmp_path / "two", [1.0, 1.0], model="new")), path, why="trained longer", by="Bo")
    history = read_baseline(path).history
    assert [(entry.by, entry.why, entry.model, entry.scores) for entry in history] == [
        ("Ida", "first", "old", {"acc": 0.5}),
        ("Bo", "trained longer", "new", {"acc": 1.0}),
    ]
    with pytest.raises(DataError, match="a baseline of made_up, which other must not replace"):
        kept(scores_of_run(write_run(tmp_path / "three", [1.0], task="other")), path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "run"}, "no baseline"),
        ({"format": 99}, "format 99 is newer"),
        ({"task": None}, "the key 'task' is missing or wrong"),
        ({"ids": ["0"]}, "different lengths"),
        ({"ids": ["0", "0"]}, "an id stands there twice"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = tmp_path / "base.json"
    kept(scores_of_run(write_run(tmp_path / "run", [1.0, 0.0])), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=said):
        scores_of_baseline(path)
    path.write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        scores_of_baseline(path)
