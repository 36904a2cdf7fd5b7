"""Tensor parallelism: each process computes a part of the heads, and of the inner numbers of the feed-forward layers.

Queries, keys, values, gates and ups are cut by outputs (columns of ``x W``), attention's output and downs by inputs
(rows), so that a layer needs one sum over the processes forward and one backward (Shoeybi et al. 2019, arXiv
1909.08053, section 3). Embedding, norms and vocabulary projection are whole in every process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.config import ModelConfig
from evalharness.stack.errors import TrainingError
from evalharness.stack.layers.attention import Attention
from evalharness.stack.layers.feedforward import FeedForward, GatedFeedForward

if TYPE_CHECKING:
    from torch import nn
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor.parallel import ParallelStyle

OF_ALL_HEADS = ("query_norm.weight", "key_norm.weight")
"""Parameters that are whole in every process, of whose gradients each finds the share of its own heads."""


def check_divides(config: ModelConfig, parts: int) -> None:
    """Raises:
    TrainingError: heads or feed-forward layers cannot be shared evenly.
    """
    for name, count in (("heads", config.heads), ("kv_heads", config.kv_heads), ("ffn_width", config.ffn_width)):
        if count % parts:
            raise TrainingError(
                f"parallel.tensor: {parts} processes cannot share {count:,} {name} evenly; take a number that divides "
                f"heads ({config.heads}), kv_heads ({config.kv_heads}) and ffn_width ({config.ffn_width:,})."
            )


def split_tensors(decoder: Decoder, mesh: DeviceMesh) -> None:
    """Cut the blocks' matrices, in place, for the processes of a mesh with one axis.

    Raises:
        TrainingError: as `check_divides`.
    """
    from torch.distributed.tensor import Replicate
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        PrepareModuleInput,
        RowwiseParallel,
        parallelize_module,
    )

    check_divides(decoder.config, mesh.size())

    def cut(layer: nn.Module, plan: dict[str, ParallelStyle]) -> None:
        parallelize_module(layer, mesh, plan, src_data_rank=None)

    # Side by side layers share one input, whose gradients are then summed once for all of them.
    def shared() -> ParallelStyle:
        return PrepareModuleInput(input_layouts=Replicate(), desired_input_layouts=Replicate())

    for layer in list(decoder.modules()):
        if isinstance(layer, Attention):
            columns = {f"qkv.{name}": ColwiseParallel() for name in ("query", "key", "value")}
            cut(layer, {"qkv": shared(), **columns, "output": RowwiseParallel()})
            layer.heads //= mesh.size()
            layer.kv_heads //= mesh.size()
        elif isinstance(layer, GatedFeedForward):
            columns = {f"gate_up.{name}": ColwiseParallel() for name in ("gate", "up")}
            cut(layer, {"gate_up": shared(), **columns, "down": RowwiseParallel()})
        elif isinstance(layer, FeedForward):
            cut(layer, {"up": ColwiseParallel(), "down": RowwiseParallel()})
    slopes = getattr(decoder.positions, "slopes", None)
    if slopes is not None:  # ALiBi has one for each head
        decoder.positions.slopes = slopes.chunk(mesh.size())[mesh.get_local_rank()]
