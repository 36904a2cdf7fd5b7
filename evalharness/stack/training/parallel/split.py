"""A model that is split over processes, and the parts that this one has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn

from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.parallel.gradients import clip_parts
from evalharness.stack.training.parallel.options import Division
from evalharness.stack.training.parallel.parts import parts_of
from evalharness.stack.training.parallel.pipeline import Pipeline
from evalharness.stack.training.parallel.sharded import shard
from evalharness.stack.training.parallel.stage import Stage, keep_stage
from evalharness.stack.training.parallel.tensor import OF_ALL_HEADS, split_tensors
from evalharness.stack.training.products import use_plain_products

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


class Split(nn.Module):
    """Takes the place of a `TrainingModel`, which is taken apart; its weights have no values yet (`Part.put`).

    Args:
        model: on the meta device.
        mesh: of all processes (`make_mesh`).
        dtype: of the products of matrices.
    """

    def __init__(
        self, model: TrainingModel, division: Division, mesh: DeviceMesh, device: torch.device, dtype: torch.dtype
    ) -> None:
        super().__init__()
        decoder, width = model.decoder, model.decoder.config.width
        self._tensor_group = mesh["tensor"].get_group() if division.tensor > 1 else None
        if division.tensor > 1:
            split_tensors(decoder, mesh["tensor"])
        if division.tensor > 1 or device.type == "cuda":
            # The products of layers side by side would keep copies of weights that are only lent.
            use_plain_products(decoder)
        self.runner: nn.Module = model
        self.pipeline: Pipeline | None = None
        if division.pipeline > 1:
            number, last = mesh["pipeline"].get_local_rank(), division.pipeline - 1
            keep_stage(decoder, number, division.pipeline)
            stage = Stage(model, device, first=number == 0, last=number == last)
            self.runner, self.pipeline = stage, Pipeline(stage, mesh["pipeline"], width, device)
        self._sharded = division.data > 1
        if self._sharded:
            shard(self.runner, decoder.blocks, mesh["data"], dtype)
        self.runner.to_empty(device=device)
        if decoder.config.tied_embeddings and not self._sharded:
            decoder.head.weight = decoder.embedding.weight  # else they are two from now on
        self.parts = parts_of(decoder.named_parameters(), division.data * division.tensor)
        self._of_all_heads = [part for part in self.parts if part.name.endswith(OF_ALL_HEADS)]

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """As the model's own; without gradients in a pipeline, where the losses that are told stand for both."""
        found: tuple[Tensor, Tensor]
        if self.pipeline is not None:
            losses = self.pipeline.losses(batch)
            found = losses, losses
        else:
            found = self.runner(batch)
        if self._sharded and not torch.is_grad_enabled():
            # Else what lies around the blocks would stay as it is now until the next backward pass.
            self.runner.reshard()  # type: ignore[operator]
        return found

    def clip(self, most: float | None) -> Tensor:
        """The norm of the gradients of all processes; afterwards each part has its gradient, clipped."""
        for part in self.parts:
            part.take_gradient()
        for part in self._of_all_heads if self._tensor_group is not None else ():
            distributed.all_reduce(part.own.grad, group=self._tensor_group)
        return clip_parts(self.parts, math.inf if most is None else most, self.parts[0].own.device)

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.drop_gradient()

    def named_parts(self) -> Iterator[tuple[str, Tensor]]:
        """What this process has of each parameter, as optimizers know it."""
        return ((part.name, part.own) for part in self.parts)
