"""A checkpoint that is written beside the training holds what was there when it was asked for."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from stack.training.small_training import PATIENCE, Training, seed, write_weights
from torch import Tensor

from evalharness.stack.errors import CheckpointError
from evalharness.stack.training.checkpoints import CheckpointStore, KeepOptions, step_of
from evalharness.stack.training.saving import Saver


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints", KeepOptions())


class HeldWriter:
    """Writes when it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.given: Mapping[str, Tensor] = {}

    def __call__(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        assert self.let.wait(PATIENCE)
        self.given = weights
        write_weights(folder, weights)


def test_the_training_goes_on_and_the_checkpoint_is_of_the_moment_before(store: CheckpointStore) -> None:
    seed(5)
    training, saver, write = Training("adamw"), Saver(store), HeldWriter()
    training.steps(3)
    weights = {name: weight.clone() for name, weight in training.weights().items()}
    tensors, facts = training.captured()
    kept = {name: tensor.clone() for name, tensor in tensors.items()}
    facts["cursor"] = [3]
    saver.save(3, write, training.weights(), tensors, facts)
    facts["cursor"].append("later")
    training.steps(2)
    assert not any(torch.equal(weight, weights[name]) for name, weight in training.weights().items())
    assert store.newest() is None
    write.let.set()
    saver.wait()
    path = store.at(3)
    saved, (read, known) = load_file(path / "model.safetensors"), store.read_state(path)
    assert known["cursor"] == [3]
    assert all(torch.equal(saved[name], weight) for name, weight in weights.items())
    assert read.keys() == kept.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in kept.items())


def test_one_checkpoint_is_written_at_a_time(store: CheckpointStore) -> None:
    saver, events, let = Saver(store), [], threading.Event()

    def write(folder: Path, weights: Mapping[str, Tensor]) -> None:
        events.append(f"begun {folder.name}")
        assert let.wait(PATIENCE)
        events.append(f"written {folder.name}")

    saver.save(1, write, {}, {}, {})
    threading.Timer(0.05, let.set).start()
    saver.save(2, write, {}, {}, {})
    assert store.at(1) in store.whole()
    saver.wait()
    assert events == [f"{what} step-0000000{step}.partial" for step in (1, 2) for what in ("begun", "written")]
    assert [step_of(path) for path in store.whole()] == [1, 2]


@pytest.mark.parametrize("beside", [False, True])
def test_only_what_is_written_beside_is_copied(store: CheckpointStore, beside: bool) -> None:
    saver, write = Saver(store, beside=beside), HeldWriter()
    write.let.set()
    turned = torch.arange(12.0).reshape(3, 4).T.requires_grad_()
    weights = {"whole": torch.ones(5), "turned": turned}
    saver.save(1, write, weights, {"tensor": turned}, {})
    saver.wait()
    assert (write.given["whole"].data_ptr() == weights["whole"].data_ptr()) != beside
    assert torch.equal(load_file(store.at(1) / "model.safetensors")["turned"], turned)
    assert torch.equal(store.read_state(store.at(1))[0]["tensor"], turned)


def test_at_once_it_waits_for_the_writer(store: CheckpointStore) -> None:
    saver = Saver(store, beside=False)
    saver.save(1, lambda folder, weights: time.sleep(0.05), {}, {}, {})
    assert saver.seconds >= 0.05
    assert store.newest() == store.at(1)


def fail(folder: Path, weights: Mapping[str, Tensor]) -> None:
    raise PermissionError(13, "Permission denied", "tokenizer.json")


def test_an_error_of_the_thread_is_told_once_at_the_next_call(store: CheckpointStore) -> None:
    saver = Saver(store)
    told = (
        r"step 1 cannot be written \(Permission denied: tokenizer.json\); mend that and resume: there is none before it"
    )
    saver.save(1, fail, {}, {}, {})
    with pytest.raises(CheckpointError, match=told):
        saver.wait()
    saver.wait()
    saver.save(1, fail, {}, {}, {})
    with pytest.raises(CheckpointError, match=told):
        saver.save(2, write_weights, {}, {}, {})
    saver.save(2, write_weights, {}, {}, {})
    saver.wait()
    assert [step_of(path) for path in store.whole()] == [2]
    with pytest.raises(CheckpointError, match="step 3 cannot be written"):
        Saver(store, beside=False).save(3, fail, {}, {}, {})


def test_killed_while_it_is_written_the_one_before_is_there(store: CheckpointStore, tmp_path: Path) -> None:
    Saver(store, beside=False).save(1, write_weights, {"x": torch.ones(3)}, {}, {"step": 1})
    process = os.fork()
    if process == 0:

        def write(folder: Path, weights: Mapping[str, Tensor]) -> None:
            (folder / "model.safetensors").write_text("the first half")
            (tmp_path / "writing").touch()
            time.sleep(PATIENCE)

        Saver(store).save(2, write, {"x": torch.ones(3)}, {}, {"step": 2})
        time.sleep(PATIENCE)
        os._exit(0)
    while not (tmp_path / "writing").exists():
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    newest = store.newest()
    assert newest == store.at(1)
    assert store.read_state(newest)[1] == {"step": 1}
    assert (store.folder / "step-00000002.partial" / "model.safetensors").read_text() == "the first half"
    store.remove_leftovers()
    assert [path.name for path in store.folder.iterdir()] == ["step-00000001"]
