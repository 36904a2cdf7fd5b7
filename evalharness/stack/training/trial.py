"""How fast a model computes its gradients here: one micro-batch of random tokens, tried."""

from __future__ import annotations

import time

import torch
from torch import nn

from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import Batch


def tokens_per_second(model: TrainingModel, sequences: int, length: int, device: torch.device, times: int = 2) -> float:
    """The fastest of `times` forward and backward passes after one that prepares."""
    random = torch.Generator().manual_seed(0)
    ids_BS = torch.randint(model.decoder.config.vocab_size, (sequences, length + 1), generator=random)
    batch = Batch(
        inputs_BT=ids_BS[:, :-1],
        targets_BT=ids_BS[:, 1:],
        weights_BT=torch.ones(sequences, length),
        positions=torch.arange(length),
        documents_BT=None,
        prefix_BT=None,
    ).to(device)
    seconds = [_pass(model, batch, device) for _ in range(1 + times)]
    return sequences * length / min(seconds[1:])


def _pass(model: nn.Module, batch: Batch, device: torch.device) -> float:
    began = time.perf_counter()
    model(batch)[0].backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    model.zero_grad(set_to_none=True)
    return time.perf_counter() - began
