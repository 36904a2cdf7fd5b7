"""`evalharness pretrain`: trained, gone on with, estimated, and refused in one sentence."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from e2e.command import Process, environment, lines_in, said
from stack.training.fixtures import _training
from stack.training.tiny_pretraining import corpus, lines, losses, values
from tokenizers_for_tests import trained

from evalharness.cli.training_view import line
from evalharness.stack.training import loop

__all__ = ["_training"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def base(made: Path, here: Path) -> Path:
    shutil.copytree(made / "corpus", here / "corpus")
    return here


def training(base: Path, changes: Mapping[str, Any] | None = None, **more: Any) -> Path:
    path = base / "train.yaml"
    path.write_text(yaml.safe_dump(values(**{"steps": 6, **(changes or {}), **more})))
    return path


@pytest.mark.usefixtures("_training")
def test_a_training_is_told_and_a_second_time_does_nothing(base: Path) -> None:
    path = training(base, log_every=3)
    done = said("pretrain", path).done()
    last = lines(base / "run" / "log.jsonl")[-2]["loss"]
    assert done.out.startswith("6 steps done, last loss ")
    assert done.out.endswith(f"; {base / 'run' / 'report.html'}\n")
    assert (base / "run" / "report.html").is_file()
    told = done.err.splitlines()
    assert [each.split(":")[0] for each in told] == ["step 3/6", "step 5/6", "step 6/6", "step 6/6"]
    assert f"step 6/6: loss {last:.4f}, gradient norm " in told[2]
    assert "384 tokens" in told[2]
    assert "% of peak)" in told[2]
    assert "step 6/6: validation loss " in told[3]
    again = said("pretrain", path).done()
    assert again.out == done.out
    assert again.err == "step 6/6: goes on from step-00000006\n"
    assert said("pretrain", path, "--quiet").done().err == ""
    said("pretrain", path, "--from", 5, "--quiet").done()
    said("pretrain", path, "--from", 3).refused(65, "no whole checkpoint of step 3; there are 5, 6")


@pytest.mark.usefixtures("_training")
def test_options_are_set_in_the_command(base: Path) -> None:
    path = training(base, schedule={})
    said(
        "pretrain", path, "--set", "folder=other", "--set", "batch.sequences=8", "--set", "schedule.warmup=2", "-q"
    ).done()
    assert lines(base / "other" / "log.jsonl")[0]["sequences"] == 8
    assert lines(base / "other" / "log.jsonl")[0]["rate_factor"] == pytest.approx(1 / 3)
    said("pretrain", path, "--set", "seed").refused(64, "--set seed: give KEY=VALUE, as in --set batch.sequences=8.")
    said("pretrain", path, "--set", ".a=1").refused(64, "give KEY=VALUE")
    said("pretrain", path, "--set", "steps.a=1").refused(64, "'steps' has no keys in this YAML; set it as a whole.")
    said("pretrain", path, "--set", "steps=[1").refused(64, "'[1' is no value of YAML")
    said("pretrain", path, "--set", "stesp=1").refused(65, "stesp: unknown key; did you mean 'steps'?")


@pytest.mark.usefixtures("_training")
def test_a_dry_run_says_what_it_takes_and_writes_nothing(base: Path) -> None:
    path = training(base, batch={"ramp": [{"from_step": 3, "sequences": 8}]}, checkpoints={"every": 2})
    before = set(base.rglob("*"))
    done = said("pretrain", path, "--dry-run").done()
    assert set(base.rglob("*")) == before
    told = {row.split("  ")[0]: row.split("  ", 1)[1].strip() for row in done.out.splitlines() if row[0] != " "}
    said("pretrain", path).done()
    weights = base / "run" / "checkpoints" / "step-00000006" / "model.safetensors"
    from safetensors.torch import load_file

    there = sum(tensor.numel() for tensor in load_file(weights).values())
    assert told["parameters"] == f"{there:,}"
    assert told["tokens"] == f"{(3 * 4 + 3 * 8) * 16:,} in 36 sequences of 16"
    assert told["tokens"].startswith(f"{lines(base / 'run' / 'log.jsonl')[-2]['tokens']:,} in")
    assert told["corpus"].endswith(" sequences to train on, 6 for validation")
    state = weights.parent / "training" / "state.safetensors"
    size = (weights.stat().st_size + state.stat().st_size) / 1e3
    assert float(told["checkpoints"].split()[0]) == pytest.approx(size, rel=0.35)
    assert "with 3 kept" in told["checkpoints"]
    assert "tokens a second" in told["time as tried"]
    assert "measured on this machine" in told["peak"]


@pytest.mark.usefixtures("_training")
@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"batch": {"sequence": 3}}, "batch.sequence: unknown key; did you mean 'sequences'?"),
        ({"model": {"postions": "rope"}}, "model.postions: unknown key; did you mean 'positions'?"),
        ({"chekpoints": {}}, "chekpoints: unknown key; did you mean 'checkpoints'?"),
        ({"model": {"positions": "rop"}}, "did you mean 'rope'?"),
        ({"optimizer": [{"name": "adamw"}]}, "optimizer.0.rate: this key is required but missing."),
        ({"batch": {"sequences": 5}}, "batch: 5 sequences do not divide by 1 rank x 2 sequences at once = 2."),
        ({"data": {"context": 100_000}}, "no source fills one sequence of 100,001 tokens"),
        ({"data": {"corpus": "corpse"}}, "corpse: no finished corpus (no corpus.json)"),
        ({"schedule": {"warmup": 7}}, "schedule: 7 steps of warmup do not fit into a training of 6 steps."),
        ({"model": {"vocab_size": 100}}, "vocab_size"),
        ({"optimizer": [{"name": "muon", "rate": 0.1}]}, "muon is for matrices"),
        ({"validate_sequences": 7}, "validate_sequences is 7, but 6 are held out"),
    ],
)
def test_a_training_that_cannot_be_is_refused(base: Path, changes: dict[str, Any], fragment: str) -> None:
    said("pretrain", training(base, changes)).refused(65, fragment)
    assert not list(base.glob("run/checkpoints/*"))


@pytest.mark.usefixtures("_training")
def test_another_tokenizer_than_the_corpus_is_refused(base: Path) -> None:
    (base / "words").mkdir()
    trained().save(str(base / "words" / "tokenizer.json"))
    said("pretrain", training(base, tokenizer="words")).refused(
        65, "made with the tokenizer 'bytes'", "not the model's"
    )


@pytest.mark.usefixtures("_training")
def test_no_gpu(base: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    path = training(base, compute={"device": "cuda"})
    said("pretrain", path).refused(65, "compute.device: process 1 of this machine needs a GPU of its own", "take cpu")


@pytest.mark.usefixtures("_training")
def test_no_tensorboard(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if "tensorboard" in name.split(".")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    path = training(base, tensorboard=True)
    said("pretrain", path).refused(69, "'tensorboard', which is not installed", "evalharness[stack,training]")


@pytest.mark.usefixtures("_training")
def test_a_loss_that_is_no_number(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = loop.backward

    def backward(*arguments: Any) -> Any:
        gradients = original(*arguments)
        return loop.Gradients(float("nan"), gradients.norm)

    monkeypatch.setattr(loop, "backward", backward)
    ended = said("pretrain", training(base), "-q")
    ended.refused(65, "step 1: the loss is nan", "There is no checkpoint yet.")


@pytest.mark.usefixtures("_training")
def test_a_damaged_checkpoint(base: Path) -> None:
    path = training(base)
    said("pretrain", path, "-q").done()
    os.truncate(base / "run" / "checkpoints" / "step-00000006" / "training" / "state.safetensors", 100)
    said("pretrain", path).refused(65, "step-00000006 is damaged: training/state.safetensors has 100 bytes", "--from 5")


@pytest.mark.usefixtures("_training")
@pytest.mark.parametrize("beside", [True, False])
def test_a_full_disk_while_saving_keeps_the_checkpoint_before(
    base: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    import errno

    from evalharness.stack.training import checkpoints

    path = training(base, checkpoints={"every": 2, "beside": beside})
    original = checkpoints.write_json

    def write(file: Path, facts: Any) -> None:
        if "step-00000004" in str(file):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        original(file, facts)

    with monkeypatch.context() as full:
        full.setattr(checkpoints, "write_json", write)
        ended = said("pretrain", path, "-q")
    ended.refused(74, "the checkpoint of step 4 cannot be written (No space left on device)", "step-00000002, is whole")
    assert [each.name for each in (base / "run" / "checkpoints").iterdir()] == ["step-00000002"]
    said("pretrain", path, "-q").done()
    said("pretrain", path, "--set", "folder=whole", "-q").done()
    assert losses(base / "run") == losses(base / "whole")


def test_kill_saves_and_says_how_to_go_on(base: Path) -> None:
    path = training(base, steps=4000)
    ended = Process(base, "pretrain", path).when(lambda: lines_in(base / "run" / "log.jsonl") > 8, signal.SIGTERM)
    assert ended.code == 130, ended.err
    assert "It was asked to stop; start the same command again, and it goes on." in ended.out
    step = int(ended.out.split(" ")[0].replace(",", ""))
    assert 6 < step < 4000
    assert max((base / "run" / "checkpoints").glob("step-*")).name == f"step-{step:08d}"
    assert len(losses(base / "run")) == step


def test_a_misspelt_key_is_told_before_torch_is_imported(here: Path) -> None:
    path = training(here, bacth={})
    program = (
        "import sys\nfrom evalharness.cli.pretrain import read_options\nfrom pathlib import Path\n"
        "try:\n    read_options(Path(sys.argv[1]), [])\nexcept Exception as error:\n    print(error)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], env=environment(), capture_output=True, text=True, check=True
    )
    assert "did you mean 'batch'?" in done.stdout
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"step": 32, "event": "spike", "since": 31, "reason": "so"}, "step 32: a spike since step 31: so"),
        (
            {"step": 30, "event": "rewind", "from": 32, "left_out_sequences": 2400},
            "went back from step 32 to 30; 2,400 sequences are left out",
        ),
        ({"step": 30, "event": "note", "text": "Other GPUs."}, "step 30/60: Other GPUs."),
        (
            {
                "step": 20,
                "event": "evaluation",
                "tasks": {
                    "coin_flip": {"metrics": {"accuracy": {"value": 0.9, "low": 0.85, "high": 0.94}, "n": 9}},
                    "last_letters": {"metrics": {"exact_match": {"value": None, "low": None, "high": None}}},
                    "broken": {"error": "no data"},
                },
                "stop": "It fell.",
            },
            "step 20/60: coin_flip accuracy 0.900 [0.850, 0.940]; last_letters exact_match none; broken: no data; "
            "It fell.",
        ),
    ],
)
def test_lines_for_people(event: dict[str, Any], expected: str) -> None:
    assert line(event, 60) == expected
