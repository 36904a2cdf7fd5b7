"""A suite's published layout, filled in from runs: every cell has a score with its n, or says why it is empty."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from runs_for_tests import write_run

from evalharness.errors import ServiceError
from evalharness.options import parse_options
from evalharness.records.folder import Run
from evalharness.records.run import ResultsRecord
from evalharness.run.options import RunOptions
from evalharness.run.plan import LeftOut, plan
from evalharness.run.runner import run
from evalharness.run.suite_tables import SuiteTable, reasons, suite_table
from evalharness.tasks.definition import SuiteDefinition
from evalharness.tasks.task import Wanted

LAYOUT: dict[str, Any] = {
    "Reading": [
        {"label": "A", "task": "reading", "protocol": "survey", "metric": "acc"},
        {"label": "A", "task": "reading", "metric": "f1", "note": "the task's own"},
    ],
    "Worlds": [{"label": "House", "empty": "its games are nowhere"}, {"label": "B", "task": "worlds", "shots": 2}],
}


def _suite(layout: dict[str, Any], averages: str = "none") -> SuiteDefinition:
    values = {"suite": "mine", "description": "Mine.", "layout": layout, "averages": averages}
    return parse_options(SuiteDefinition, values, "mine.yaml")


def _run(folder: Path, task: str, scores: Any, *, protocol: str = "default", **more: Any) -> Run:
    written: Run = write_run(folder, scores, task=task, **more)
    written.write(written.record.model_copy(update={"protocol": protocol}))
    return written


def _nothing(column: object) -> None:
    return None


def _table(runs: list[Run], layout: dict[str, Any] = LAYOUT, averages: str = "none") -> SuiteTable:
    return suite_table(_suite(layout, averages), runs, _nothing)


def test_cells_have_their_protocols_run_in_their_metric(tmp_path: Path) -> None:
    both = {"acc": [1.0, 0.0, 1.0, 1.0], "f1": [0.5, 0.5, 0.5, 0.5]}
    runs = [
        _run(tmp_path / "a", "reading", both, protocol="survey"),
        _run(tmp_path / "b", "reading", {"acc": [0.0, 0.0], "f1": [0.25, 0.75]}),
        _run(tmp_path / "c", "worlds", [1.0], options={"shots": 2}),
    ]
    table = _table(runs)
    assert table.models == ("model-a",)
    assert [(row.ability, row.label, row.protocol, row.note) for row in table.rows] == [
        ("Reading", "A", "survey", ""),
        ("Reading", "A", "default", "the task's own"),
        ("Worlds", "House", "", ""),
        ("Worlds", "B", "default", ""),
    ]
    first, second, house, last = (row.cells[0] for row in table.rows)
    assert (first.metric, first.score and first.score.value, first.of) == ("acc", 0.75, 4)
    assert (second.metric, second.score and second.score.value, second.of) == ("f1", 0.5, 2)
    assert (house.score, house.why) == (None, "its games are nowhere")
    assert (last.metric, last.score and last.score.n, last.changes, last.why) == ("acc", 1, (), None)
    assert table.averages == ()


def test_a_cell_without_a_run_says_why(tmp_path: Path) -> None:
    failed = _run(tmp_path / "a", "reading", [1.0], protocol="survey", state="failed")
    other = _run(tmp_path / "b", "worlds", [1.0], options={"shots": 5})
    left = LeftOut(wanted=Wanted("reading", {}), why="no source has it")
    table = suite_table(_suite(LAYOUT), [failed, other], reasons([left]))
    assert [row.cells[0].why for row in table.rows] == [
        "its run is failed", "no source has it", "its games are nowhere", "no run",
    ]  # fmt: skip


def test_a_metric_that_a_run_lacks_is_named(tmp_path: Path) -> None:
    table = _table([_run(tmp_path / "a", "reading", [1.0])])
    assert table.rows[1].cells[0].why == "its run has no score 'f1'"


def test_the_newest_run_counts_and_an_unchanged_one_before_it(tmp_path: Path) -> None:
    def made(name: str, value: float, day: int, **more: Any) -> Run:
        created = f"2026-11-0{day}T12:00:00+00:00"
        return _run(tmp_path / name, "reading", [value], protocol="survey", created=created, **more)

    changed = made("d", 0.9, 4, options={"set": {"perturb": ["typos"]}})
    runs = [made("a", 0.1, 1), made("c", 0.3, 3), made("b", 0.2, 2), changed]
    cell = _table(runs).rows[0].cells[0]
    assert (cell.score and cell.score.value, cell.changes) == (0.3, ())
    only = _table([changed]).rows[0].cells[0]
    assert (only.score and only.score.value, only.changes) == (0.9, ("perturb=typos",))


def test_each_model_has_a_cell(tmp_path: Path) -> None:
    runs = [_run(tmp_path / model, "reading", [value], model=model, protocol="survey")
            for model, value in (("x", 0.0), ("y", 1.0))]  # fmt: skip
    table = _table(runs)
    assert table.models == ("x", "y")
    assert [cell.score and cell.score.value for cell in table.rows[0].cells] == [0.0, 1.0]
    other = runs[1].record
    runs[1].write(other.model_copy(update={"model": {**other.model, "name": "x"}}))
    marks = [str(each.record.model["fingerprint"])[:8] for each in runs]
    assert _table(runs).models == (f"x ({marks[0]})", f"x ({marks[1]})")


def test_subsets_that_count_alike(tmp_path: Path) -> None:
    layout = {"Reading": [{"label": "A", "task": "reading", "over": "subsets"}]}
    written = _run(tmp_path / "a", "reading", [1.0, 1.0, 1.0, 0.0])
    results = written.results
    assert results is not None
    whole = results.scores["acc"]
    parts = {
        name: {"acc": whole.model_copy(update={"value": value, "standard_error": error, "n": n})}
        for name, value, error, n in (("long", 1.0, 0.3, 3), ("short", 0.0, 0.4, 1))
    }
    written.write(results.model_copy(update={"subsets": parts}))
    score = _table([written], layout).rows[0].cells[0].score
    assert score is not None
    assert (score.value, score.n, score.interval) == (0.5, 4, "normal")
    assert score.standard_error == pytest.approx(0.25)
    assert score.low == pytest.approx(0.5 - 1.959964 * 0.25)
    without = ResultsRecord.model_validate({**results.model_dump(), "subsets": {}})
    written.write(without)
    assert _table([written], layout).rows[0].cells[0].score is None


def test_averages_of_abilities_and_of_the_suite(tmp_path: Path) -> None:
    layout = {
        "Reading": [{"label": "A", "task": "reading"}, {"label": "B", "task": "worlds"}],
        "Rest": [{"label": "C", "task": "rest"}, {"label": "D", "task": "rest", "average": False}],
    }
    runs = [
        _run(tmp_path / "a", "reading", [1.0, 0.0, 1.0, 1.0]),
        _run(tmp_path / "b", "worlds", [1.0, 0.0, 0.0, 0.0]),
        _run(tmp_path / "c", "rest", [1.0, 1.0, 0.0, 0.0]),
    ]
    ((ability, average),) = _table(runs, layout, "abilities").averages
    assert (ability, average.value, average.parts) == ("Reading", 0.5, ("A (default)", "B (default)"))
    errors = [next(iter(run.results.scores.values())).standard_error or 0 for run in runs[:2] if run.results]
    assert average.high == pytest.approx(0.5 + 1.959964 * math.hypot(*errors) / 2)
    ((ability, average),) = _table(runs, layout, "suite").averages
    assert (ability, average.value, len(average.parts)) == ("", 0.5, 3)
    ((_, average),) = _table(runs[:1], layout, "abilities").averages
    assert (average.value, average.missing) == (None, ("B (default)",))


# --------------------------------------------------------------------------- running one


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    layout = {
        "One": [{"label": "ARC", "task": "arc_easy", "metric": "acc"}, {"label": "Missing", "task": "jeopardy"}],
        "Two": [
            {"label": "House", "empty": "its games are nowhere"},
            {"label": "Judged", "task": "truthfulqa_gen", "protocol": "judge"},
            {"label": "Missing", "task": "piqa", "shots": 3},
        ],
    }
    values = {"suite": "laid_out", "description": "Mine.", "layout": layout}
    (folder / "laid_out.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return folder


def test_what_is_missing_leaves_its_cell_empty_and_the_others_run(own: Path, fake: None) -> None:
    options = RunOptions(task=("laid-out",), include=(own,), model=("fake:",), limit=3)
    left: list[LeftOut] = []
    done = run(options, leave_out=left.append)
    assert [each.record.task for each in done] == ["arc_easy"]
    assert [(item.wanted.name, item.wanted.options.get("shots")) for item in left] == [
        ("jeopardy", None), ("truthfulqa_gen", None), ("piqa", 3),
    ]  # fmt: skip
    suite = parse_options(SuiteDefinition, yaml.safe_load((own / "laid_out.yaml").read_text()), "laid_out.yaml")
    table = suite_table(suite, done, reasons(left))
    arc, missing, house, judged, piqa = (row.cells[0] for row in table.rows)
    assert (arc.score and arc.score.n, arc.metric) == (3, "acc")
    assert missing.why == "the rows of jeopardy.jsonl are missing"
    assert house.why == "its games are nowhere"
    assert judged.why == "a model judges it, and --judge-model names none"
    assert piqa.why == "no source has split 'validation' of baber/piqa"
    ((_, average),) = table.averages
    assert average.missing == ("Missing (default)", "House (none)", "Judged (judge)")


def test_a_layout_of_which_nothing_is_here_is_refused(own: Path) -> None:
    layout = {"One": [{"label": "Missing", "task": "jeopardy"}]}
    (own / "laid_out.yaml").write_text(yaml.safe_dump({"suite": "laid_out", "description": "Mine.", "layout": layout}))
    with pytest.raises(ServiceError, match=r"the rows of jeopardy.jsonl are missing; tried"):
        plan(RunOptions(task=("laid_out",), include=(own,), model=("fake:",)))
