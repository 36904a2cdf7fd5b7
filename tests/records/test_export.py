"""A run as a table and in an experiment tracker."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.command import said
from evidence_for_tests import judged, tool_use, verdict
from runs_for_tests import lines_of, write_run

from evalharness.errors import UsageError
from evalharness.records.export import facts_for_trackers, write_table
from evalharness.records.folder import Run
from evalharness.records.strict_json import one_line

pandas = pytest.importorskip("pandas", reason="tables need pandas")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return write_run(tmp_path / "run", {"acc": [1.0, 0.0, None], "loss": [0.5, 1.5, None]}, subsets=["a", "b", "a"])


def test_every_ending_holds_the_same_rows(run: Run, tmp_path: Path) -> None:
    read = {".parquet": pandas.read_parquet, ".csv": pandas.read_csv}
    for ending, reader in read.items():
        write_table(run, tmp_path / f"table{ending}")
        table = reader(tmp_path / f"table{ending}")
        assert [str(id) for id in table["id"]] == ["0", "1", "2"]
        assert list(table["acc"])[:2] == [1.0, 0.0]
        assert list(table["subset"]) == ["a", "b", "a"]
    write_table(run, tmp_path / "table.jsonl")
    lines = pandas.read_json(tmp_path / "table.jsonl", lines=True)
    assert list(lines["loss"])[:2] == [0.5, 1.5]
    with pytest.raises(UsageError, match=r"the ending must be one of \.parquet, \.csv, \.jsonl"):
        write_table(run, tmp_path / "table.xlsx")


def test_outcomes_and_uses_of_tools_are_columns_where_there_are_any(run: Run, tmp_path: Path) -> None:
    assert not {"outcome", "tool_uses"} & set(run.samples().columns)
    lines = lines_of(run)
    lines[0] = judged(lines[0], [verdict("timeout"), verdict("pass", candidate=1)], [tool_use(), tool_use()])
    run.journal.write_bytes(b"".join(map(one_line, lines)))
    table = run.samples()
    assert table["outcome"][0] == "timeout"
    assert table["outcome"].isna().tolist() == [False, True, True]
    assert table["tool_uses"].tolist() == [2, 0, 0]
    write_table(run, tmp_path / "table.csv")
    assert pandas.read_csv(tmp_path / "table.csv")["tool_uses"].tolist() == [2, 0, 0]


def test_the_command(run: Run, tmp_path: Path) -> None:
    assert said("export", run.path, "--to", tmp_path / "t.parquet").done().out == f"wrote {tmp_path}/t.parquet\n"
    said("export", run.path).refused(64, "say where to")


def test_what_trackers_are_told(run: Run) -> None:
    parameters, metrics = facts_for_trackers(run)
    assert parameters["task"] == "made_up"
    assert metrics["acc"] == 0.5
    assert metrics["acc_low"] < 0.5 < metrics["acc_high"]


def test_mlflow_keeps_what_it_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    said("export", run.path, "--mlflow", "tries").done()
    (kept,) = mlflow.search_runs(experiment_names=["tries"], output_format="list")
    assert kept.data.metrics["acc"] == 0.5
    assert kept.data.params["protocol"] == "default"


def test_wandb_keeps_what_it_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    said("export", run.path, "--wandb", "tries").done()
    assert list(tmp_path.rglob("run-*.wandb"))
