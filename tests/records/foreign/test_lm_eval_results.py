"""Runs written as lm-eval writes its own: its table code reads them, and so does the import."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from e2e.command import said
from records.foreign.logs import CHOICE_TASK, CHOICES, line, write_lm_eval_log
from runs_for_tests import lines_of, write_run

from evalharness.records.folder import find_runs
from evalharness.records.foreign.lm_eval_results import write_lm_eval


def table(path: Path) -> str:
    from lm_eval.utils import make_table

    return str(make_table(json.loads(path.read_text())))


def test_a_run_of_ours_is_a_row_of_the_table(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"acc": [1.0, 0.0, 1.0, 1.0]}, task="mmlu/made_up", model="org/model a")
    said("export", run.path, "--lm-eval", tmp_path / "out").done()
    (path,) = (tmp_path / "out").rglob("results_*.json")
    assert path.parent.name == "org__model a"
    assert re.fullmatch(r"results_2026-11-01T12-00-00\.000000\.json", path.name)
    (row,) = [row for row in table(path).splitlines() if "mmlu_made_up" in row]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["mmlu_made_up", "1", "none", "0", "acc", "↑", "0.75", "±", "0.25"]


def test_samples_have_lm_evals_shape(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [1.0, None])
    results, samples = write_lm_eval([run], tmp_path / "results_x.json")
    assert results == tmp_path / "results_x.json"
    (only,) = [json.loads(text) for text in samples.read_text().splitlines()]
    assert only["doc_id"] == 0
    assert only["arguments"]["gen_args_1"] == {"arg_0": "Is 0 even?\nAnswer:", "arg_1": " yes"}
    assert only["resps"] == [[["-1.0", "True"]], [["-2.0", "False"]]]
    assert only["filtered_resps"] == [["-1.0", "True"], ["-2.0", "False"]]
    assert only["metrics"] == ["acc"]
    assert only["acc"] == 1.0


def test_what_is_exported_can_be_imported(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"acc": [1.0, 0.0, 1.0], "exact_match,strict": [1.0, 1.0, 0.0]})
    said("export", run.path, "--lm-eval", tmp_path / "out").done()
    said("import", "lm-eval", tmp_path / "out", "--to", tmp_path / "runs").done()
    (again,) = find_runs(tmp_path / "runs")
    assert again.results is not None
    assert {name: score.value for name, score in again.results.scores.items()} == {
        "acc": pytest.approx(2 / 3),
        "exact_match,strict": pytest.approx(2 / 3),
    }
    assert [line["log_likelihoods"] for line in lines_of(again)] == [[-1.0, -2.0]] * 3


def test_perplexities_go_out_as_what_they_are_made_of(tmp_path: Path) -> None:
    pages = [line(0, [("a b c",)], ["-6.0"], {"word_perplexity": [-6.0, 3]})]
    log = write_lm_eval_log(
        tmp_path / "log", {"pages": pages}, configs={"pages": {"output_type": "loglikelihood_rolling"}}
    )
    said("import", "lm-eval", log, "--to", tmp_path / "runs").done()
    (run,) = find_runs(tmp_path / "runs")
    _, samples = write_lm_eval([run], tmp_path / "out")
    only = json.loads(samples.read_text())
    assert only["word_perplexity"] == [-6.0, 3]
    assert only["arguments"] == {"gen_args_0": {"arg_0": "a b c"}}
    assert only["resps"] == [["-6.0"]]


def test_an_imported_run_keeps_what_only_lm_eval_knows(tmp_path: Path) -> None:
    reported = {
        "alias": " - red",
        "acc,none": 1 / 3,
        "acc_stderr,none": 0.271,
        "f1,none": 0.25,
        "f1_stderr,none": "N/A",
    }
    log = write_lm_eval_log(
        tmp_path / "log", {"colours": CHOICES}, configs={"colours": CHOICE_TASK}, results={"colours": reported},
        more={"versions": {"colours": "2.5"}, "n-shot": {"colours": 3}, "higher_is_better": {"colours": {"acc": True}}},
    )  # fmt: skip
    said("import", "lm-eval", log, "--to", tmp_path / "runs").done()
    (run,) = find_runs(tmp_path / "runs")
    path, *_ = write_lm_eval([run], tmp_path / "out")
    assert table(path) == table(next(log.rglob("results_*.json")))


def test_what_cannot_be_one_results_file(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one", [1.0]), write_run(tmp_path / "two", [1.0], model="model-b")
    said("export", one.path, two.path, "--lm-eval", tmp_path / "out").refused(64, "of one model", "model-a, model-b")
    again = write_run(tmp_path / "again", [0.0])
    said("export", one.path, again.path, "--lm-eval", tmp_path / "out").refused(64, "two of the runs are of made_up")
    said("export", one.path, again.path, "--to", tmp_path / "t.csv").refused(64, "take one run, and 2 are given")
    (one.path / "results.json").unlink()
    said("export", one.path, "--lm-eval", tmp_path / "out").refused(65, "has not ended")


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [1.0])
    (tmp_path / "file").write_text("")
    said("export", run.path, "--lm-eval", tmp_path / "file" / "out").refused(74, "cannot be written")
