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
from evalharness.stack.training.model import check_compiled, losses_of
from evalharness.stack.training.optimizers import shrink_gradient
from evalharness.stack.training.products import use_fast_products


class EncoderDecoderTrainingModel(nn.Module):
    """An encoder-decoder and its loss; the arguments are those of `TrainingModel`."""

    def __init__(
        self,
        model: EncoderDecoder,
        *,
        z_loss: float = 0.0,
        embedding_gradient: float = 1.0,
        dtype: torch.dtype = torch.float32,
        recompute: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self._z_loss, self._embedding_gradient, self._dtype = z_loss, embedding_gradient, dtype
        self._run, self._compiled = run_again if recompute else run, compiled
        if compiled:
            check_compiled()
        else:
            use_fast_products(model)
        self._hidden: Callable[[EncoderDecoderBatch], Tensor] = (
            torch.compile(self._hidden_of) if compiled else self._hidden_of
        )

    def forward(self, batch: EncoderDecoderBatch) -> tuple[Tensor, Tensor]:
        """The sum of the weighted losses, z-loss included, and the sum without it, which has no gradient."""
        head_VW: Tensor = self.model.head.weight  # type: ignore[assignment]
        with torch.autocast(self.model.device.type, self._dtype, enabled=self._dtype != torch.float32):
            hidden_BTW = self._hidden(batch)
            return losses_of(hidden_BTW, head_VW, batch, self._z_loss, self._dtype, compiled=self._compiled)

    def _hidden_of(self, batch: EncoderDecoderBatch) -> Tensor:
        return hidden_states(self.model, batch, self._embedded, self._run)

    def _embedded(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.model.embedding(ids)
        return embedded if self._embedding_gradient == 1.0 else shrink_gradient(embedded, self._embedding_gradient)


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
