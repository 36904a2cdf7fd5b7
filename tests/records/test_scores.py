"""The few bytes of a journal that comparisons read are those that a whole reading gives; what is damaged is told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs_for_tests import write_run

from evalharness.errors import DataError
from evalharness.records.folder import Run
from evalharness.records.journal import read_samples
from evalharness.records.scores import _few, read_sample_scores, score_records, scores_of_run
from evalharness.records.strict_json import one_line

FIXTURE = Path(__file__).parent / "fixtures" / "run_format_1"


def test_a_real_run_is_read_as_its_journal_has_it() -> None:
    found = scores_of_run(Run(FIXTURE))
    lines = list(read_samples(FIXTURE / "samples.jsonl"))
    assert list(found.samples) == [line["id"] for line in lines]
    for line in lines:
        sample = found.samples[line["id"]]
        assert repr(dict(sample.scores)) == repr(line["scores"])  # NaN is NaN
        assert sample.content_hash == line["content_hash"]
        assert sample.flags == tuple(line["flags"])


def test_aggregates_are_those_of_the_summary(tmp_path: Path) -> None:
    weighted = write_run(
        tmp_path / "w", [2.0, 8.0, None, 4.0], weights={"acc": [1.0, 2.0, 1.0, 3.0]}, aggregate="geometric_mean"
    )
    clustered = write_run(tmp_path / "c", [1.0, 0.0, None, 1.0], clusters=["a", "a", "b", "c"])
    for run in (weighted, clustered):
        results = run.results
        assert results is not None
        assert score_records(scores_of_run(run)) == results.scores


nasty = st.text(alphabet=st.sampled_from('",:{}[]\\scoretargp ä\n'), max_size=30)


@given(target=nasty, text=nasty, prompt=nasty, error=st.none() | nasty, score=st.floats())
def test_whatever_stands_in_the_texts(target: str, text: str, prompt: str, error: str | None, score: float) -> None:
    line = {"task": text, "id": prompt or "x", "index": 0, "content_hash": "c", "target": target + ',"scores":{'}
    line |= {"completions": [text + '","scores":{"acc":9},"repeats":[', prompt], "answer": text}
    line |= {"scores": {"acc": score, 'odd,"repeats":[': 1.0}, "weights": {"acc": 2.0}, "flags": ["cut"]}
    if error:
        line["error"] = error
    line["repeats"] = [{"calls": [{"prompt": prompt + ',"flags":["errored"]'}]}]
    found = _few(one_line(line))
    assert found is not None
    assert (found.id, found.content_hash, found.flags, found.failed) == (prompt or "x", "c", ("cut",), bool(error))
    assert found.scores["acc"] == score or (math.isnan(score) and math.isnan(found.scores["acc"]))
    assert found.weights == {"acc": 2.0}


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path, [1.0, 0.0, 1.0])
    whole = run.journal.read_bytes()
    run.journal.write_bytes(whole[:-20])
    assert list(read_sample_scores(run.journal)) == ["0", "1"]
    lines = whole.splitlines(keepends=True)
    run.journal.write_bytes(lines[0] + b'{"id": "1", \n' + lines[2])
    with pytest.raises(DataError, match="line 2 is damaged"):
        read_sample_scores(run.journal)


def test_a_sample_that_stands_there_twice(tmp_path: Path) -> None:
    run = write_run(tmp_path, [1.0, None])
    first, failed = run.journal.read_bytes().splitlines(keepends=True)
    again = json.loads(failed) | {"scores": {"acc": 0.0}, "flags": []}
    del again["error"]
    run.journal.write_bytes(first + failed + one_line(again))
    assert read_sample_scores(run.journal)["1"].scores == {"acc": 0.0}  # it failed, and was asked again
    run.journal.write_bytes(first + failed + first)
    with pytest.raises(DataError, match="the sample '0' stands there twice"):
        read_sample_scores(run.journal)


def test_an_unfinished_run_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path, [1.0, 0.0])
    (tmp_path / "results.json").unlink()
    with pytest.raises(DataError, match="has not ended"):
        scores_of_run(run)
