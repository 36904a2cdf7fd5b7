"""A training that goes on from its state does what it would have done, and another training's state is refused."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from stack.training import small_training
from stack.training.small_training import KINDS, PATIENCE, Training, environment, seed, write_weights
from torch import Tensor, distributed, nn

from evalharness.stack.errors import CheckpointError
from evalharness.stack.training.checkpoints import CheckpointStore, KeepOptions
from evalharness.stack.training.state import capture, restore


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def begun(kind: str, steps: int = 4) -> Training:
    seed(3)
    training = Training(kind)
    training.steps(steps)
    return training


@pytest.fixture(scope="module")
def continued(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """For each kind of optimizer the weights after 4 + 3 steps: uninterrupted, and the last 3 in a new process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder, expected = tmp_path_factory.mktemp("continued"), {}
    for kind in KINDS:
        training = begun(kind)
        store, weights = CheckpointStore(folder / kind, KeepOptions()), training.weights()
        store.save(4, lambda folder, weights=weights: write_weights(folder, weights), *training.captured())
        training.steps(3)
        expected[kind] = training.weights()
    command = [sys.executable, small_training.__file__, str(folder), "3", *KINDS]
    subprocess.run(command, env=environment(), check=True, timeout=PATIENCE)
    torch.set_num_threads(before)
    return {kind: (expected[kind], load_file(folder / kind / "model.safetensors")) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_process_goes_on_bit_for_bit(
    continued: dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]], kind: str
) -> None:
    assert same(*continued[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_going_back_in_memory_twice_gives_the_same_steps(kind: str) -> None:
    training = begun(kind)
    tensors, facts = training.captured()
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    weights = {name: weight.clone() for name, weight in training.weights().items()}
    expected = training.steps(3)
    for _ in range(2):
        assert training.restored(weights, tensors, facts) == []
        assert training.steps(3) == expected


@pytest.mark.parametrize("disturb", [torch.rand, np.random.rand, np.random.randn, random.random, random.gauss])
def test_each_generator_is_brought_back(disturb: Callable[..., object]) -> None:
    """The loss depends on each of them."""
    training = begun("adamw", steps=5)
    (tensors, facts), weights = training.captured(), training.weights()
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    weights = {name: weight.clone() for name, weight in weights.items()}
    losses = []
    for count in (0, 0, 1):
        training.restored(weights, tensors, facts)
        for _ in range(count):
            disturb(1) if disturb is torch.rand else disturb()
        losses.append(training.step())
    assert losses[0] == losses[1] != losses[2]


def test_tensors_keep_their_types_in_a_checkpoint(tmp_path: Path) -> None:
    training = begun("adamw_bf16")
    optimizer, weight = training.optimizers[0], training.named()["0.weight"]
    # Moments in fp32 of a bf16 weight, as an optimizer may keep them.
    precise = torch.full_like(weight, 1 + 2.0**-20, dtype=torch.float32)
    optimizer.state[weight]["exp_avg"] = precise
    store = CheckpointStore(tmp_path, KeepOptions())
    tensors, facts = store.read_state(store.save(1, lambda folder: None, *training.captured()))
    other = Training("adamw_bf16")
    restore(tensors, facts, other.named().items(), other.optimizers)
    state = other.optimizers[0].state
    assert state[other.named()["0.weight"]]["exp_avg"].dtype == torch.float32
    assert torch.equal(state[other.named()["0.weight"]]["exp_avg"], precise)
    assert state[other.named()["0.bias"]]["exp_avg"].dtype == torch.bfloat16
    assert state[other.named()["0.bias"]]["step"].dtype == torch.float32
    assert other.optimizers[0].param_groups[0]["betas"] == (0.9, 0.95)
    assert [group["base_rate"] for group in other.optimizers[0].param_groups] == [0.01, 0.02]


def test_values_that_are_no_tensors_and_rates_that_are(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(3))

    def made(rate: float) -> torch.optim.Optimizer:
        return torch.optim.SGD([weight], lr=torch.tensor(rate), momentum=0.0)  # type: ignore[arg-type]

    saved, other = made(0.5), made(0.25)
    saved.state[weight] = {"momentum_buffer": None}
    tensors, facts = capture([("weight", weight)], [saved])
    assert restore(tensors, facts, [("weight", weight)], [other]) == []
    assert other.state[weight] == {"momentum_buffer": None}
    assert other.param_groups[0]["lr"] == torch.tensor(0.5)


def test_an_option_that_changed_is_noted_and_the_checkpoint_holds() -> None:
    training = begun("adamw")
    tensors, facts = training.captured()
    for group in training.optimizers[0].param_groups:
        group["lr"] = 7.0
    training.optimizers[0].param_groups[1]["betas"] = (0.8, 0.9)
    assert restore(tensors, facts, training.named().items(), training.optimizers) == [
        "AdamW, group 2: betas is [0.9, 0.95] in the checkpoint, which holds, and (0.8, 0.9) in the configuration."
    ]
    assert training.optimizers[0].param_groups[1]["betas"] == (0.9, 0.95)
    assert training.optimizers[0].param_groups[1]["lr"] == 0.01


def adamw(*groups: list[nn.Parameter]) -> list[torch.optim.Optimizer]:
    return [torch.optim.AdamW([{"params": group} for group in groups])]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b, c: ({"a": a, "b": b}, adamw([a, b], [])), r"another model: it has c, which this model has not;"),
        (
            lambda a, b, c: ({"a": a, "x": b, "c": c}, adamw([a, b], [c])),
            r"it has b, which this model has not, and it lacks x;",
        ),
        (
            lambda a, b, c: ({"a": a, "b": b, "c": nn.Parameter(torch.ones(5))}, adamw([a, b], [c])),
            r"it has other shapes of c \(\[4\], here \[5\]\);",
        ),
        (lambda a, b, c: ({"a": a, "b": b, "c": c}, adamw([b, a], [c])), r"AdamW has group 1 in another order: "
         r"parameter 1 is a there and b here; give"),
        (lambda a, b, c: ({"a": a, "b": b, "c": c}, adamw([a], [c, b])), r"AdamW has b in group 1, and this "),
        (lambda a, b, c: ({"a": a, "b": b, "c": c}, adamw([a, b, c], [])), r"AdamW lacks c in group 1, which"),
        (lambda a, b, c: ({"a": a, "b": b, "c": c}, adamw([a, b, c])), r"AdamW has 2 groups .* and this training's 1;"),
        (
            lambda a, b, c: ({"a": a, "b": b, "c": c}, [torch.optim.SGD([a, b, c])]),
            r"with the optimizers AdamW, and this one has SGD;",
        ),
    ],
)  # fmt: skip
def test_another_training_is_told_by_what_differs(change: Callable[..., object], message: str) -> None:
    a, b, c = (nn.Parameter(torch.ones(size)) for size in (2, 3, 4))
    tensors, facts = capture({"a": a, "b": b, "c": c}.items(), adamw([a, b], [c]))
    named, optimizers = change(a, b, c)  # type: ignore[misc]
    with pytest.raises(CheckpointError, match=message) as told:
        restore(tensors, facts, named.items(), optimizers)
    assert "\n" not in str(told.value)


def test_many_names_are_counted() -> None:
    tensors, facts = capture([(f"layer.{n}", torch.ones(1)) for n in range(10)], [])
    with pytest.raises(CheckpointError, match=r"it has layer.0, layer.1, layer.2 and 7 more, which"):
        restore(tensors, facts, [], [])


def test_every_process_gets_its_own_random_state_back(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_rank, args=(rank, tmp_path)) for rank in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE)
    assert [child.exitcode for child in children] == [0, 0]
    store = CheckpointStore(tmp_path / "checkpoints", KeepOptions())
    notes = restore(*store.read_state(store.at(1)), [], [])
    assert notes == ["The checkpoint is of 2 processes and this training has 1: random numbers are drawn otherwise."]
    assert torch.rand(1) == load_file(tmp_path / "expected-0")["torch"]


def _rank(rank: int, folder: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    store = CheckpointStore(folder / "checkpoints", KeepOptions())
    seed(100 + rank)
    tensors, facts = capture([], [])
    expected = drawn()
    save_file(expected, folder / f"expected-{rank}")
    if rank == 0:
        store.save(1, lambda folder: None, tensors, facts)
    distributed.barrier()
    seed(0)
    assert restore(*store.read_state(store.at(1)), [], []) == []
    assert same(drawn(), expected)
    distributed.destroy_process_group()


def drawn() -> dict[str, Tensor]:
    numbers = np.random.rand(), random.random()
    return {"torch": torch.rand(1), "numpy": torch.tensor(numbers[0]), "python": torch.tensor(numbers[1])}
