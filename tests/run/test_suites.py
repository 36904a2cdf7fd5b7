"""A suite's average is of all its parts or of none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalharness.records.folder import Run
from evalharness.records.run import ResultsRecord
from evalharness.run.options import RunOptions
from evalharness.run.runner import run
from evalharness.run.suites import SuiteAverage, averages

PARTS: tuple[Any, ...] = ("arc_easy", {"task": "coin_flip", "limit": 5}, {"task": "wikitext", "average": False})


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "mine.yaml").write_text(yaml.safe_dump({"suite": "mine", "description": "Mine.", "tasks": list(PARTS)}))
    return folder


def _options(own: Path, *tasks: str, **more: Any) -> RunOptions:
    return RunOptions(task=tasks or ("mine",), include=(own,), model=("fake:",), **more)


def _run(options: RunOptions) -> list[tuple[Run, ResultsRecord]]:
    finished: list[tuple[Run, ResultsRecord]] = []
    run(options, report=lambda run, results: finished.append((run, results)))
    return finished


def _average(options: RunOptions, finished: list[tuple[Run, ResultsRecord]]) -> SuiteAverage:
    (average,) = averages(options, finished)
    return average


def test_the_parts_count_alike(own: Path, fake: None) -> None:
    options = _options(own)
    finished = _run(options)
    found = _average(options, finished)
    scores = [next(iter(results.scores.values())) for _, results in finished[:2]]
    assert (found.suite, found.model, found.missing) == ("mine", "fake", ())
    assert found.parts == ("arc_easy", "coin_flip limit=5")
    assert found.value == pytest.approx(sum(score.value or 0 for score in scores) / 2)
    error = math.hypot(*(score.standard_error or 0 for score in scores)) / 2
    assert found.low == pytest.approx((found.value or 0) - 1.959964 * error)
    assert found.high == pytest.approx((found.value or 0) + 1.959964 * error)


def test_a_part_that_is_missing_empties_the_average(own: Path, fake: None) -> None:
    options = _options(own)
    found = _average(options, [pair for pair in _run(options) if pair[0].record.task != "coin_flip"])
    assert (found.value, found.low, found.missing) == (None, None, ("coin_flip limit=5",))


def test_a_part_that_did_not_finish_is_missing(own: Path, fake: None) -> None:
    options = _options(own)
    finished = _run(options)
    arc = finished[0][0]
    arc.write(arc.record.model_copy(update={"state": "interrupted"}))
    assert _average(options, finished).missing == ("arc_easy",)


def test_what_the_user_limits_is_limited_in_every_part(own: Path, fake: None) -> None:
    options = _options(own, limit=3)
    finished = _run(options)
    assert [results.samples for _, results in finished] == [3, 3, 3]
    assert _average(options, finished).value is not None


def test_tasks_without_a_suite_have_no_average(own: Path, fake: None) -> None:
    options = _options(own, "arc_easy", "coin_flip", limit=2)
    assert averages(options, _run(options)) == []


def test_the_command_shows_it(own: Path, fake: None) -> None:
    from e2e.command import said

    told = said("run", "--task", "mine", "--include", own, "--model", "fake:", "--limit", 2, "-q").done()
    (line,) = [line for line in told.out.splitlines() if line.startswith("mine ")]
    assert "average of 2" in line
    assert "(95 % normal)" in line
