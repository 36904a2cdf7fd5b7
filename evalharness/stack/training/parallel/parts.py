"""What a process has of each parameter of a model that is split over several.

The model computes with what torch makes of its parameters, `DTensor`s or plain tensors. Optimizers and checkpoints see
plain tensors, a process's own part of each, in the same memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


@dataclass(frozen=True, slots=True)
class Part:
    """A parameter, as far as it is in this process."""

    name: str
    parameter: nn.Parameter
    """What the model computes with."""
    own: nn.Parameter
    """This process's part of it, a plain tensor; the parameter itself where that is whole."""
    region: tuple[slice, ...]
    """Where the part lies in the whole."""
    copies: int
    """Processes that have the same part."""

    @property
    def shape(self) -> torch.Size:
        """Of the whole."""
        return self.parameter.shape

    def put(self, whole: Tensor) -> None:
        """Take this process's part of new values."""
        with torch.no_grad():
            self.own.copy_(whole[self.region])

    def take_gradient(self) -> None:
        """Let the part have its part of the parameter's gradient."""
        gradient = self.parameter.grad
        if self.own is not self.parameter:
            self.own.grad = None if gradient is None else _local(gradient, self.parameter)  # type: ignore[arg-type]

    def drop_gradient(self) -> None:
        self.parameter.grad = self.own.grad = None

    def whole(self, own: Tensor) -> Tensor:
        """All of what the processes of this stage have parts of, where `own` is this one's: new memory, on its device.

        All of them call this at once.
        """
        from torch.distributed.tensor import DTensor, Replicate

        if not isinstance(self.parameter, DTensor):
            return own.detach().clone()
        like = self.parameter
        parts = DTensor.from_local(
            own.detach(),
            like.device_mesh,
            like.placements,
            run_check=False,
            shape=like.shape,
            stride=like.stride(),
        )
        # One axis after another: all at once would be the same, and torch warns of it.
        placements = list(like.placements)
        for axis in range(len(placements)):
            placements[axis] = Replicate()
            parts = parts.redistribute(placements=placements)
        gathered: Tensor = parts.to_local()
        alone = gathered.untyped_storage().data_ptr() == own.untyped_storage().data_ptr()
        return gathered.clone() if alone else gathered


def parts_of(named_parameters: Iterable[tuple[str, nn.Parameter]], processes: int) -> list[Part]:
    """Of a model, or a stage of one, that so many processes share."""
    return [_part(name, parameter, processes) for name, parameter in named_parameters]


def _part(name: str, parameter: nn.Parameter, processes: int) -> Part:
    from torch.distributed.tensor import DTensor
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    if not isinstance(parameter, DTensor):
        return Part(name, parameter, parameter, tuple(slice(size) for size in parameter.shape), processes)
    mesh, placements = parameter.device_mesh, parameter.placements
    shape, offset = compute_local_shape_and_global_offset(parameter.shape, mesh, placements)
    region = tuple(slice(begin, begin + size) for begin, size in zip(offset, shape, strict=True))
    cut = prod(mesh.size(axis) for axis, placement in enumerate(placements) if not placement.is_replicate())
    own = nn.Parameter(parameter.detach().to_local())  # type: ignore[attr-defined]
    return Part(name, parameter, own, region, processes // cut)


def _local(gradient: DTensor, parameter: DTensor) -> Tensor:
    if gradient.placements != parameter.placements:
        gradient = gradient.redistribute(placements=parameter.placements)
    return gradient.to_local()
