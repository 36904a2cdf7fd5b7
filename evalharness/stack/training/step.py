"""One step of a training: the gradients of a global batch, and what the optimizers make of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from evalharness.stack.errors import TrainingError
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.processes import Processes


@dataclass(frozen=True, slots=True)
class Gradients:
    """What a global batch says."""

    loss: float
    """Mean over its targets, by their weights; without the z-loss."""
    norm: float
    """Of all gradients together, before they are clipped."""

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.norm)


def backward(
    model: nn.Module, batches: Sequence[Batch], processes: Processes, device: torch.device, clip: float | None
) -> Gradients:
    """Leave the gradient of the global batch's mean loss in the parameters, clipped to the norm `clip`.

    Every target counts by its weight, however targets lie among micro-batches and processes.

    Raises:
        TrainingError: no target of the batch has a weight.
    """
    weight = processes.sum(torch.stack([batch.weights_BT.sum() for batch in batches]).sum().to(device))
    total = torch.zeros((), device=device)
    for number, batch in enumerate(batches, 1):
        alone = number < len(batches) and isinstance(model, DistributedDataParallel)
        with model.no_sync() if alone else nullcontext():  # type: ignore[operator]
            losses, plain = model(batch.to(device))
            # Gradients are averaged over processes, and here they are to be added up.
            (losses * (processes.count / weight)).backward()
        total += plain
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    norm = nn.utils.clip_grad_norm_(parameters, math.inf if clip is None else clip)
    summed, targets, measured = torch.stack((processes.sum(total), weight, norm)).tolist()
    if not targets:
        raise TrainingError(
            "No token of a batch is learned, since all of it is prefix or begins a document; take larger batches, or a "
            "longer context (objective)."
        )
    return Gradients(summed / targets, measured)


def update(model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
    """Let the optimizers act on the gradients, which are gone afterwards."""
    for optimizer in optimizers:
        optimizer.step()
    model.zero_grad(set_to_none=True)


@torch.no_grad()
def mean_loss(model: nn.Module, batches: Sequence[Batch], processes: Processes, device: torch.device) -> float:
    """The mean loss of the targets of all processes' batches."""
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for batch in batches:
        plain: Tensor = model(batch.to(device))[1]
        sums += torch.stack((plain.double(), batch.weights_BT.sum().double().to(device)))
    loss, weight = processes.sum(sums).tolist()
    return loss / weight if weight else math.nan
