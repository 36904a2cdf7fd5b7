"""lm-eval runs four tasks on a tiny checkpoint: imported, run again by our stack, compared, and exported back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.command import said
from records.foreign.lm_eval_tasks import TASKS, run_lm_eval, task_files, tiny_checkpoint
from runs_for_tests import lines_of

from evalharness.records.folder import Run, find_runs

pytest.importorskip("lm_eval", reason="needs lm-eval")
pytestmark = pytest.mark.timeout(600)
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Trip:
    """Everything that one trip leaves."""

    log: Path
    imported: dict[str, Run]
    foreign: dict[str, Run]
    """The same results, imported without our counterparts of the tasks."""
    ours: dict[str, Run]


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Trip:
    folder = tmp_path_factory.mktemp("trip")
    tasks, checkpoint = task_files(folder / "theirs"), tiny_checkpoint(folder / "checkpoint")
    run_lm_eval(tasks, checkpoint, folder / "log")
    for name in TASKS:
        said("import", "task", tasks / f"{name}.yaml", "--to", folder / "ours" / f"{name}.yaml").done()
    said("import", "lm-eval", folder / "log", "--to", folder / "imported", "--include", folder / "ours").done()
    said("import", "lm-eval", folder / "log", "--to", folder / "foreign").done()
    arguments = [part for name in TASKS for part in ("--task", folder / "ours" / f"{name}.yaml")]
    said("run", *arguments, "--model", checkpoint, "--dtype", "float32", "--output", folder / "runs", "--quiet").done()
    return Trip(folder / "log", by_task(folder / "imported"), by_task(folder / "foreign"), by_task(folder / "runs"))


def by_task(folder: Path) -> dict[str, Run]:
    return {run.record.task: run for run in find_runs(folder)}


@pytest.mark.parametrize("name", TASKS)
def test_equal_prompts_have_our_hashes(trip: Trip, name: str) -> None:
    imported, ours = trip.imported[name].record, trip.ours[name].record
    for hash in ("protocol", "demonstrations", "content"):
        assert imported.hashes[hash] == ours.hashes[hash], hash
    theirs = {line["id"]: line["content_hash"] for line in lines_of(trip.imported[name])}
    assert theirs == {line["id"]: line["content_hash"] for line in lines_of(trip.ours[name])}


@pytest.mark.parametrize("name", TASKS)
def test_log_likelihoods_and_texts_are_those_of_our_stack(trip: Trip, name: str) -> None:
    ours = {line["id"]: line for line in lines_of(trip.ours[name])}
    for theirs in lines_of(trip.imported[name]):
        line = ours[theirs["id"]]
        assert theirs["log_likelihoods"] == pytest.approx(line["log_likelihoods"], abs=TOLERANCE)
        assert theirs["completions"] == line["completions"]
        assert theirs["scores"] == pytest.approx(line["scores"], rel=TOLERANCE)
        assert theirs["answer"] == line["answer"]


@pytest.mark.parametrize("name", TASKS)
def test_both_runs_compare(trip: Trip, name: str) -> None:
    assert name in said("compare", trip.imported[name].path, trip.ours[name].path).done().out


@pytest.mark.parametrize("name", TASKS)
def test_without_our_task_it_is_foreign(trip: Trip, name: str) -> None:
    record = trip.foreign[name].record
    assert record.hashes["protocol"].startswith("foreign:lm-eval:")
    said("compare", trip.foreign[name].path, trip.ours[name].path).refused(3, "the hash of the protocol")


@pytest.mark.parametrize("kept", ["imported", "foreign"])
def test_the_table_of_what_is_exported_is_lm_evals(trip: Trip, kept: str, tmp_path: Path) -> None:
    from lm_eval.utils import make_table

    runs = getattr(trip, kept)
    said("export", *(runs[name].path for name in TASKS), "--lm-eval", tmp_path / "back").done()
    (before,), (after,) = (list(folder.rglob("results_*.json")) for folder in (trip.log, tmp_path / "back"))
    expected, found = (make_table(json.loads(path.read_text())) for path in (before, after))
    assert found == expected
    assert sum(name in expected for name in TASKS) == len(TASKS)


def test_what_is_exported_is_imported_as_it_was(trip: Trip, tmp_path: Path) -> None:
    said("export", *(run.path for run in trip.foreign.values()), "--lm-eval", tmp_path / "back").done()
    said("import", "lm-eval", tmp_path / "back", "--to", tmp_path / "again").done()
    for name, run in by_task(tmp_path / "again").items():
        before, after = trip.foreign[name].results, run.results
        assert before is not None
        assert after is not None
        for metric, score in before.scores.items():
            assert after.scores[metric].value == pytest.approx(score.value)
            assert after.scores[metric].low == pytest.approx(score.low)
