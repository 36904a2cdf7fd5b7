"""What a section of a training's YAML asks, found before any model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from runs_for_tests import write_run

from evalharness.errors import ServiceError
from evalharness.options import parse_options
from evalharness.run.training_evaluation import CheckpointEvaluation, Resolved, requests_for, resolve, scores_of


def section(**values: Any) -> CheckpointEvaluation:
    return parse_options(CheckpointEvaluation, {"every": 10, "tasks": "coin_flip", **values}, "evaluation")


def resolved(**values: Any) -> Resolved:
    return resolve(section(**values), Path())


def test_an_entry_goes_before_the_section(here: Path) -> None:
    tasks = ["parity", {"task": "coin_flip", "limit": 5, "shots": 1}, {"task": "reverse_list", "sample": 7}]
    found = resolved(tasks=tasks, sample=9, shots=3).tasks
    assert [(task.label, len(task.cell.samples), task.options.shots) for task in found] == [
        ("parity", 9, 3),
        ("coin_flip", 5, 1),
        ("reverse_list", 7, 3),
    ]


def test_a_suite_and_a_pattern(here: Path) -> None:
    suite = here / "few.yaml"
    suite.write_text(
        "suite: few\ndescription: Two tasks.\ntasks:\n"
        "  - coin_flip\n  - {task: coin_flip, protocol: four_people, sample: 3}\n"
    )
    found = resolved(tasks=["few.yaml"], shots=1).tasks
    assert [(task.label, len(task.cell.samples)) for task in found] == [
        ("coin_flip", 1000),
        ("coin_flip:four_people", 3),
    ]
    assert {len(task.cell.samples) for task in resolved(tasks=["few.yaml"], sample=4).tasks} == {4}
    assert [task.label for task in resolved(tasks=["coin_*"], limit=2).tasks] == ["coin_flip"]


def test_places_are_from_the_folder_of_the_yaml(here: Path, mirror: Path) -> None:
    folder = here / "configurations"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "name: mine\nversion: 1\nability: reasoning/symbolic\ndescription: Three rows.\n"
        "source: {paper: none, license: CC0-1.0, columns_from: rows.jsonl}\ndata: {file: rows.jsonl, split: test}\n"
        'prompt: {template: q_a, question: "{{ question }}", answer: "{{ answer }}"}\ntarget: "{{ answer }}"\n'
        "elicitation: {method: direct}\ndecode: {max_tokens: 4}\nanswer: {parser: number}\nmetrics: [exact_match]\n"
    )
    (folder / "rows.jsonl").write_text('{"question": "1+1", "answer": "2"}\n' * 3)
    (here / "data").mkdir()
    (task,) = resolve(section(tasks=["mine.yaml"], data_dir="../data"), folder).tasks
    assert (task.label, len(task.cell.samples)) == ("mine", 3)
    assert task.options.data_dir == folder / "../data"


def test_what_a_suite_lacks_is_left_out(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA")
    suite = here / "wide.yaml"
    suite.write_text(
        "suite: wide\ndescription: Two columns.\nlayout:\n  reasoning:\n"
        "    - {label: Coins, task: coin_flip}\n    - {label: Maths, task: gsm8k}\n"
    )
    found = resolved(tasks=[str(suite)], limit=3)
    assert [task.label for task in found.tasks] == ["coin_flip"]
    assert list(found.left_out) == ["gsm8k"]
    assert "gsm8k" in found.left_out["gsm8k"]
    with pytest.raises(ServiceError, match="no source has split"):
        resolved(tasks=["coin_flip", "gsm8k"], limit=3)


def test_a_checkpoint_is_asked_in_a_folder_for_each_task(here: Path) -> None:
    found = resolved(tasks=["coin_flip", {"task": "coin_flip", "protocol": "four_people"}], limit=2)
    requests = requests_for(found.tasks, Path("checkpoints/step-00000010"), Path("evaluations/step-00000010"))
    assert {label: options.output for label, options in requests.items()} == {
        "coin_flip": Path("evaluations/step-00000010/coin_flip"),
        "coin_flip:four_people": Path("evaluations/step-00000010/coin_flip-four_people"),
    }
    assert {options.model for options in requests.values()} == {("checkpoints/step-00000010",)}


def test_the_row_of_a_task(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"acc": [1.0, 0.0, None, 1.0], "other": [0.5, 0.5, 0.5, 0.5]})
    assert run.results is not None
    results = run.results.model_copy(update={"counts": {"errored": 1, "cut": 0}})
    told = scores_of(run, results, None)
    assert list(told["metrics"]) == ["acc", "other"]
    assert told["metrics"]["acc"]["value"] == pytest.approx(2 / 3)
    assert told["metrics"]["acc"]["n"] == 3
    assert told["metrics"]["acc"]["chance"] == 0.5  # of two choices
    assert "chance" not in told["metrics"]["other"]
    assert told["counts"] == {"errored": 1}
    assert scores_of(run, results, 0.25)["metrics"]["acc"]["chance"] == 0.25
