"""`evalharness finetune`: trained, evaluated before and after, estimated, and refused in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.command import environment, said
from stack.adaptation.tiny_finetuning import User, chats, made, pairs, values, write_rows
from stack.training.fixtures import _training
from stack.training.tiny_pretraining import lines

from evalharness.cli.training_view import line

__all__ = ["_training"]

EVALUATED: dict[str, Any] = {
    "tasks": ["coin_flip", {"task": "coin_flip", "protocol": "three_people"}],
    "limit": 3,
    "chat": True,
    "shots": 0,
    "method": "direct",
    "set": {"decode": {"max_tokens": 2}},
    "gate": {"against": "before", "minimum_n": 2, "margin": 0.1, "stop": False},
}


@pytest.fixture
def base(here: Path) -> Path:
    return made(here)


def training(base: Path, changes: Mapping[str, Any] | None = None, **more: Any) -> Path:
    path = base / "tune.yaml"
    evaluation = {**(changes or {}), **more}.pop("evaluation", None)
    told = {key: value for key, value in {**(changes or {}), **more}.items() if key != "evaluation"}
    written = values(**{"steps": 4, "log_every": 2, **told})
    path.write_text(yaml.safe_dump({**written, **({"evaluation": evaluation} if evaluation else {})}))
    return path


@pytest.mark.usefixtures("_training")
def test_trained_and_told_and_a_second_time_does_nothing(base: Path) -> None:
    path = training(base, data={"validation": {"conversations": 3}})
    done = said("finetune", path).done()
    assert done.out.startswith("4 steps done, last loss ")
    told = done.err.splitlines()
    assert told[0].startswith("chats: 24 conversations of ")
    assert [each.split(":")[0] for each in told[1:]] == ["step 2/4", "step 4/4", "step 4/4"]
    again = said("finetune", path).done()
    assert again.out == done.out
    assert again.err.splitlines()[1:] == ["step 4/4: goes on from step-00000004"]
    assert (
        said("finetune", path, "-q", "--set", "folder=other", "--set", "epochs=0.5", "--set", "steps=0").done().err
        == ""
    )
    assert lines(base / "other" / "log.jsonl")[-1]["step"] < 8
    said("finetune", path, "-q", "--from", 3).refused(65, "no whole checkpoint of step 3; there are 4")


@pytest.mark.usefixtures("_training")
def test_evaluated_before_and_after_and_compared(base: Path) -> None:
    done = said("finetune", training(base, evaluation=EVALUATED)).done()
    rows = lines(base / "run" / "evaluations.jsonl")
    assert [row["step"] for row in rows] == [0, 4]
    assert [list(row["tasks"]) for row in rows] == [["coin_flip", "coin_flip:three_people"]] * 2
    assert "gate" not in rows[0]
    assert set(rows[1]["gate"]["against"]) == {"coin_flip", "coin_flip:three_people"}
    found = json.loads((base / "run" / "before_and_after.json").read_text())
    assert [(each["task"], each["n"]) for each in found] == [("coin_flip", 3), ("coin_flip:three_people", 3)]
    table = done.out.splitlines()
    assert table[0].split()[:4] == ["task", "metric", "baseline", "candidate"]
    assert table[2].startswith("coin_flip:three_people  exact_match")
    assert any(each.startswith("gate training: ") for each in table)
    report = (base / "run" / "report.html").read_text()
    assert "run: before and after" in report
    assert "coin_flip:three_people" in report
    # What a checkpoint is evaluated by is also what a user asks by.
    checkpoint = base / "run" / "checkpoints" / "step-00000004"
    said("run", "--task", "coin_flip", "--model", checkpoint, "--limit", 1, "--chat", "--quiet",
         "--set", "decode.max_tokens=2", "--shots", 0, "--method", "direct").done()  # fmt: skip


@pytest.mark.usefixtures("_training")
def test_pairs_are_told_of(base: Path) -> None:
    write_rows(base / "chats.jsonl", pairs(8))
    done = said("finetune", training(base, objective={"name": "dpo"}, data={"validation": {"conversations": 2}})).done()
    told = done.err.splitlines()
    assert told[0].startswith("chats: 8 pairs of ")
    assert told[1] == "The log-probabilities of 8 pairs by the reference are computed once, into reference.safetensors."
    assert ", accuracy " in told[2]
    assert ", margin " in told[2]
    assert ", accuracy " in told[-1]
    report = (base / "run" / "report.html").read_text()
    assert "Pairs told apart" in report


@pytest.mark.usefixtures("_training")
def test_a_dry_run_writes_nothing(base: Path) -> None:
    path = training(base, adapter={"rank": 2})
    before = set(base.rglob("*"))
    done = said("finetune", path, "--dry-run").done()
    assert set(base.rglob("*")) == before
    told = {row.split("  ")[0].strip(): row.split("  ")[-1].strip() for row in done.out.splitlines()[1:]}
    assert told["steps"] == "4 of 2 sequences"
    trained = next(row for row in done.out.splitlines() if row.startswith("  trained"))
    assert 0 < int(trained.split()[-1].replace(",", "")) < int(told["parameters"].replace(",", ""))
    assert any(row.startswith("memory ") for row in done.out.splitlines())


@pytest.mark.usefixtures("_training")
@pytest.mark.parametrize(
    ("changes", "code", "fragment"),
    [
        ({"model": "nothing"}, 64, "nothing: no such file or folder; known: smollm2."),
        ({"modle": "model"}, 65, "modle: unknown key; did you mean 'model'?"),
        ({"data": {"contxt": 3}}, 65, "data.contxt: unknown key; did you mean 'context'?"),
        ({"objective": {"name": "ppo"}}, 65, "objective.name: "),
        ({"adapter": {"rnak": 3}}, 65, "adapter.rnak: unknown key; did you mean 'rank'?"),
        ({"epochs": 2}, 65, "give steps or epochs, one of them."),
        ({"template": "chatml"}, 65, "template: 'chatml' is none; give own, plain, dialogue"),
        ({"data": {"context": 8}}, 65, "chats.jsonl:1: longer than the context of 8 tokens, the first of 24 that are"),
        ({"data": {"sources": [{"name": "a", "paths": ["b.jsonl"]}]}}, 65, "data.sources.a: "),
        ({"evaluation": {"tasks": "coin_flop"}}, 64, "evaluation: unknown task 'coin_flop'"),
        ({"evaluation": {**EVALUATED, "gate": {"against": "befor"}}}, 64, "minimum_n is 100"),
    ],
)
def test_a_training_that_cannot_be_is_refused(base: Path, changes: dict[str, Any], code: int, fragment: str) -> None:
    said("finetune", training(base, changes)).refused(code, fragment)
    assert not (base / "run").exists()


@pytest.mark.usefixtures("_training")
def test_a_row_without_an_answer_is_refused_with_its_place(base: Path) -> None:
    write_rows(base / "chats.jsonl", [*chats(2), {"messages": [User("one")]}])
    said("finetune", training(base)).refused(65, "chats.jsonl:3: no message is the assistant's")
    write_rows(base / "chats.jsonl", [*pairs(2), {**pairs(1)[0], "rejected": pairs(1)[0]["chosen"]}])
    said("finetune", training(base, objective={"name": "dpo"})).refused(
        65, "chats.jsonl:3: chosen and rejected are equal"
    )


def test_a_misspelt_key_is_told_before_torch_is_imported(here: Path) -> None:
    (here / "tune.yaml").write_text("modle: smollm2\n")
    program = (
        "import sys\nfrom evalharness.cli.finetune import read_options\nfrom pathlib import Path\n"
        "try:\n    read_options(Path(sys.argv[1]), [])\nexcept Exception as error:\n    print(error)\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(here / "tune.yaml")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert "did you mean 'model'?" in done.stdout
    assert done.stdout.endswith("False\n")


def test_lines_of_pairs() -> None:
    told = {"step": 2, "validation_loss": 0.5, "validation_accuracy": 0.75, "validation_margin": 0.25}
    assert line(told, 9) == "step 2/9: validation loss 0.5000, accuracy 75%, margin +0.250"
