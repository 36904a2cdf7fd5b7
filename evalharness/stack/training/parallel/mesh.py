"""The processes of a training as a grid with an axis for each way that it is divided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalharness.stack.training.parallel.options import Division

if TYPE_CHECKING:
    import torch
    from torch.distributed.device_mesh import DeviceMesh

AXES = ("pipeline", "data", "tensor")
"""From the outermost on: the last one's processes have ranks side by side."""


def make_mesh(division: Division, device: torch.device) -> DeviceMesh:
    """All processes call this at once."""
    from torch.distributed.device_mesh import init_device_mesh

    sizes = (division.pipeline, division.data, division.tensor)
    return init_device_mesh(device.type, sizes, mesh_dim_names=AXES)
