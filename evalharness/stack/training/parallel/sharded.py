"""Sharded data parallelism: FSDP2 for each block and for what is around them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def shard(model: nn.Module, blocks: Iterable[nn.Module], mesh: DeviceMesh, dtype: torch.dtype) -> None:
    """Let each process of a mesh with one axis keep a part of every parameter, in place.

    A block's weights are gathered before it is computed, and again before its gradients are; those around the blocks
    stay from the first to the last moment of a pass. Gradients are averaged over the processes, in fp32.

    Args:
        dtype: what the blocks' weights are sent in. Products are computed in it anyway; the blocks' norms are rounded
            to it. What is around the blocks is sent in fp32.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    narrow = None if dtype == torch.float32 else dtype
    policy = MixedPrecisionPolicy(param_dtype=narrow, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    around = MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False)
    fully_shard(model, mesh=mesh, mp_policy=around)
