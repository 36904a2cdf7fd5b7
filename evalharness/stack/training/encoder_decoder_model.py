"""What computes the loss of a batch for an encoder-decoder.

Letters in names: B sequences, S tokens that the encoder reads, T that the decoder says, W width, H heads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from evalharness.stack.architectures.encoder_decoder import EncoderDecoder, WholeTexts
from evalharness.stack.corpus.packing import PADDING
from evalharness.stack.training.encoder_decoder_batches import EncoderDecoderBatch
from evalharness.stack.training.whole_model import WholeTrainingModel


class EncoderDecoderTrainingModel(WholeTrainingModel):
    """An encoder-decoder and its loss."""

    def _hidden_of(self, batch: EncoderDecoderBatch) -> Tensor:
        return hidden_states(self.model, batch, self._embedded, run_again if self._recompute else run)


def run(block: nn.Module, x: Tensor, context: Any) -> Tensor:
    """A block as it is."""
    return block(x, context)  # type: ignore[no-any-return]


def run_again(block: nn.Module, x: Tensor, context: Any) -> Tensor:
    """Keep only the block's input, and compute the block again in the backward pass."""
    found: Tensor = checkpoint(block, x, context, use_reentrant=False, preserve_rng_state=False)
    return found


RunBlock = Callable[[nn.Module, Tensor, Any], Tensor]


def hidden_states(
    model: EncoderDecoder, batch: EncoderDecoderBatch, embed: Callable[[Tensor], Tensor], run: RunBlock = run
) -> Tensor:
    """What the vocabulary projection is multiplied by, [B, T, W]: `EncoderDecoder.forward` for sequences of several
    documents; `run` says how each block is run."""
    read, said = batch.read_BS.shape[1], batch.inputs_BT.shape[1]
    read_BSW = embed(batch.read_BS)
    bias_BHSS = _hiding(model.encoder.positions(0, read, read), batch.read_documents_BS, batch.read_documents_BS)
    for block in model.encoder.blocks:
        read_BSW = run(block, read_BSW, bias_BHSS)
    read_BSW = model.encoder.norm(read_BSW)
    context = WholeTexts(
        [block.cross_attention.keys_and_values(read_BSW) for block in model.decoder.blocks],  # type: ignore[operator,union-attr]
        _hiding(model.decoder.positions(0, said, said), batch.documents_BT, batch.documents_BT),
        _hiding(read_BSW.new_zeros(1), batch.documents_BT, batch.read_documents_BS),
    )
    x_BTW = embed(batch.inputs_BT)
    for block in model.decoder.blocks:
        x_BTW = run(block, x_BTW, context)
    said_BTW: Tensor = model.decoder.norm(x_BTW)
    return said_BTW * model.config.width**-0.5 if model.config.scaled_outputs else said_BTW


def tensors_of(context: Any) -> list[Tensor]:
    """What a block is handed besides the stream."""
    if isinstance(context, Tensor):
        return [context]
    if isinstance(context, WholeTexts):
        context = vars(context).values()
    return [] if context is None else [tensor for part in context for tensor in tensors_of(part)]


def _hiding(bias: Tensor, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    """The bias of scores, [B, H or 1, T, S], with -inf where a key is of another document. Padding sees all, as seeing
    nothing would be no number."""
    seen_BTS = (queries_BT[:, :, None] == keys_BS[:, None, :]) | (queries_BT == PADDING)[:, :, None]
    return bias.masked_fill(~seen_BTS[:, None], -torch.inf)
