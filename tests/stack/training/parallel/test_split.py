"""However a training is divided among its processes, it is the training of one process, and its checkpoints are too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from stack.training.programs import program, require_alike
from stack.training.tiny_pretraining import corpus, lines

from evalharness.stack.checkpoints.load import load_model

PROGRAM = Path(__file__).with_name("split_training.py")
DONE = {"ending": "done", "step": 20}
Ends = dict[str, list[dict[str, Any]]]


def run(folder: Path, *ways: str) -> Ends:
    done = program(PROGRAM, folder, *ways)
    assert done.returncode == 0, done.stderr
    ends: Ends = json.loads(done.stdout.splitlines()[-1])
    return ends


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ends]:
    folder = corpus(tmp_path_factory.mktemp("split"))
    return folder, run(
        folder, "alone", "sharded", "tensor", "pipeline", "one_after_sharded", "sharded_after_one", "dies"
    )


@pytest.mark.parametrize("way", ["sharded", "tensor", "pipeline", "one_after_sharded", "sharded_after_one"])
def test_losses_are_those_of_one_process(trained: tuple[Path, Ends], way: str) -> None:
    folder, ends = trained
    assert [json.loads(end["said"]).items() >= DONE.items() for end in ends[way]] == [True] * len(ends[way]), ends[way]
    require_alike(folder / "alone", folder / way)


@pytest.mark.parametrize("way", ["sharded", "tensor", "pipeline"])
def test_checkpoints_are_models_and_tensors_are_written_by_each(trained: tuple[Path, Ends], way: str) -> None:
    folder, _ = trained
    path, other = (folder / name / "checkpoints" / "step-00000020" for name in (way, "alone"))
    ours, theirs = load_model(path)[0].state_dict(), load_model(other)[0].state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].numpy() == pytest.approx(tensor.numpy(), abs=1e-4), name
    files = sorted(file.name for file in (path / "training").glob("*.safetensors"))
    assert files == ["state-00001-of-00002.safetensors", "state-00002-of-00002.safetensors"]
    first, second = (load_file(path / "training" / file) for file in files)
    assert len(second) > 5
    assert not first.keys() & second.keys()
    whole = load_file(other / "training" / "state.safetensors")
    assert {**first, **second}.keys() - whole.keys() == {f"random.1.{kind}" for kind in ("torch", "python", "numpy")}


def test_only_the_first_evaluates(trained: tuple[Path, Ends]) -> None:
    folder, ends = trained
    assert [json.loads(end["said"])["asked"] for end in ends["pipeline"]] == [[10, 20], []]
    assert [row["step"] for row in lines(folder / "pipeline" / "evaluations.jsonl")] == [10, 20]


def test_a_rank_that_dies_in_a_save(trained: tuple[Path, Ends]) -> None:
    folder, ends = trained
    first, dead = ends["dies"]
    assert (first["code"], dead["code"]) == (65, -9)
    assert first["said"].count("\n") == 1
    assert "another process" in first["said"]
    assert [path.name for path in (folder / "dies" / "checkpoints").iterdir()] == ["step-00000005"]


@pytest.mark.long
def test_a_rank_that_hangs_in_a_save_and_a_full_disk(tmp_path: Path) -> None:
    folder = corpus(tmp_path)
    ends = run(folder, "alone", "hangs", "full", "after_hangs", "after_full")
    first, other = ends["hangs"]
    assert (first["code"], other["code"]) == (65, 65)
    assert "another process has died or has not written its part within 0.0333333 minutes" in first["said"]
    first, other = ends["full"]
    assert (first["code"], other["code"]) == (65, 65)
    assert "step 10 cannot be written (No space left on device)" in first["said"] + other["said"]
    for name in ("hangs", "full"):
        assert [end["code"] for end in ends[f"after_{name}"]] == [0, 0]
        require_alike(folder / "alone", folder / name)


ALIKE = {
    "parts": (
        "sharded_parts",
        "tensor_parts",
        "pipeline_parts",
        "sharded_tensor_parts",
        "sharded_pipeline_parts",
        "tensor_pipeline_parts",
        "three_axes_parts",
    ),
    "rules": ("pipeline_rules",),
    "experts": ("sharded_experts", "tensor_experts"),
    "again": ("sharded_again",),
    "alone": ("pipeline_after_tensor",),
}
"""What is trained by one process, and in which ways by several."""


@pytest.mark.long
@pytest.mark.parametrize("alone", ALIKE)
def test_other_models_and_ways_together(tmp_path: Path, alone: str) -> None:
    folder = corpus(tmp_path)
    before = ("tensor",) if alone == "alone" else ()
    ends = run(folder, alone, *before, *ALIKE[alone])
    for way in ALIKE[alone]:
        assert {end["code"] for end in ends[way]} == {0}, ends[way]
        require_alike(folder / alone, folder / way)


@pytest.mark.long
def test_blocks_that_are_sent_in_bf16(tmp_path: Path) -> None:
    folder = corpus(tmp_path)
    run(folder, "narrow", "sharded_narrow")
    one, other = ([line["loss"] for line in lines(folder / way / "log.jsonl") if "loss" in line] for way in
                  ("narrow", "sharded_narrow"))  # fmt: skip
    assert other == pytest.approx(one, abs=2e-3)
