"""The watch, over real checkpoints of a tiny model: each once, in order; one that cannot be run is broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from e2e.command import said

pytest.importorskip("transformers", reason="the tiny model is written by transformers")

GATE = """gate: own
minimum_n: 2
tasks:
  - {task: coin_flip, margin: 0.5}
"""


@pytest.fixture
def trainer(here: Path) -> Path:
    """A folder as a trainer leaves it: two checkpoints, of which the second is the first."""
    from e2e.tiny_model import train

    train(here / "out/checkpoint-10", steps=1)
    shutil.copytree(here / "out/checkpoint-10", here / "out/checkpoint-20")
    (here / "own.yaml").write_text(GATE)
    said(
        "run", "--task", "coin_flip", "--method", "direct", "--shots", 0, "--limit", 4, "--set", "decode.max_tokens=4",
        "--model", here / "out/checkpoint-10", "--output", "old", "--quiet",
    ).done()  # fmt: skip
    said("baseline", "save", "old", "--to", "kept").done()
    return here / "out"


def test_every_checkpoint_once(here: Path, trainer: Path) -> None:
    arguments = ["watch", trainer, "--baseline", "kept", "--gate", "own.yaml", "--once", "--settle", 0, "--quiet"]
    out = said(*arguments).done().out
    assert out.index("checkpoint-10") < out.index("checkpoint-20")
    lines = [json.loads(line) for line in (trainer / "trend.jsonl").read_text().splitlines()]
    assert [line["checkpoint"] for line in lines] == ["checkpoint-10", "checkpoint-20"]
    assert all(line["tasks"]["coin_flip"]["n"] == 4 for line in lines)
    assert said(*arguments).done().out == ""  # nothing new
    assert len((trainer / "trend.jsonl").read_text().splitlines()) == 2


def test_a_checkpoint_that_cannot_be_run_is_broken_and_the_watch_goes_on(here: Path, trainer: Path) -> None:
    config = trainer / "checkpoint-10/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 9}))
    ended = said("watch", trainer, "--baseline", "kept", "--gate", "own.yaml", "--once", "--settle", 0, "--quiet")
    assert ended.code == 4
    lines = [json.loads(line) for line in (trainer / "trend.jsonl").read_text().splitlines()]
    assert [line["verdict"] for line in lines] == ["broken", "ok"]


def test_a_folder_that_is_not_there(here: Path) -> None:
    (here / "own.yaml").write_text(GATE)
    said("watch", "nowhere", "--baseline", "kept", "--gate", "own.yaml").refused(64, "no such folder")
