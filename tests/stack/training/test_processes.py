"""Two processes train as one does, one of them speaks, and where one dies the other says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from stack.training.programs import program, require_alike
from stack.training.tiny_pretraining import corpus, lines

from evalharness.stack.errors import TrainingError
from evalharness.stack.training.processes import Processes, processes

PROGRAM = Path(__file__).with_name("parallel_training.py")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[dict[str, Any]]]]:
    folder = corpus(tmp_path_factory.mktemp("parallel"))
    done = program(PROGRAM, folder, "alone", "two", "died", "again", "asked")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_two_processes_train_as_one_does(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, ends = trained
    assert [end["code"] for end in ends["two"]] == [0, 0]
    require_alike(folder / "alone", folder / "two")


def test_only_the_first_evaluates(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, ends = trained
    first, second = (json.loads(end["said"]) for end in ends["two"])
    assert first == {"ending": "done", "step": 20, "asked": [10, 20]}
    assert second == {"ending": "done", "step": 20, "asked": []}
    assert [row["step"] for row in lines(folder / "two" / "evaluations.jsonl")] == [10, 20]


def test_where_one_dies_the_other_says_so_and_nothing_is_lost(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, ends = trained
    dead, other = ends["died"]
    assert (dead["code"], dead["said"]) == (-9, "")
    assert other["code"] == 65
    assert other["said"] == (
        "Rank 1: another process of this training died or was cut off; its own message says why. The checkpoints are "
        "whole: start the same command again, and it goes on.\n"
    )
    assert [end["code"] for end in ends["again"]] == [0, 0]
    require_alike(folder / "alone", folder / "died")


def test_a_signal_to_one_stops_both_at_the_same_step(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, ends = trained
    assert [json.loads(end["said"]) for end in ends["asked"]] == [
        {"ending": "asked", "step": 13, "asked": [10]},
        {"ending": "asked", "step": 13, "asked": []},
    ]
    assert max((folder / "asked" / "checkpoints").glob("step-*")).name == "step-00000013"


@pytest.mark.long
def test_torchrun(tmp_path: Path) -> None:
    folder = corpus(tmp_path)
    assert program(PROGRAM, folder, "alone").returncode == 0
    done = program(
        "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, PROGRAM, folder, "two"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    require_alike(folder / "alone", folder / "two")


def test_alone_is_one_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with processes("cpu") as here:
        assert (here, here.first) == (Processes(), True)
        assert here.sum(torch.ones(2)).tolist() == [1, 1]
        assert here.from_first({"a": 1}) == {"a": 1}
        here.wait()


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert Processes().device("auto") == torch.device("cpu")
    with pytest.raises(TrainingError, match=r"compute\.device: process 1 .* needs a GPU .* sees 0; take cpu"):
        Processes().device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Processes(1, 4, 1).device("auto") == torch.device("cuda", 1)
    with pytest.raises(TrainingError, match=r"process 3 of this machine needs a GPU of its own, and torch .* sees 2"):
        Processes(2, 4, 2).device("auto")
