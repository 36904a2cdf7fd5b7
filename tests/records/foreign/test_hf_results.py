"""Entries for the hub: its own library reads them back, and what has no place there is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.command import said
from records.foreign.logs import CHOICE_TASK, CHOICES, write_lm_eval_log
from runs_for_tests import write_run

from evalharness.records.folder import Run, find_runs

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = write_run(tmp_path / "run", {"acc": [1.0, 0.0], "acc_norm": [1.0, 1.0]}, protocol="ab" * 32)
    return with_data(made, {"hub": "org/benchmark", "config": "hard", "revision": REVISION, "split": "test"})


def with_data(run: Run, data: dict[str, Any], kind: str = "mirror") -> Run:
    path = run.path / "run.json"
    values = json.loads(path.read_text())
    values["definition"]["data"] = data
    values["data"][0]["kind"] = kind
    path.write_text(json.dumps(values))
    return run


def test_the_hubs_library_reads_the_entry(run: Run, tmp_path: Path) -> None:
    library = pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    path = tmp_path / ".eval_results" / "benchmark.yaml"
    said("export", run.path, "--hf", path, "--source-url", "https://example.org/run", "--source-name", "the run").done()
    (entry,) = library.parse_eval_result_entries(yaml.safe_load(path.read_text()))
    assert entry.dataset_id == "org/benchmark"
    assert entry.task_id == "hard"
    assert entry.dataset_revision == REVISION
    assert entry.value == 0.5
    assert entry.date == "2026-11-01T12:00:00+00:00"
    assert entry.source_url == "https://example.org/run"
    assert entry.source_name == "the run"
    assert entry.notes.startswith("acc, 95 % interval 0.0945 to 0.9055, 2 of 2 samples, protocol default abababababab")


def test_metric_and_task_can_be_named(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "entry.yaml"
    said("export", run.path, "--hf", path, "--metric", "acc_norm", "--hf-task", "the_hard_one").done()
    (entry,) = yaml.safe_load(path.read_text())
    assert entry["value"] == 1.0
    assert entry["dataset"]["task_id"] == "the_hard_one"
    said("export", run.path, "--hf", path, "--metric", "acc_nrm").refused(64, "did you mean 'acc_norm'?")


def test_several_runs_are_several_entries(run: Run, tmp_path: Path) -> None:
    other = with_data(write_run(tmp_path / "other", [0.0]), {"hub": "org/other"})
    said("export", run.path, other.path, "--hf", tmp_path / "entries.yaml").done()
    entries = yaml.safe_load((tmp_path / "entries.yaml").read_text())
    assert [entry["dataset"] for entry in entries] == [
        {"id": "org/benchmark", "task_id": "hard", "revision": REVISION},
        {"id": "org/other", "task_id": "default"},
    ]


def test_an_imported_run_names_its_data_set(tmp_path: Path) -> None:
    config = {**CHOICE_TASK, "dataset_path": "org/colours", "dataset_name": "bright"}
    log = write_lm_eval_log(tmp_path / "log", {"colours": CHOICES}, configs={"colours": config})
    said("import", "lm-eval", log, "--to", tmp_path / "runs").done()
    (run,) = find_runs(tmp_path / "runs")
    said("export", run.path, "--hf", tmp_path / "entry.yaml").done()
    (entry,) = yaml.safe_load((tmp_path / "entry.yaml").read_text())
    assert entry["dataset"] == {"id": "org/colours", "task_id": "bright"}


def test_what_has_no_place_on_the_hub(run: Run, tmp_path: Path) -> None:
    said("export", run.path, "--hf", tmp_path / "entry.json").refused(64, "the ending must be .yaml")
    said("export", run.path, "--hf", tmp_path / "e.yaml", "--source-name", "x").refused(64, "needs --source-url")
    own = with_data(write_run(tmp_path / "own", [1.0]), {"file": "rows.jsonl"}, kind="file")
    said("export", own.path, "--hf", tmp_path / "e.yaml").refused(65, "no data set of the hub")
    demo = with_data(write_run(tmp_path / "demo", [1.0]), {"hub": "org/benchmark"}, kind="demo")
    said("export", demo.path, "--hf", tmp_path / "e.yaml").refused(65, "a bundled sample, not the benchmark")
    failed = with_data(write_run(tmp_path / "failed", [None]), {"hub": "org/benchmark"})
    said("export", failed.path, "--hf", tmp_path / "e.yaml").refused(65, "no sample was scored")
