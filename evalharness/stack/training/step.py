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
from evalharness.stack.training.objectives import AnyBatch
from evalharness.stack.training.parallel.split import Split
from evalharness.stack.training.processes import Processes


@dataclass(frozen=True, slots=True)
class Gradients:
    """What a global batch says."""

    loss: float
    """Mean over its targets, by their weights; without the z-loss."""
    norm: float
    """Of all gradients together, before they are clipped."""
    measures: tuple[float, ...] = ()
    """Means of what else the model says of a batch."""

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.norm)


def backward(
    model: nn.Module, batches: Sequence[AnyBatch], processes: Processes, device: torch.device, clip: float | None
) -> Gradients:
    """Leave the gradient of the global batch's mean loss in the parameters, clipped to the norm `clip`.

    Every target counts by its weight, however targets lie among micro-batches and processes.
    The model gives the sum of a batch's losses with its gradient, and what is told of them without one: their sum, or a
    vector of it and of the sums of other measures.

    Raises:
        TrainingError: no target of the batch has a weight.
    """
    weight = processes.sum(torch.stack([batch.weight for batch in batches]).sum().to(device))
    # Gradients are averaged over processes, and here they are to be added up.
    scale = processes.readers / weight
    if isinstance(model, Split) and model.pipeline is not None:
        total = model.pipeline.backward(batches, scale)  # type: ignore[arg-type]
    else:
        total = _accumulate(model, batches, scale, device)
    norm = _clipped(model, clip)
    summed, *others, targets, measured = torch.cat((processes.sum(total), weight[None], norm[None])).tolist()
    if not targets:
        raise TrainingError(
            "No token of a batch is learned, since all of it is prefix or begins a document; take larger batches, or a "
            "longer context (objective)."
        )
    return Gradients(summed / targets, measured, tuple(other / targets for other in others))


def _accumulate(model: nn.Module, batches: Sequence[AnyBatch], scale: Tensor, device: torch.device) -> Tensor:
    """Add the gradients of the batches' losses times `scale`; the sums of what the model tells of them."""
    total = torch.zeros(1, device=device)
    for number, batch in enumerate(batches, 1):
        alone = number < len(batches) and isinstance(model, DistributedDataParallel)
        with model.no_sync() if alone else nullcontext():  # type: ignore[operator]
            losses, plain = model(batch.to(device))
            (losses * scale).backward()
        total = total + plain
    return total


def _clipped(model: nn.Module, most: float | None) -> Tensor:
    """The norm of the gradients, before they are clipped."""
    if isinstance(model, Split):
        return model.clip(most)
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    return nn.utils.clip_grad_norm_(parameters, math.inf if most is None else most)


def update(model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
    """Let the optimizers act on the gradients, which are gone afterwards."""
    for optimizer in optimizers:
        optimizer.step()
    model.zero_grad(set_to_none=True)


@torch.no_grad()
def mean_losses(
    model: nn.Module, batches: Sequence[AnyBatch], processes: Processes, device: torch.device, measures: int = 0
) -> list[float]:
    """The mean loss of the targets of all processes' batches, and the means of the model's other measures, so many."""
    model.eval()  # without dropout
    sums = torch.zeros(2 + measures, dtype=torch.float64, device=device)
    for batch in batches:
        plain: Tensor = model(batch.to(device))[1]
        sums += torch.cat((plain.double().reshape(-1), batch.weight.double().to(device)[None]))
    model.train()
    *summed, weight = processes.sum(sums).tolist()
    return [each / weight if weight else math.nan for each in summed]
