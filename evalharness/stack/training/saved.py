"""What the backward pass needs of the forward pass: counted, not by a formula.

The pass runs on tensors without numbers in them (torch's fake tensors), and what autograd would save is added up, each
storage once and parameters left out. So it is right for any parts of a decoder, in fp32 and under autocast.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from evalharness.stack.architectures.blocks import Block, run_block
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig
from evalharness.stack.architectures.mamba import Mamba
from evalharness.stack.architectures.mamba_config import MambaConfig
from evalharness.stack.config import ModelConfig
from evalharness.stack.kernels.selective_scan.in_torch import numbers_again
from evalharness.stack.layers.attention import AttentionContext
from evalharness.stack.layers.experts import Experts
from evalharness.stack.layers.positions import Positions
from evalharness.stack.training import mamba_model
from evalharness.stack.training.attention import BatchAttention
from evalharness.stack.training.encoder_decoder_batches import EncoderDecoderBatch
from evalharness.stack.training.encoder_decoder_model import hidden_states, run, tensors_of


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
        context = BatchAttention(torch.zeros_like(ids_BT) if documents else None, masks=True)
        with kept.hooks():
            x_BTW = decoder.embedding(ids_BT)
            hidden = decoder.stream(x_BTW, torch.arange(length), context, run_again if recompute else run_block)
            kept.keep(decoder.outputs(hidden))
        return _counted(decoder, kept, within, dtype if recompute else torch.float32)


def encoder_decoder_activations(
    config: EncoderDecoderConfig,
    sequences: int,
    read: int,
    said: int,
    dtype: torch.dtype = torch.float32,
    *,
    recompute: bool = False,
) -> Activations:
    """As `activations`, of a pass of so many sequences, of each of which the encoder reads `read` tokens and the
    decoder says `said`."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        model = EncoderDecoder(config)
        kept = _Saved()
        within = {block: _Saved() for block in (*model.encoder.blocks, *model.decoder.blocks)}

        def run_again(block: nn.Module, x: Tensor, context: Any) -> Tensor:
            for tensor in (x, *tensors_of(context)):
                kept.keep(tensor)
            with within[block].hooks():
                return run(block, x, context)

        read_BS, said_BT = (torch.zeros(sequences, length, dtype=torch.long) for length in (read, said))
        batch = EncoderDecoderBatch(read_BS, read_BS, said_BT, said_BT, said_BT.float(), said_BT)
        with kept.hooks():
            kept.keep(hidden_states(model, batch, model.embedding, run_again if recompute else run))
        return _counted(model, kept, list(within.values()), dtype if recompute else torch.float32)


def mamba_activations(
    config: MambaConfig, sequences: int, length: int, dtype: torch.dtype = torch.float32, *, recompute: bool = False
) -> Activations:
    """As `activations`."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        model = Mamba(config)
        kept, within = _Saved(), {block: _Saved() for block in model.blocks}

        def run_again(block: nn.Module, x_BTW: Tensor, window_BKE: Tensor, space_BEN: Tensor) -> Tensor:
            for tensor in (x_BTW, window_BKE, space_BEN):
                kept.keep(tensor)
            with within[block].hooks():
                return mamba_model.run(block, x_BTW, window_BKE, space_BEN)

        ids_BT = torch.zeros(sequences, length, dtype=torch.long)
        with kept.hooks():
            run = run_again if recompute else mamba_model.run
            kept.keep(mamba_model.hidden_states(model, model.embedding(ids_BT), run))
        counted = _counted(model, kept, list(within.values()), dtype if recompute else torch.float32)
        scan = numbers_again(length, sequences * config.inner_width * config.state_size) * torch.float32.itemsize
        return counted._replace(again=counted.again + scan)


def _counted(model: nn.Module, kept: _Saved, within: Sequence[_Saved], copied: torch.dtype) -> Activations:
    """What was saved, outside of the blocks that are computed again and within each of them; `copied` is the dtype of
    the copies of the blocks' matrices that come on top, fp32 where there are none."""
    own = _Saved()
    for parameter in model.parameters():
        own.keep(parameter)
    blocks = [saved.sizes(without=(own, kept)) for saved in within]
    sizes = kept.sizes(without=(own,))
    return Activations(
        kept=sum(sizes),
        copies=copied.itemsize * _matrices(model) if copied != torch.float32 else 0,
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


def _matrices(model: nn.Module) -> int:
    """Numbers of the blocks' matrices."""
    named = model.named_parameters()
    return sum(weight.numel() for name, weight in named if weight.dim() == 2 and "blocks" in name.split("."))
