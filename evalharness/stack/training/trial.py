"""How fast a model computes its gradients here: one micro-batch, tried."""

from __future__ import annotations

import time

import torch
from torch import nn

from evalharness.stack.training.objectives import AnyBatch


def seconds_of_a_pass(model: nn.Module, batch: AnyBatch, device: torch.device, times: int = 2) -> float:
    """The fastest of `times` forward and backward passes after one that prepares."""
    there = batch.to(device)
    return min([_pass(model, there, device) for _ in range(1 + times)][1:])


def _pass(model: nn.Module, batch: AnyBatch, device: torch.device) -> float:
    began = time.perf_counter()
    model(batch)[0].backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    model.zero_grad(set_to_none=True)
    return time.perf_counter() - began
