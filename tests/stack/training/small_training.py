"""A training of a few hundred parameters that draws on every generator of random numbers.

As a program it goes on with the trainings in a folder: `small_training.py FOLDER STEPS KIND ...`.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from evalharness.stack.training.checkpoints import CheckpointStore, KeepOptions
from evalharness.stack.training.state import capture, restore

CLONE = Path(__file__).parents[3]
PATIENCE = 120
MUON: Any = getattr(torch.optim, "Muon", None)
KINDS = ("adamw", "adamw_bf16", "adafactor", *(["muon"] if MUON else []))


def environment() -> Mapping[str, str]:
    """This process's, with the clone and the tests' helpers where Python looks for modules."""
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(CLONE), str(CLONE / "tests")))}


def seed(value: int) -> None:
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


def write_weights(folder: Path, weights: Mapping[str, Tensor]) -> None:
    save_file(dict(weights), folder / "model.safetensors")


class Training:
    """A network with dropout; its inputs are of torch, numpy and Python."""

    def __init__(self, kind: str) -> None:
        self.model = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(0.3), nn.Linear(16, 4))
        if kind == "adamw_bf16":
            self.model.bfloat16()
        self.optimizers = optimizers(kind, self.named())

    def named(self) -> dict[str, nn.Parameter]:
        return dict(self.model.named_parameters())

    def weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.named().items()}

    def step(self) -> float:
        # randn and gauss draw in pairs and keep the second half, which is a part of their state.
        inputs = torch.randn(8, 6) + np.random.randn() + np.random.rand() + random.gauss(0, 1) + random.random()
        loss: Tensor = self.model(inputs.to(next(self.model.parameters()).dtype)).float().square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    def steps(self, count: int) -> list[float]:
        return [self.step() for _ in range(count)]

    def captured(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return capture(self.named().items(), self.optimizers)

    def restored(
        self, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> list[str]:
        self.model.load_state_dict(dict(weights))
        return restore(tensors, facts, self.named().items(), self.optimizers)


def optimizers(kind: str, named: Mapping[str, nn.Parameter]) -> list[Optimizer]:
    matrices = [each for each in named.values() if each.dim() == 2]
    vectors = [each for each in named.values() if each.dim() == 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": 0.1, "base_rate": 0.01},
        {"params": vectors, "weight_decay": 0.0, "base_rate": 0.02},
    ]
    if kind == "adafactor":
        return [torch.optim.Adafactor(groups, lr=0.01)]
    if kind == "muon":
        return [MUON(matrices, lr=0.01), torch.optim.AdamW(groups[1:], lr=0.02, fused=True)]
    return [torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), fused=True)]


def main(folder: Path, steps: int, kinds: list[str]) -> None:
    torch.set_num_threads(1)
    for kind in kinds:
        training, store = Training(kind), CheckpointStore(folder / kind, KeepOptions())
        newest = store.newest()
        assert newest is not None
        assert training.restored(load_file(newest / "model.safetensors"), *store.read_state(newest)) == []
        training.steps(steps)
        write_weights(folder / kind, training.weights())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
