"""Pipeline parallelism: micro-batches pass through stages of blocks, one in each process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed

from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.parallel.stage import Stage

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.pipelining import Schedule1F1B


class Pipeline:
    """The stages of a model, of which this process has one.

    Args:
        mesh: with one axis, the stages' processes.
        width: of the hidden states that go from stage to stage, in fp32.
    """

    def __init__(self, stage: Stage, mesh: DeviceMesh, width: int, device: torch.device) -> None:
        self.stage, self._mesh, self._width, self._device = stage, mesh, width, device
        self._schedule = cache(self._new_schedule)
        self._scale: Tensor | float = 1.0

    def backward(self, batches: Sequence[Batch], scale: Tensor) -> Tensor:
        """Add the gradients of the losses times `scale`; the sum of the losses that are told, in every stage.

        Batches are of one shape, and at least as many as stages.
        """
        schedule = self._schedule(len(batches), *batches[0].inputs_BT.shape)
        batches = [batch.to(self._device) for batch in batches]
        self.stage.begin(batches)
        self._scale = scale
        # The stages look at their batches; torch wants to divide something among them all the same.
        given = [torch.cat([batch.inputs_BT for batch in batches])] if self.stage.first else []
        target = torch.zeros(len(batches), device=self._device) if self.stage.last else None
        schedule.step(*given, target=target, return_outputs=False)
        return self._shared(torch.zeros(1, device=self._device), *self.stage.plain)

    @torch.no_grad()
    def losses(self, batch: Batch) -> Tensor:
        """The sum of the losses of a batch, in every stage."""
        ranks = self._mesh.mesh.tolist()
        place = self._mesh.get_local_rank()
        self.stage.begin([batch])
        x_BTW = torch.empty(*batch.inputs_BT.shape, self._width, device=self._device)
        if not self.stage.first:
            distributed.recv(x_BTW, ranks[place - 1])
        x_BTW = self.stage(x_BTW)
        if not self.stage.last:
            distributed.send(x_BTW, ranks[place + 1])
        return self._shared(torch.zeros(1, device=self._device), *self.stage.plain)

    def _shared(self, *losses: Tensor) -> Tensor:
        total = torch.stack([loss.reshape(1) for loss in losses]).sum(0)
        distributed.all_reduce(total, group=self._mesh.get_group())
        return total

    def _new_schedule(self, count: int, sequences: int, length: int) -> Schedule1F1B:
        from torch.distributed.pipelining import PipelineStage, Schedule1F1B

        hidden_BTW = torch.empty(sequences, length, self._width, device="meta", requires_grad=True)
        ids_BT = torch.empty(sequences, length, dtype=torch.long, device="meta")
        stage = PipelineStage(
            self.stage,
            self._mesh.get_local_rank(),
            self._mesh.size(),
            self._device,
            input_args=ids_BT if self.stage.first else hidden_BTW,
            output_args=torch.empty(1, device="meta", requires_grad=True) if self.stage.last else hidden_BTW,
            group=self._mesh.get_group(),
        )
        return Schedule1F1B(stage, count, loss_fn=self._loss, scale_grads=False)

    def _loss(self, losses: Tensor, _: Tensor) -> Tensor:
        return losses.sum() * self._scale
