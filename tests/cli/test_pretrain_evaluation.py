"""Checkpoints are evaluated by the harness as a training goes, once each, and the gate stops what has broken."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cli.speaking_model import changed, write
from e2e.command import CLONE, environment, lines_in
from runs_for_tests import write_run

from evalharness.cli.pretrain_evaluation import CheckpointEvaluator, evaluator_for
from evalharness.errors import DataError, EvalHarnessError, UsageError
from evalharness.records.folder import read_run
from evalharness.run.training_evaluation import evaluate, requests_for
from evalharness.stack.training.log import Lines

if TYPE_CHECKING:
    from evalharness.stack.training.loop import Evaluation

torch = pytest.importorskip("torch", reason="checkpoints are evaluated by the stack, which needs torch")

ASKED: dict[str, Any] = {
    "every": 100,
    "tasks": ["coin_flip", "last_letter_concatenation"],
    "sample": 8,
    "shots": 0,
    "method": "direct",
    "set": {"decode": {"max_tokens": 8}},
}
COINS = {**ASKED, "tasks": "coin_flip", "sample": 24}


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "speaking")


@pytest.fixture(scope="module")
def broken(speaking: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its output matrix is zero."""
    return changed(
        speaking, tmp_path_factory.mktemp("model") / "broken", lambda weights: weights["lm_head.weight"].zero_()
    )


def evaluator(here: Path, section: dict[str, Any]) -> CheckpointEvaluator:
    return evaluator_for(section, "train.yaml: evaluation", here, here / "training", last_step=250)


def at(asked: CheckpointEvaluator, step: int, checkpoint: Path) -> Evaluation:
    """The evaluation of a checkpoint and its row, as a training writes it."""
    found = asked(step, checkpoint)
    Lines(asked.folder.parent / "evaluations.jsonl").append({"step": step, **found.row, "stop": found.stop})
    return found


def runs_of(here: Path, step: int) -> Path:
    return here / f"training/evaluations/step-{step:08d}"


def test_a_step_is_due_every_so_often_and_at_the_end(here: Path) -> None:
    asked = evaluator(here, ASKED)
    assert [step for step in range(251) if asked.due(step)] == [100, 200, 250]
    assert not asked.stops


def test_a_checkpoint_is_evaluated_and_only_once(here: Path, speaking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = evaluator(here, ASKED)
    found = asked(100, speaking)
    coins = found.row["tasks"]["coin_flip"]["metrics"]["exact_match"]
    letters = found.row["tasks"]["last_letter_concatenation"]["metrics"]["exact_match"]
    assert coins["n"] == letters["n"] == 8
    assert coins["low"] < coins["value"] < coins["high"]
    assert letters["value"] == 0.0
    assert found.stop is None
    run = read_run(runs_of(here, 100) / "coin_flip")
    said = {line["completions"][0] for line in run.lines()}
    assert said == {" yes"}
    assert coins["value"] == sum(line["target"] == "yes" for line in run.lines()) / 8

    monkeypatch.setattr("evalharness.backends.stack.StackBackend.warm", lambda self: pytest.fail("weights are read"))
    again = asked(100, speaking)
    assert again.row["tasks"] == found.row["tasks"]


def test_a_killed_evaluation_goes_on(here: Path, speaking: Path) -> None:
    asked = evaluator(here, COINS)
    first = asked(100, speaking).row["tasks"]
    run = read_run(runs_of(here, 100) / "coin_flip")
    lines = run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(b"".join(lines[:15]) + lines[15][:30])
    (run.path / "results.json").unlink()
    run.write(run.record.model_copy(update={"state": "running", "finished": None}))
    assert asked(100, speaking).row["tasks"] == first
    assert run.journal.read_bytes().splitlines(keepends=True)[:15] == lines[:15]


def test_a_checkpoint_that_was_written_anew_is_evaluated_anew(here: Path, speaking: Path, broken: Path) -> None:
    asked = evaluator(here, COINS)
    assert asked(100, broken).row["tasks"]["coin_flip"]["metrics"]["exact_match"]["value"] == 0.0
    assert asked(100, speaking).row["tasks"]["coin_flip"]["metrics"]["exact_match"]["value"] > 0.2


def test_a_checkpoint_that_cannot_be_read_is_told_and_stops_nothing(here: Path, speaking: Path) -> None:
    torn = shutil.copytree(speaking, here / "torn")
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    found = evaluator(here, {**COINS, "gate": {"floor": {"coin_flip": 1.0}}})(100, torn)
    assert "model.safetensors" in found.row["tasks"]["coin_flip"]["error"]
    assert found.stop is None


# --------------------------------------------------------------------------- the training goes on


def train(steps: int, between: Any) -> list[torch.Tensor]:
    """A training with dropout, evaluated after half of its steps."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Dropout(0.5), torch.nn.Linear(64, 64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(steps):
        if step == steps // 2:
            between()
        optimizer.zero_grad()
        model(torch.randn(32, 64)).square().mean().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.fixture
def deterministic() -> Iterator[None]:
    """As a training sets torch; one thread, so that busy machines lose no time at barriers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def test_the_training_goes_on_bit_for_bit(
    here: Path, speaking: Path, deterministic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawing(requests: Any) -> Any:
        torch.rand(3)  # as a metric of the user's own may
        return evaluate(requests)

    monkeypatch.setattr("evalharness.cli.pretrain_evaluation.evaluate", drawing)
    plain = train(6, lambda: None)
    asked = evaluator(here, ASKED)
    evaluated = train(6, lambda: asked(100, speaking))
    assert all(torch.equal(one, other) for one, other in zip(plain, evaluated, strict=True))
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_grad_enabled()


# --------------------------------------------------------------------------- another process


def test_in_another_process(here: Path, speaking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    here_row = evaluator(here, ASKED)(100, speaking).row["tasks"]
    other = evaluator(here, {**ASKED, "process": "other"})
    shutil.rmtree(runs_of(here, 100))
    monkeypatch.setattr("evalharness.cli.pretrain_evaluation.evaluate", lambda requests: pytest.fail("in this process"))
    assert other(100, speaking).row["tasks"] == here_row


def test_a_process_that_crashes_harms_nothing(here: Path, speaking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = evaluator(here, {**COINS, "process": "other"})
    program = here / "python"
    program.write_text("#!/bin/sh\necho out of memory >&2\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    told = asked(100, speaking).row["tasks"]["coin_flip"]
    assert told == {"error": "its process ended with signal SIGKILL: out of memory"}


@pytest.mark.long
def test_the_process_ends_with_the_training_and_is_gone_on_with(here: Path, speaking: Path) -> None:
    asked = evaluator(here, {**COINS, "sample": 300, "batch_tokens": 512})
    requests = requests_for(asked.tasks, speaking, runs_of(here, 100))
    line = json.dumps({label: options.model_dump(mode="json") for label, options in requests.items()})
    journal = runs_of(here, 100) / "coin_flip/samples.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "evalharness.run.evaluation_process"], stdin=subprocess.PIPE, env=environment()
    )
    assert process.stdin is not None
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()
    give_up = time.monotonic() + 60
    while not lines_in(journal) and time.monotonic() < give_up:
        time.sleep(0.002)
    process.stdin.close()  # as where the training is killed
    assert process.wait(timeout=60) == 75
    kept = journal.read_bytes().splitlines(keepends=True)[: lines_in(journal)]
    assert 0 < len(kept) < 300
    assert asked(100, speaking).row["tasks"]["coin_flip"]["metrics"]["exact_match"]["n"] == 300
    assert journal.read_bytes().splitlines(keepends=True)[: len(kept)] == kept


# --------------------------------------------------------------------------- the gate


@pytest.mark.parametrize("against", ["previous", "best"])
def test_the_gate_stops_a_broken_checkpoint_and_not_the_same_one(
    here: Path, speaking: Path, broken: Path, against: str
) -> None:
    asked = evaluator(here, {**COINS, "gate": {"against": against, "minimum_n": 24}})
    assert asked.stops
    first = at(asked, 100, speaking)
    assert first.row["gate"] == {"verdict": "ok", "reasons": []}
    assert (first.stop, at(asked, 200, speaking).stop) == (None, None)
    found = at(asked, 300, broken)
    assert found.row["gate"]["verdict"] == "worse"
    assert found.row["gate"]["against"]["coin_flip"]["n"] == 24
    assert found.stop is not None
    assert found.stop.startswith("The gate at step 300: coin_flip: exact_match is 0, worse than the ")
    again = at(asked, 400, broken)
    assert (again.stop is None) == (against == "previous")


def test_noise_on_the_weights_is_seen(here: Path, speaking: Path) -> None:
    def noise(weights: dict[str, Any]) -> None:
        weight = weights["lm_head.weight"]
        weight += torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))

    asked = evaluator(here, {**COINS, "gate": {"against": "previous", "minimum_n": 24}})
    assert at(asked, 100, speaking).stop is None
    assert at(asked, 200, changed(speaking, here / "noisy", noise)).stop is not None


def test_the_floor(here: Path, speaking: Path, broken: Path) -> None:
    asked = evaluator(here, {**COINS, "gate": {"floor": {"coin_flip": 0.3}, "after": 200, "stop": False}})
    assert not asked.stops
    assert at(asked, 100, broken).stop is None
    assert at(asked, 200, speaking).stop is None
    found = at(asked, 250, broken)
    assert found.stop is not None
    assert found.stop.startswith("The gate at step 250: coin_flip: exact_match is 0, at most 0.138")
    assert found.stop.endswith(", below the floor of 0.3.")
    assert found.row["gate"]["verdict"] == "worse"


def test_a_run_from_elsewhere(here: Path, speaking: Path, broken: Path) -> None:
    evaluator(here, COINS)(100, speaking)
    shutil.move(runs_of(here, 100), here / "kept")
    asked = evaluator(here, {**COINS, "gate": {"against": "kept", "minimum_n": 24, "sequential": True}})
    assert at(asked, 100, speaking).stop is None
    assert at(asked, 200, broken).stop is not None


def test_a_checkpoint_that_the_training_went_back_behind_is_no_baseline(
    here: Path, speaking: Path, broken: Path
) -> None:
    asked = evaluator(here, {**COINS, "gate": {"against": "previous", "minimum_n": 24}})
    at(asked, 100, broken)
    asked(150, speaking)  # its row was dropped
    assert at(asked, 200, broken).stop is None


# --------------------------------------------------------------------------- before training begins


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"tasks": ["coin_flp"]}, "did you mean 'coin_flip'?"),
        ({"taks": ["coin_flip"]}, "taks: unknown key; did you mean 'tasks'?"),
        ({"tasks": [{"task": "coin_flip", "protocl": "four_people"}]}, "did you mean 'protocol'?"),
        ({"tasks": [{"task": "coin_flip", "protocol": "five_people"}]}, "no protocol 'five_people'"),
        ({"tasks": ["coin_flip", {"task": "coin_flip", "shots": 2}]}, "coin_flip is asked for twice"),
        ({"tasks": []}, "tasks: "),
        ({"every": 0}, "every: "),
        ({"limit": 3}, "limit and sample exclude each other"),
        ({"data_dir": "nowhere", "tasks": "gsm8k"}, "nowhere"),
        ({"chance": {"gsm8k": 0.5}}, "chance: gsm8k is not evaluated"),
        ({"gate": {"floor": {"coin_flop": 0.5}}}, "gate.floor: coin_flop is not evaluated; did you mean 'coin_flip'?"),
        ({"gate": {}}, "give floor, against, or both"),
        ({"gate": {"against": "previous"}}, "coin_flip has 8 samples and minimum_n is 100"),
        ({"gate": {"against": "runs/none", "minimum_n": 8}}, "runs/none: no such run, baseline or folder"),
        ({"gate": {"against": "made", "minimum_n": 8}}, "made has no run or baseline of last_letter_concatenation"),
        ({"gate": {"against": "other", "minimum_n": 8}, "tasks": "coin_flip"}, "other asked coin_flip otherwise"),
    ],
)
def test_a_faulty_section_is_one_sentence(here: Path, section: dict[str, Any], sentence: str) -> None:
    if section.get("gate", {}).get("against") in ("made", "other"):
        (task,) = evaluator(here, COINS).tasks
        write_run(here / "other", [1.0] * 24, task="coin_flip")
        run = write_run(here / "made", [1.0] * 24, task="coin_flip", ids=[sample.id for sample in task.cell.samples])
        run.write(run.record.model_copy(update={"hashes": {**run.record.hashes, **task.cell.hashes}}))
    with pytest.raises(EvalHarnessError) as told:
        evaluator(here, {**ASKED, **section})
    assert isinstance(told.value, DataError | UsageError)
    assert str(told.value).startswith("train.yaml: evaluation: ")
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)


def test_the_example_of_the_documentation_is_one(here: Path) -> None:
    text = (CLONE / "docs/pretraining.md").read_text(encoding="utf-8")
    (example,) = [
        block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if block.startswith("evaluation:")
    ]
    asked = evaluator(here, yaml.safe_load(example)["evaluation"])
    assert [task.label for task in asked.tasks] == ["coin_flip", "coin_flip:four_people"]


def test_another_protocol_has_a_name_of_its_own(here: Path) -> None:
    asked = evaluator(
        here, {**ASKED, "tasks": ["coin_flip", {"task": "coin_flip", "protocol": "four_people", "limit": 3}]}
    )
    assert [(task.label, task.folder, len(task.cell.samples)) for task in asked.tasks] == [
        ("coin_flip", "coin_flip", 8),
        ("coin_flip:four_people", "coin_flip-four_people", 3),
    ]


def test_rows_are_json(here: Path, speaking: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    found = evaluator(here, {**ASKED, "gate": {"floor": {"coin_flip": 0.1}}})(100, speaking)
    assert json.loads(json.dumps(found.row, allow_nan=False)) == found.row
    assert os.listdir(here / "training") == ["evaluations"]
    assert signal.getsignal(signal.SIGINT) is before
