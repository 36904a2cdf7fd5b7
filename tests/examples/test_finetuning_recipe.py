"""The recipe of fine-tuning: its YAMLs are read, and its texts are what the tasks ask.

What comes of it takes a quarter of an hour, and is a long test.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from e2e.command import CLONE, environment, said

RECIPE = CLONE / "examples/sft-smollm2"


@pytest.fixture(scope="module")
def texts() -> ModuleType:
    spec = spec_from_file_location("recipe_sft_texts", RECIPE / "texts.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["sft", "dpo"])
def test_a_training_is_read(name: str) -> None:
    pytest.importorskip("torch", reason="options are checked by the stack, which needs torch")
    from evalharness.cli.finetune import read_options
    from evalharness.cli.pretrain_evaluation import EvaluationOptions
    from evalharness.options import parse_options
    from evalharness.stack.training.schedules import check_batch, rate_factor

    options, section = read_options(RECIPE / f"{name}.yaml", [])
    check_batch(options.batch, 1)
    assert 0 < rate_factor(options.schedule, 0, options.steps) < 1
    evaluation = parse_options(EvaluationOptions, section, name)
    assert evaluation.gate is not None
    assert evaluation.gate.against == "before"
    if name == "dpo":
        before, _ = read_options(RECIPE / "sft.yaml", [])
        assert options.model == f"{before.folder}/checkpoints/step-{before.steps:08d}"


def test_conversations_are_asked_as_the_task_asks(texts: ModuleType) -> None:
    """The words around the names, and the answer, are those of the task."""
    shown = said("tasks", "show", "coin_flip", "--method", "direct", "--shots", 0).done().out
    asked = shown.partition("Q: A coin is heads up.")[2].partition("Is the coin still heads up?\nA:")
    question, answer, _ = next(texts.coins(2))
    assert asked[1]
    assert question.startswith("Q: A coin is heads up. ")
    assert question.endswith(" Is the coin still heads up?\nA:")
    row = texts.chat(question, answer)
    assert row["messages"][1]["content"] == f"The answer is {answer}."
    assert texts.pair(question, "no")["rejected"] == "The answer is yes."


def test_names_are_those_of_nobody(
    texts: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    texts.write(tmp_path, 30, 20)
    assert capsys.readouterr().out.count("names that the tests have too: 0") == 2
    rows = [json.loads(line) for line in (tmp_path / "chats.jsonl").read_text().splitlines()]
    assert len(rows) == 30
    assert {row["messages"][1]["content"] for row in rows} == {"The answer is yes.", "The answer is no."}
    monkeypatch.setattr(texts, "_made_up", lambda stream: "Aaron")
    with pytest.raises(SystemExit, match="names to train on are those of the test: Aaron"):
        texts.write(tmp_path, 3, 3)


def test_the_other_task_is_one(texts: ModuleType) -> None:
    said("tasks", "validate", RECIPE / "capitals.yaml").done()
    rows = [json.loads(line) for line in (RECIPE / "capitals.jsonl").read_text().splitlines()]
    assert len({row["country"] for row in rows}) == len(rows) == 48


@pytest.mark.long
@pytest.mark.model
@pytest.mark.timeout(3000)
def test_the_coin_is_learned(tmp_path: Path) -> None:
    command = [sys.executable, RECIPE / "run.py", "--output", tmp_path]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = {row["task"]: row for row in json.loads((tmp_path / "sft/before_and_after.json").read_text())}
    assert found["coin_flip"]["verdict"] == "better"
    assert found["coin_flip"]["low"] > 0
    log = [json.loads(line) for line in (tmp_path / "dpo/log.jsonl").read_text().splitlines()]
    assert log[0]["loss"] == pytest.approx(0.693, abs=0.2)
    found = {row["task"]: row for row in json.loads((tmp_path / "dpo/before_and_after.json").read_text())}
    assert found["coin_flip:three_people"]["verdict"] == "better"
