"""What the backward pass needs of the forward pass: counted, not by a formula.

The pass runs on tensors without numbers in them (torch's fake tensors), and what autograd would save is added up, each
storage once and parameters left out. So it is right for any parts of a decoder, in fp32 and under autocast.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from evalharness.stack.architectures.blocks import Block, run_block
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.config import ModelConfig
from evalharness.stack.layers.attention import AttentionContext
from evalharness.stack.layers.experts import Experts
from evalharness.stack.layers.positions import Positions
from evalharness.stack.training.attention import BatchAttention


class Activations(NamedTuple):
    """Bytes that a forward pass leaves for the backward pass."""

    kept: int
    copies: int
    """Weights in bf16 that autocast holds until the end of the forward pass, besides those that are kept anyway."""
    again: int
    """The most that a block keeps which is computed again."""
    largest: int
    """The largest tensor."""


def activations(
    config: ModelConfig,
    sequences: int,
    length: int,
    dtype: torch.dtype = torch.float32,
    *,
    recompute: bool = False,
    documents: bool = False,
) -> Activations:
    """Of a pass of so many sequences from the embedding to the final norm.

    Args:
        dtype: of the products of matrices, by autocast.
        recompute: whether of blocks only their inputs are kept.
        documents: whether documents are told apart, which takes a mask for each sequence.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        decoder = Decoder(config)
        for module in decoder.modules():
            if isinstance(module, Experts):
                module.count_evenly = True
        kept, within = _Saved(), [_Saved() for _ in decoder.blocks]

        def run_again(
            block: Block, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext
        ) -> Tensor:
            for tensor in (x_TW, *at):
                kept.keep(tensor)
            with within[block.attention.layer].hooks():
                return run_block(block, x_TW, positions, at, context)

        ids_BT = torch.zeros(sequences, length, dtype=torch.long)
        context = BatchAttention(torch.zeros_like(ids_BT) if documents else None)
        with kept.hooks():
            x_BTW = decoder.embedding(ids_BT)
            hidden = decoder.stream(x_BTW, torch.arange(length), context, run_again if recompute else run_block)
            kept.keep(decoder.outputs(hidden))
        own = _Saved()
        for parameter in decoder.parameters():
            own.keep(parameter)
        blocks = [saved.sizes(without=(own, kept)) for saved in within]
        sizes = kept.sizes(without=(own,))
        return Activations(
            kept=sum(sizes),
            copies=dtype.itemsize * _matrices(decoder) if recompute and dtype != torch.float32 else 0,
            again=max(sum(block) for block in blocks),
            largest=max(size for group in (sizes, *blocks) for size in group),
        )


class _Saved:
    """Storages that autograd saves while the hooks are on."""

    def __init__(self) -> None:
        # A tensor that is held cannot lend its address to another one.
        self._tensors: dict[int, Tensor] = {}

    def hooks(self) -> torch.autograd.graph.saved_tensors_hooks:
        return torch.autograd.graph.saved_tensors_hooks(self.keep, lambda kept: kept)

    def keep(self, tensor: Tensor) -> Tensor:
        self._tensors[tensor.untyped_storage()._cdata] = tensor
        return tensor

    def sizes(self, without: Iterable[_Saved]) -> list[int]:
        """Bytes of each, but for those that others hold as well."""
        other = {place for saved in without for place in saved._tensors}
        return [tensor.untyped_storage().nbytes() for place, tensor in self._tensors.items() if place not in other]


def _matrices(decoder: Decoder) -> int:
    """Numbers of the blocks' matrices."""
    return sum(weight.numel() for weight in decoder.blocks.parameters() if weight.dim() == 2)
