"""Which checkpoint folders count as whole."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from evalharness.comparison.checkpoints import INDEX, finished, name_of, waiting

save_file = pytest.importorskip("safetensors.numpy", reason="checkpoints need safetensors").save_file
LONG_AGO = 1_700_000_000


def checkpoint(folder: Path, shards: int = 1) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    names = ["model.safetensors"] if shards == 1 else [f"model-{number}.safetensors" for number in range(shards)]
    for name in names:
        save_file({name: np.zeros(8, dtype=np.float32)}, folder / name)
    if shards > 1:
        (folder / INDEX).write_text(json.dumps({"weight_map": {name: name for name in names}}))
    aged(folder)
    return folder


def aged(folder: Path, seconds: float = LONG_AGO) -> None:
    for path in folder.iterdir():
        os.utime(path, (seconds, seconds))


@pytest.mark.parametrize("shards", [1, 3])
def test_a_whole_one(tmp_path: Path, shards: int) -> None:
    assert finished(checkpoint(tmp_path / "step-1", shards), settle=10)


def test_one_that_still_changes(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "step-1")
    aged(folder, time.time())
    assert not finished(folder, settle=10)
    assert finished(folder, settle=0)


def test_a_torn_weight_file(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "step-1")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    aged(folder)
    assert not finished(folder, settle=0)
    path.write_bytes(b"\xff" * 20)
    assert not finished(folder, settle=0)


def test_a_shard_that_is_not_there_yet(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "step-1", shards=2)
    (folder / "model-1.safetensors").unlink()
    assert not finished(folder, settle=0)


def test_each_once_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (1000, 200, 30):
        checkpoint(tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-5").mkdir()
    (tmp_path / "checkpoint-5/config.json").write_text("{}")  # weights have not come yet
    names = [name_of(path, tmp_path) for path in waiting(tmp_path, {"checkpoint-200"}, settle=1)]
    assert names == ["checkpoint-30", "checkpoint-1000"]
