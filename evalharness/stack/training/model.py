"""What computes the loss of a batch: a decoder, from token ids to the sum of the losses of its targets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from evalharness.stack.architectures.blocks import Block, run_block
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.layers.attention import AttentionContext
from evalharness.stack.layers.positions import Positions
from evalharness.stack.training.attention import BatchAttention
from evalharness.stack.training.balance import Balance
from evalharness.stack.training.losses import linear_cross_entropy
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.optimizers import shrink_gradient
from evalharness.stack.training.products import use_fast_products


class TrainingModel(nn.Module):
    """A decoder and its loss; a module, since data parallelism wraps modules.

    Args:
        dtype: of the products of matrices; the weights stay what they are.
        recompute: whether blocks are computed again in the backward pass.
        compiled: whether torch.compile makes kernels of the decoder.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        z_loss: float = 0.0,
        balance_loss: float = 0.0,
        embedding_gradient: float = 1.0,
        dtype: torch.dtype = torch.float32,
        recompute: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self._z_loss, self._embedding_gradient, self._dtype = z_loss, embedding_gradient, dtype
        self._balance_loss, self._balance = balance_loss, Balance(decoder)
        self._run, self._compiled = run_again if recompute else run_block, compiled
        if not compiled:
            use_fast_products(decoder)
        self._hidden: Callable[[Batch], Tensor] = torch.compile(self._hidden_of) if compiled else self._hidden_of

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The sum of the weighted losses, z-loss and the experts' balance included, and the sum without them, which has
        no gradient."""
        device = self.decoder.device.type
        self._balance.begin()
        with torch.autocast(device, self._dtype, enabled=self._dtype != torch.float32):
            hidden_BTW = self._hidden(batch)
            if self._dtype != torch.float32:
                hidden_BTW = hidden_BTW.to(self._dtype)
            losses, plain = linear_cross_entropy(
                hidden_BTW.flatten(0, 1),
                self.decoder.head.weight,  # type: ignore[arg-type]
                batch.targets_BT.flatten(),
                batch.weights_BT.flatten(),
                self._z_loss,
                compiled=self._compiled and device == "cuda",
            )
        balance = self._balance.loss()
        if balance is not None:
            # Losses are summed over targets: each has its share of what is a mean.
            losses = losses + self._balance_loss * batch.weights_BT.sum() * balance
        return losses, plain

    def _hidden_of(self, batch: Batch) -> Tensor:
        decoder = self.decoder
        embedded_BTW = decoder.embedding(batch.inputs_BT)
        if self._embedding_gradient != 1.0:
            embedded_BTW = shrink_gradient(embedded_BTW, self._embedding_gradient)
        context = BatchAttention(batch.documents_BT, batch.prefix_BT)
        hidden_BTW: Tensor = decoder.outputs(decoder.stream(embedded_BTW, batch.positions, context, self._run))
        return hidden_BTW


def run_again(
    block: Block, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext
) -> Tensor:
    """Keep only the block's input, and compute the block again in the backward pass."""
    found: Tensor = checkpoint(block, x_TW, positions, at, context, use_reentrant=False, preserve_rng_state=False)
    return found
